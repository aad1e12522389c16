"""What a step reads is seen, whatever way it takes; a change of it, and of nothing else, runs the step again.

One project has a step for each way (`ways_to_read.py`). Nothing is changed, then half of what is read, then the rest.
"""

from __future__ import annotations

import ast
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finnyaml.worker.worker import MANY
from tests.project import Project, rewrite

WAYS = Path(__file__).with_name("ways_to_read.py")
RECIPE = "name: reads\nmodel: {onnx: tiny.onnx, input: {datatype: FLOAT32}}\nsteps:\n"
SHM = "/dev/shm/finnyaml-test-of-reads-{}"


def write(path: Path, state: int) -> None:
    """Of equal length before and after: only what it says changes."""
    path.write_text(("one", "two")[state])


def appears(path: Path, state: int) -> None:
    path.write_text("") if state else None


def goes(path: Path, state: int) -> None:
    path.unlink() if state else path.write_text("")


def gets(name: str) -> Callable[[Path, int], None]:
    """A folder that gets another file."""

    def change(path: Path, state: int) -> None:
        path.mkdir(exist_ok=True)
        (path / ("first.txt", name)[state]).write_text("")

    return change


def inside(name: str, *texts: str) -> Callable[[Path, int], None]:
    """A file of a folder changes."""

    def change(path: Path, state: int) -> None:
        (path / name).parent.mkdir(exist_ok=True, parents=True)
        (path / name).write_text((texts or ("one", "two"))[state])

    return change


def says(*texts: str) -> Callable[[Path, int], None]:
    return lambda path, state: path.write_text(texts[state]) and None


def leads(path: Path, state: int) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(f"nowhere-{state}")


def becomes_a_link(path: Path, state: int) -> None:
    if state:
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
    else:
        write(path, 0)


def table(path: Path, state: int) -> None:
    with sqlite3.connect(path) as database:
        database.execute("insert into t values (1)" if state else "create table t (x)")
    database.close()


def library(path: Path, state: int) -> None:
    subprocess.run(["gcc", "-shared", "-o", path, "-xc", "-"], input=f"int value() {{ return {state}; }}", text=True)


def model(path: Path, state: int) -> None:
    import onnx

    made = onnx.load(path.parents[1] / "tiny.onnx")
    made.doc_string = ("one", "two")[state]
    onnx.save(made, path)


def program(path: Path, state: int) -> None:
    path.write_text(f"#!/bin/sh\necho {state}\n")
    path.chmod(0o755)


def rights(path: Path, state: int) -> None:
    path.touch()
    path.chmod((0o644, 0o755)[state])


CHANGES: dict[str, Callable[[Path, int], None]] = {
    **dict.fromkeys(("exists", "is_file", "access", "lexists", "opened_in_vain", "shell_test", "c_access"), appears),
    "gone": goes,
    "made_only_where_missing": goes,
    **dict.fromkeys(
        ("is_folder", "entered", "entered_by_a_shell"), lambda path, state: path.mkdir() if state else None
    ),
    "executable": rights,
    "getsize": says("1", "12"),
    "closed_descriptors": says("1", "12"),
    "newline_in_name": lambda path, state: (
        path.with_name("newline_in_name\n\\x").write_text("12"[: state + 1]) and None
    ),
    "readlink": leads,
    "realpath": becomes_a_link,
    "is_link": becomes_a_link,
    **dict.fromkeys(("listed", "listed_by_fd", "scanned", "globbed", "walked"), gets("x.txt")),
    **dict.fromkeys(("c_opendir", "c_scandir", "listed_by_child", "found_by_child"), gets("x")),
    "c_glob": lambda path, state: (path / "12"[: state + 1]).mkdir(parents=True),
    "cp_recursive": inside("deep/er"),
    "through_own_link_to_folder": inside("file"),
    "sqlite": table,
    "sqlite_read_only": table,
    "cdll_so": library,
    "session": model,
    "script": program,
    "shell_source": says("echo 1", "echo 2"),
    **dict.fromkeys(("python_as_data_py", "python_as_data_of_child_py"), says("# one", "# two")),
    **dict.fromkeys(("exec_of_text_py", "python_script_py"), says("x = 1", "x = 2")),
    "python_module_of_child": inside("inner.py", "x = 1", "x = 2"),
    "compiler_c": says("int x;", "int y;"),
    "header_of_compiler_h": says("int x;", "int y;"),
}
READ_NOTHING = {"nothing", "own_file", "own_file_of_python", "own_folder", "own_temporary_files"}


