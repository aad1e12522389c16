"""What every kind of fault is measured by: a sound build, what its workspace holds, and what a command may say."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from finnyaml.errors import ExitCode
from finnyaml.store import Store
from finnyaml.store.upkeep import verify
from tests.project import ROOT, Project

TIMES = {"time_per_step.json", "build.json", "build_dataflow.log"}
"""Files that say how long steps took or when they ran, or have a digest of one that does."""

CHAIN = """
name: chain
model: {onnx: tiny.onnx, input: {datatype: FLOAT32}}
folding: {target_fps: 100}
steps:
  - {uses: "steps.py:scale", id: first, with: {by: 2.0}}
  - {uses: "steps.py:report"}
  - {uses: "steps.py:scale", id: second, with: {by: 3.0}}
  - {uses: "steps.py:same"}
  - {uses: "steps.py:scale", id: third, with: {by: 4.0}}
"""


def chain(project: Project) -> None:
    """A small project: steps of a few milliseconds."""
    project.write("recipe.yaml", CHAIN)


def digits(project: Project) -> None:
    """A real network and FINN's own steps up to generated hardware code: half a minute."""
    shutil.rmtree(project.folder)
    shutil.copytree(ROOT / "recipes/digits-cnv", project.folder, ignore=shutil.ignore_patterns("build", "__pycache__"))
    recipe = project.folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().partition("\nverify:")[0])  # its gate stops it on purpose


class Sound:
    """A project that was built in an empty store, in `folder`; rounds get copies of it at the same place."""

    def __init__(self, folder: Path, warm: Path, prepare: Callable[[Project], None] = chain) -> None:
        """`warm` is a store as `tests.project.warm` makes it; `prepare` writes the project."""
        self.folder, self._warm = folder, warm
        self._built = folder.with_name(f"{folder.name}-built")
        shutil.copytree(warm, folder / "store")
        made = Project(folder / "project", folder / "store")
        prepare(made)
        made.build()
        self.files = files(made)
        """What lies in its workspace."""
        folder.rename(self._built)

    def copy(self) -> Project:
        """The built project."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._built, self.folder, symlinks=True)
        return Project(self.folder / "project", self.folder / "store", empty=True)

    def unbuilt(self) -> Project:
        """The same project, never built."""
        made = self.copy()
        shutil.rmtree(made.folder / "build")
        shutil.rmtree(made.store)
        shutil.copytree(self._warm, made.store)
        return made

    def check_store(self, project: Project) -> None:
        """AssertionError where something in the store is damaged, or not what a build out of it needs."""
        report = verify(Store.open(project.store))
        assert report.sound, f"the store is not sound: {report}"

    def check(self, project: Project, *, quick: bool = False) -> set[str]:
        """AssertionError where the next build does not give what the sound one gave.

        `quick`: a build that may take the quick path. Returns the tasks that it ran, as far as it says so.
        """
        done = project.run("build", "recipe.yaml", *([] if quick else ["--json"]))
        assert done.returncode == 0, f"the next build ends with {done.returncode}: {done.stderr}"
        same(files(project), self.files)
        tasks = {} if quick else json.loads(done.stdout)["tasks"]
        return {name for name, task in tasks.items() if task["state"] == "ran"}


def files(project: Project) -> dict[str, bytes]:
    """What a user sees in the usual workspace of a project."""
    return shown(project.folder / "build")


def shown(workspace: Path) -> dict[str, bytes]:
    """All that a user sees in a workspace, but how long things took."""
    paths = [path for path in workspace.rglob("*") if path.is_file() and ".finnyaml" not in path.parts]
    return {str(path.relative_to(workspace)): path.read_bytes() for path in paths if path.name not in TIMES}


def same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """AssertionError, with their names, where files differ."""
    wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    assert not wrong, f"wrong files: {', '.join(wrong)}"


def told(code: int, error: str) -> str:
    """What a command said that ended with an error; AssertionError where it does not know what it has."""
    assert code in [*ExitCode], f"it ended with {code}: {error}"
    for word in ("Traceback", "defect of finnyaml"):
        assert word not in error, error
    assert code == 0 or error, f"it ended with {code} and said nothing"
    return error if code else ""


@functools.cache
def shim(folder: Path) -> Path:
    """The library of `shim.c`, compiled into `folder`."""
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library
