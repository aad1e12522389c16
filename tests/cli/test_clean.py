from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tests.project import Project


def test_only_what_finnyaml_wrote_goes(finnyaml: Command, tmp_path: Path, finn_store: Path) -> None:
    project = Project(tmp_path, finn_store)
    project.build()
    workspace = project.folder / "build"
    (workspace / "mine.txt").write_text("mine")
    objects = sorted((finn_store / "objects").rglob("*"))
    answer = finnyaml("clean", project.folder / "recipe.yaml")
    assert answer.code == 0 and answer.out.startswith("removed ")
    assert "what finnyaml did not write is still there" in answer.out
    assert [path.name for path in workspace.iterdir()] == ["mine.txt"]
    assert sorted((finn_store / "objects").rglob("*")) == objects
    assert project.ran() == []  # the store gives everything back
    assert (workspace / "intermediate_models").is_dir()


def test_what_was_set_aside_stays(finnyaml: Command, tmp_path: Path, finn_store: Path) -> None:
    project = Project(tmp_path, finn_store)
    project.build()
    aside = project.folder / "build/.finnyaml/attached/net-1/net.bit"
    aside.parent.mkdir(parents=True)
    aside.write_text("made by hand")
    assert finnyaml("clean", project.folder / "recipe.yaml").code == 0
    assert [path for path in (project.folder / "build").rglob("*") if path.is_file()] == [aside]


def test_a_clean_workspace(finnyaml: Command, tmp_path: Path) -> None:
    project = Project(tmp_path, tmp_path / "store")
    answer = finnyaml("clean", project.folder / "recipe.yaml")
    assert answer.code == 0 and "nothing of finnyaml's" in answer.out