def steps() -> list[str]:
    functions = [node for node in ast.parse(WAYS.read_text()).body if isinstance(node, ast.FunctionDef)]
    return [function.name for function in functions if [part.arg for part in function.args.args] == ["model", "cfg"]]


class Reads(Project):
    """The project, and what its steps read."""

    def __init__(self, folder: Path, store: Path) -> None:
        super().__init__(folder, store)
        self.shm = Path(SHM.format(os.getpid()))
        self.write("steps.py", WAYS.read_text())
        self.write("shm", str(self.shm))
        uses = "\n".join(f'  - {{uses: "steps.py:{name}"}}' for name in steps())
        self.write(
            "recipe.yaml", f"name: reads\nmodel: {{onnx: tiny.onnx, input: {{datatype: FLOAT32}}}}\nsteps:\n{uses}\n"
        )
        (folder / "d").mkdir()

    def change(self, name: str, state: int) -> None:
        """What a step reads, as it is at first (0) or later (1)."""
        stem, _, suffix = name.rpartition("_")
        path = self.folder / "d" / (f"{name}.{suffix}" if suffix in ("py", "so", "c", "h") and stem else name)
        path = Path(f"{self.shm}-{name}") if name.startswith("shm") else path
        if name not in READ_NOTHING:
            CHANGES.get(name, write)(path, state)


@pytest.fixture
def project(tmp_path: Path, store_folder: Path) -> Iterator[Reads]:
    made = Reads(tmp_path / "net", store_folder)
    yield made
    made.kill()
    for path in made.shm.parent.glob(f"{made.shm.name}-*"):
        path.unlink()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="without a C compiler only Python is watched")
def test_every_way_to_read_is_seen_and_nothing_else(project: Reads) -> None:
    names = steps()
    for name in names:
        project.change(name, 0)
    project.build()
    assert project.ran() == []
    halves = (names[::2], names[1::2])
    for half in halves:
        for name in half:
            project.change(name, 1)
        assert project.ran() == [name for name in half if name not in READ_NOTHING]


@pytest.mark.parametrize(
    ("look", "change"),
    [
        ("os.path.exists(NEW)", lambda new, link: new.write_text("")),
        ("os.path.isdir(NEW)", lambda new, link: new.mkdir()),
        ("[e.stat() for e in os.scandir(MANY)]", lambda new, link: rewrite(new.with_name("many") / "7", "b")),
        ("os.readlink(LINK)", lambda new, link: (link.unlink(), link.symlink_to("elsewhere"))),
    ],
)
def test_the_quick_path_asks_as_the_step_did(built: Project, look: str, change: Callable[[Path, Path], object]) -> None:
    new, link, many = built.folder / "new", built.folder / "link", built.folder / "many"
    many.mkdir()
    for number in range(MANY):
        (many / str(number)).write_text("a")
    link.symlink_to("nowhere")
    built.step(f"import os; NEW, LINK, MANY = {str(new)!r}, {str(link)!r}, {str(many)!r}; print({look}); return model")
    for up_to_date in (False, True):
        assert ("up to date" in built.run("build", "recipe.yaml").stdout) is up_to_date
    change(new, link)
    assert "up to date" not in built.run("build", "recipe.yaml").stdout
