"""What lies in a workspace is of one build, which is named there, whatever was built before."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from tests.project import RECIPE, STEPS, Project

FPS = ("--set", "folding.target_fps=200")
BY = ("--set", "steps.0.with.by=3.0")
UNREAD = ("--set", "folding.mvau_wwidth_max=99")
TARGETS = """
targets: {first: small, second: report}
"""
BRANCHES = RECIPE.replace(
    '  - {uses: "steps.py:report"}\n',
    '  - {uses: "steps.py:report", id: small, needs: scale}\n  - {uses: "steps.py:report", needs: same}\n',
)
GATES = """
verify:
  data: {npz: set.npz, inputs: images, labels: labels}
  metric: top1
  points: [{after: scale, min: 0.9}, {after: report, min: 0.9}]
"""
OF_THE_BUILD = {"build.json", "time_per_step.json", "build_dataflow.log"}
"""Files that tell of a build as a whole, and so are others where it went less far."""


def files(project: Project) -> dict[str, bytes]:
    """All that a user sees in the workspace, but how long things took."""
    root = project.folder / "build"
    paths = [path for path in root.rglob("*") if path.is_file() and ".finnyaml" not in path.parts]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def clean(project: Project, *arguments: str) -> dict[str, bytes]:
    """The workspace of the same build in an empty folder; the store is the same, so times are the same too."""
    aside = project.folder.with_name("aside")
    (project.folder / "build").rename(aside)
    project.run("build", "recipe.yaml", *arguments)
    found = files(project)
    shutil.rmtree(project.folder / "build")
    aside.rename(project.folder / "build")
    return found


def differing(found: dict[str, bytes], whole: dict[str, bytes]) -> set[str]:
    """The names of the files in `found` that are not so in `whole`."""
    return {Path(path).name for path, data in found.items() if whole.get(path) != data}


def named(project: Project) -> dict[str, object]:
    return json.loads((project.folder / "build/build.json").read_text())  # type: ignore[no-any-return]


def test_the_quick_path_never_answers_for_the_workspace_of_another_command_line(project: Project) -> None:
    fps = project.folder / "build/report/fps.txt"
    for arguments, said in [((), "100\n"), (FPS, "200\n")] * 2:
        project.run("build", "recipe.yaml", *arguments)
        assert fps.read_text() == said
        assert named(project)["set"] == list(arguments[1:])
    again = project.run("build", "recipe.yaml", *FPS)
    assert again.stdout.startswith("tiny is up to date") and again.stderr == ""  # now it may


def test_a_build_with_the_same_files_is_named_all_the_same(project: Project) -> None:
    project.run("build", "recipe.yaml")
    first = named(project)
    project.run("build", "recipe.yaml", *UNREAD)
    assert named(project) == {**first, "set": [UNREAD[1]]}
    done = project.run("build", "recipe.yaml")
    assert done.stdout.startswith("tiny is up to date")
    assert named(project) == first


def test_any_sequence_of_builds_leaves_what_the_last_one_makes(project: Project) -> None:
    project.write("recipe.yaml", BRANCHES + TARGETS)
    complete = [(), FPS, BY, (*FPS, *BY), UNREAD]
    others = [("first",), ("second", *FPS), ("--to", "scale", *BY), ("--only", "scale"), ("--force", "same")]
    draw = random.Random(1)
    for _ in range(2):
        for _ in range(2):
            project.run("build", "recipe.yaml", *draw.choice([*complete, *others]))
        last = draw.choice(complete)
        done = project.run("build", "recipe.yaml", *last)
        assert done.returncode == 0, done.stderr
        assert files(project) == clean(project, *last)
        assert named(project)["targets"] == ["first", "second"]


@pytest.mark.parametrize("part", [("first",), ("--to", "same")])
def test_a_part_of_a_build_keeps_of_an_earlier_one_what_is_of_this_one(project: Project, part: tuple[str, ...]) -> None:
    project.write("recipe.yaml", BRANCHES + TARGETS)
    project.build()
    whole = files(project)
    project.build(*part)
    kept = files(project)
    assert kept.keys() == whole.keys()
    assert differing(kept, whole) <= OF_THE_BUILD
    project.build(*part, *BY)
    assert differing(files(project), clean(project, *BY)) <= OF_THE_BUILD


def test_a_target_that_is_still_sound_stays(project: Project) -> None:
    project.write("recipe.yaml", BRANCHES + TARGETS)
    project.build()
    project.build("first", *UNREAD)
    assert named(project)["targets"] == ["first", "second"]
    project.build("first", *FPS)
    assert named(project)["targets"] == ["first"]
    assert not (project.folder / "build/second/report").exists()
    assert (project.folder / "build/second/intermediate_models/same.onnx").exists()


def test_after_a_failed_step_nothing_of_a_former_build_contradicts(project: Project) -> None:
    project.build()
    project.write("steps.py", STEPS.replace('folder = Path(cfg.output_dir) / "report"', 'raise ValueError("no")'))
    project.build(*BY, code=1)
    assert named(project)["failed"] == ["report"] and named(project)["targets"] == []
    made = {f"intermediate_models/{step}.onnx" for step in ("model", "scale", "same")}
    assert files(project).keys() == {*made, *OF_THE_BUILD}
    project.build(code=1)
    project.write("steps.py", STEPS)
    project.build()
    assert files(project) == clean(project)


def test_a_file_that_stays_is_as_it_was_written(project: Project) -> None:
    project.build()
    report = project.folder / "build/report/fps.txt"
    report.write_text("edited")
    project.build("--to", "scale")
    assert report.read_text() == "100\n"


def test_a_build_that_was_killed_while_it_wrote_leaves_nothing(project: Project) -> None:
    project.build()
    record = project.folder / "build/.finnyaml/workspace.json"
    before = json.loads(record.read_text())
    unfinished = {**before, "build": {"recipe": "../recipe.yaml"}, "files": {**before["files"], "report/half.txt": []}}
    record.write_text(json.dumps(unfinished))
    (project.folder / "build/report/half.txt").write_text("half")
    project.run("build", "recipe.yaml")
    assert files(project) == clean(project)


def test_a_gate_that_stops_takes_what_stands_behind_it_out(project: Project) -> None:
    import numpy as np

    samples = np.eye(4, dtype=np.float32)[[1, 2, 3]]
    np.savez(project.folder / "set.npz", images=samples, labels=np.array([1, 2, 3]))
    project.write("recipe.yaml", RECIPE + GATES)
    project.build()
    assert {"report/fps.txt", "verification/scale.json", "verification/report.json"} <= files(project).keys()
    stopped = ("--set", "steps.0.with.by=-1.0", "--jobs", "1")  # else the second gate may be at work already
    project.build(*stopped, code=3)
    left = files(project)
    assert json.loads(left["verification/scale.json"])["value"] == 0.0  # what stopped the build is there to look at
    assert "verification/report.json" not in left
    assert differing(left, clean(project, *stopped, "--keep-going")) <= OF_THE_BUILD
    assert named(project)["failed"] == ["verify.scale"]
    project.build()
    assert files(project) == clean(project)


def test_two_recipes_do_not_share_a_workspace(project: Project) -> None:
    project.build()
    before = files(project)
    other = project.write("other.yaml", "extends: recipe.yaml\nname: other\nfolding: {target_fps: 300}\n")
    refused = project.run("build", "other.yaml")
    assert refused.returncode == 2
    assert "holds what recipe.yaml builds" in refused.stderr
    assert "`output: build-other`" in refused.stderr and "`finnyaml clean recipe.yaml`" in refused.stderr
    assert files(project) == before
    assert project.run("build", "other.yaml", "--set", "output=build-other").returncode == 0
    assert files(project) == before
    assert project.run("clean", "recipe.yaml").returncode == 0
    assert project.run("build", "other.yaml").returncode == 0
    assert "holds what other.yaml builds" in project.build(code=2)["error"]
    other.unlink()
    project.build()
    assert files(project) == clean(project)


def test_a_recipe_that_was_moved_with_its_workspace_owns_it_still(project: Project) -> None:
    project.build()
    moved = project.folder.with_name("moved")
    shutil.copytree(project.folder, moved)
    project.folder = moved
    project.build()
    project.write("renamed.yaml", RECIPE)
    (project.folder / "recipe.yaml").unlink()
    assert project.run("build", "renamed.yaml").returncode == 0
    assert named(project)["recipe"] == "../renamed.yaml"
