"""What a step reads is seen, and nothing else. The steps here are Python files made up for the test."""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import os
import pkgutil
import posix
import shutil
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from finnyaml.tools.variables import digest
from finnyaml.worker.recorder import Reads, Recorder

ASKING = """
import os
from collections.abc import Mapping

def get(name):
    return os.environ.get(name)

def through(function, *arguments):
    return function(*arguments)
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`steps/` stands for FINN, `library/` for a package below it, `project/` for the author's folder."""
    root = tmp_path_factory.mktemp("recorder")
    for name in ("steps", "library", "project"):
        (root / name).mkdir()
        (root / name / f"asks_{name}.py").write_text(ASKING)
    return root


@pytest.fixture(scope="module")
def recorder(folders: Path) -> Iterator[Recorder]:
    """One for all tests: its hook into Python cannot be taken out again."""
    environ = os.environ
    yield Recorder([folders / "steps"], [folders / "library"])
    os.environ = environ  # noqa: B003


@pytest.fixture
def project(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = folders / "project"
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def asking(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Code that looks at variables, from one of the folders."""

    def module(name: str) -> ModuleType:
        monkeypatch.syspath_prepend(folders / name)
        return importlib.import_module(f"asks_{name}")

    return module


def seen(recorder: Recorder, action: Callable[[], Any]) -> Reads:
    with recorder.recording() as reads:
        action()
    return reads


@pytest.mark.parametrize(
    "read",
    [
        lambda path: path.read_text(),
        lambda path: open(path, "rb").close(),
        lambda path: open(os.fsencode(path)).close(),
        lambda path: open(path.name).close(),
        lambda path: io.FileIO(path).close(),
        lambda path: os.close(os.open(path, os.O_RDONLY)),
        lambda path: shutil.copy(path, path.parent / "copy"),
        lambda path: (path.parent / "sub" / ".." / path.name).read_text(),
    ],
)
def test_files_that_are_read(recorder: Recorder, project: Path, read: Callable[[Path], Any]) -> None:
    (project / "sub").mkdir(exist_ok=True)
    path = project / "a.txt"
    path.write_text("x")
    assert seen(recorder, lambda: read(path)).files == {str(path)}


def test_a_file_that_is_looked_for_and_not_there(recorder: Recorder, project: Path) -> None:
    def look() -> None:
        with pytest.raises(FileNotFoundError):
            (project / "gone.txt").read_text()

    assert seen(recorder, look).files == {str(project / "gone.txt")}


def test_names_that_are_no_utf8(recorder: Recorder, project: Path) -> None:
    path = os.fsencode(project) + b"/caf\xe9"
    with open(path, "w"):
        pass
    assert seen(recorder, lambda: open(path).close()).files == {f"{project}/caf\udce9"}


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text("x"),
        lambda path: path.open("a").close(),
        lambda path: os.close(os.open(path, os.O_RDWR | os.O_CREAT)),
        lambda path: path.with_suffix(".new").touch(),
        lambda path: path.exists(),
    ],
)
def test_files_that_are_not_read(recorder: Recorder, project: Path, write: Callable[[Path], Any]) -> None:
    assert seen(recorder, lambda: write(project / "w.txt")).files == set()


@pytest.mark.parametrize(
    "look",
    [
        lambda folder: os.listdir(folder),
        lambda folder: os.listdir(),
        lambda folder: os.listdir(os.fsencode(folder)),
        lambda folder: list(os.scandir(folder)),
        lambda folder: list(folder.iterdir()),
        lambda folder: list(folder.glob("*.txt")),
        lambda folder: next(os.walk(folder)),
    ],
)
def test_folders_that_are_listed(recorder: Recorder, project: Path, look: Callable[[Path], Any]) -> None:
    reads = seen(recorder, lambda: look(project))
    assert reads.folders == {str(project)}
    assert not reads.files


def test_up_from_a_link_is_where_the_system_says_it_is(recorder: Recorder, project: Path, tmp_path: Path) -> None:
    (tmp_path / "disk/net").mkdir(parents=True)
    (tmp_path / "disk/a.txt").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "disk/net")
    reads = seen(recorder, lambda: (tmp_path / "link/../a.txt").read_text())
    assert reads.files == {str(tmp_path / "disk/a.txt")}
    # Otherwise the name as it was written: a link may lead elsewhere tomorrow.
    (tmp_path / "disk/net/b.txt").write_text("x")
    assert seen(recorder, lambda: (tmp_path / "link/b.txt").read_text()).files == {str(tmp_path / "link/b.txt")}


def test_the_machine_and_libraries_are_not_recorded(recorder: Recorder, folders: Path) -> None:
    def look() -> None:
        Path("/proc/self/status").read_text()
        Path(os.__file__).read_text()
        (folders / "steps/asks_steps.py").read_text()
        os.listdir(folders / "library")

    reads = seen(recorder, look)
    assert (reads.files, reads.folders) == (set(), set())


def test_data_of_the_system_is_the_authors_and_not_finns(
    recorder: Recorder, asking: Callable[[str], ModuleType]
) -> None:
    with recorder.recording():
        steps, library = asking("steps"), asking("library")
    data = Path("/etc/passwd")
    assert seen(recorder, data.read_text).files == {"/etc/passwd"}
    assert seen(recorder, lambda: library.through(data.read_text)).files == {"/etc/passwd"}
    assert seen(recorder, lambda: steps.through(data.read_text)).files == set()


def test_what_a_library_reads_while_it_is_imported_is_its_own_affair(
    recorder: Recorder, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "settings.txt"
    own.write_text("x")
    module = f"import os\n\nwith open({str(own)!r}) as file:\n    TEXT = file.read()\nos.environ.get('FINN_TUNING')\n"
    for name in ("library", "project"):
        (folders / name / f"reads_{name}.py").write_text(module)
        monkeypatch.syspath_prepend(folders / name)
    reads = seen(recorder, lambda: importlib.import_module("reads_library"))
    assert (reads.files, reads.env) == (set(), {})
    reads = seen(recorder, lambda: importlib.import_module("reads_project"))
    assert (reads.files, reads.env) == ({str(own)}, {"FINN_TUNING": None})


def test_versions_that_are_asked_for(recorder: Recorder, asking: Callable[[str], ModuleType]) -> None:
    with recorder.recording():
        steps = asking("steps")
    assert seen(recorder, lambda: steps.through(importlib.metadata.version, "numpy")).files == set()
    (file,) = seen(recorder, lambda: importlib.metadata.version("numpy")).files
    assert file.endswith("dist-info/METADATA")


def test_imports_are_not_recorded_but_data_of_packages_is(
    recorder: Recorder, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = project / "made_up_package"
    package.mkdir()
    (package / "__init__.py").write_text("import made_up_package.inner\n")
    (package / "inner.py").write_text("")
    (package / "table.dat").write_text("data")
    monkeypatch.syspath_prepend(project)
    monkeypatch.delitem(sys.modules, "made_up_package", raising=False)
    reads = seen(recorder, lambda: importlib.import_module("made_up_package"))
    assert (reads.files, reads.folders) == (set(), set())
    assert seen(recorder, lambda: pkgutil.get_data("made_up_package", "table.dat")).files == {
        str(package / "table.dat")
    }


def test_nothing_is_recorded_outside(recorder: Recorder, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINN_MADE_UP", "1")
    (project / "a.txt").write_text("x")
    before = seen(recorder, lambda: None)
    (project / "a.txt").read_text()
    os.listdir(project)
    assert os.environ["FINN_MADE_UP"] == "1"
    subprocess.run(["true"], check=True)
    after = seen(recorder, lambda: None)
    assert before == after == Reads()


def test_recording_ends_with_an_error(recorder: Recorder, project: Path) -> None:
    (project / "a.txt").write_text("x")
    with pytest.raises(ZeroDivisionError), recorder.recording() as reads:
        _ = 1 / 0
    (project / "a.txt").read_text()
    assert reads == Reads()


def start(missing: str) -> None:
    with pytest.raises(FileNotFoundError):
        subprocess.run([missing])


@pytest.mark.parametrize(
    ("run", "programs"),
    [
        (lambda: subprocess.run(["true"], check=True), {"true"}),
        (lambda: subprocess.run([Path("/bin/true")], check=True), {"true"}),
        (lambda: subprocess.run("true | cat", shell=True, check=True), {"sh"}),
        (lambda: os.system("true"), {"sh"}),
        (lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0), {"true"}),
        (lambda: start("vivado_made_up"), {"vivado_made_up"}),
    ],
)
def test_programs(recorder: Recorder, run: Callable[[], Any], programs: set[str]) -> None:
    found = seen(recorder, run).programs
    assert found.keys() == programs
    assert all(path is None or os.access(path, os.X_OK) for path in found.values())


def env_of(recorder: Recorder, action: Callable[[], Any]) -> dict[str, str | None]:
    return seen(recorder, action).env


def test_variables_that_steps_and_the_user_look_at(
    recorder: Recorder, asking: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorder.recording():
        steps, project, library = (asking(name) for name in ("steps", "project", "library"))
    values = dict(os.environ.copy())
    assert "FINN_UNSET" not in values
    set_before(monkeypatch, recorder, "FINN_SET", "1")
    for module in (steps, project):
        assert env_of(recorder, lambda m=module: m.get("FINN_SET")) == {"FINN_SET": "1"}
        assert env_of(recorder, lambda m=module: m.get("FINN_UNSET")) == {"FINN_UNSET": None}
    # A library may look for its own tuning, and FINN calls many; what the author's code calls, it calls on purpose.
    assert env_of(recorder, lambda: project.through(library.get, "FINN_SET")) == {"FINN_SET": "1"}
    assert env_of(recorder, lambda: steps.through(library.get, "FINN_SET")) == {}
    assert env_of(recorder, lambda: library.through(steps.get, "FINN_SET")) == {"FINN_SET": "1"}


def set_before(monkeypatch: pytest.MonkeyPatch, recorder: Recorder, name: str, value: str) -> None:
    """A variable as if the worker had been started with it."""
    monkeypatch.setenv(name, value)
    monkeypatch.setitem(recorder._variables.inherited, name, value)


@pytest.mark.parametrize(
    "look",
    [
        lambda: os.environ["FINN_A"],
        lambda: os.environ.get("FINN_A"),
        lambda: os.getenv("FINN_A"),
        lambda: "FINN_A" in os.environ,
        lambda: "FINN_A" in os.environ.keys(),  # noqa: SIM118
        lambda: os.environ.setdefault("FINN_A", "2"),
        lambda: os.environ.pop("FINN_A"),
        lambda: os.environb[b"FINN_A"],
        lambda: os.getenvb(b"FINN_A"),
        lambda: posix.environ[b"FINN_A"],
        lambda: os.path.expandvars("$FINN_A"),
        lambda: string.Template("$FINN_A").substitute(os.environ),
    ],
)
def test_every_way_to_look(recorder: Recorder, monkeypatch: pytest.MonkeyPatch, look: Callable[[], Any]) -> None:
    set_before(monkeypatch, recorder, "FINN_A", "1")
    with recorder.environment_undone():
        assert env_of(recorder, look) == {"FINN_A": "1"}
    assert os.environ["FINN_A"] == "1"


@pytest.mark.parametrize(
    "pass_on",
    [
        lambda: subprocess.run(["true"], env=os.environ.copy(), check=True),
        lambda: subprocess.run(["true"], check=True),
        lambda: os.system("true"),
        lambda: os.environ | {"FINN_B": "2"},
        lambda: {"FINN_B": "2"} | os.environ,
        lambda: os.environ.__ior__({"FINN_B": "2"}),
        lambda: os.environ.get("HOME"),
        lambda: os.environ.get("PATH"),
    ],
)
def test_that_finn_passes_the_environment_on_is_no_look_at_it(
    recorder: Recorder, asking: Callable[[str], ModuleType], pass_on: Callable[[], Any]
) -> None:
    of_finn = FunctionType(pass_on.__code__.replace(co_filename=asking("steps").__file__), pass_on.__globals__)
    with recorder.environment_undone():
        reads = seen(recorder, of_finn)
    assert (reads.env, reads.environment) == ({}, {})


@pytest.mark.parametrize(
    "look",
    [
        lambda: dict(os.environ),
        lambda: {**os.environ},
        lambda: [*os.environ],
        lambda: {name: os.environ[name] for name in os.environ},
        lambda: list(os.environ.items()),
        lambda: list(os.environ.values()),
        lambda: len(os.environ),
        lambda: os.environ.copy(),
        lambda: os.environ | {},
        lambda: {} | os.environ,
        lambda: dict(os.environb),
        lambda: dict(posix.environ),
        lambda: subprocess.run(["true"], check=True),
        lambda: subprocess.run("true", shell=True, check=True),
        lambda: os.system("true"),
        lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0),
        lambda: os.waitpid(os.fork() or os._exit(0), 0),
    ],
)
def test_who_sees_all_variables_depends_on_all(recorder: Recorder, look: Callable[[], Any]) -> None:
    reads = seen(recorder, look)
    assert reads.environment == {"": digest(recorder._variables.inherited)}
    assert reads.env == {}


def test_finn_lists_the_environment_to_find_its_own_variables(
    recorder: Recorder, asking: Callable[[str], ModuleType]
) -> None:
    with recorder.recording():
        steps, library = asking("steps"), asking("library")
    for look in (lambda: steps.through(dict, os.environ), lambda: steps.through(library.through, dict, os.environ)):
        reads = seen(recorder, look)
        assert reads.environment == {"FINN_": digest(recorder._variables.inherited, "FINN_")}
        assert reads.env == {}


def test_what_a_library_sets_says_nothing(
    recorder: Recorder, asking: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    with recorder.recording():
        library = asking("library")

    def step() -> str:
        library.through(os.environ.__setitem__, "FINN_TUNING", "1")
        return os.environ["FINN_TUNING"]

    with recorder.environment_undone():
        assert env_of(recorder, step) == {"FINN_TUNING": None}


def test_native_code_and_children_are_told_of(recorder: Recorder) -> None:
    reads = Reads()
    recorder.variable_seen(reads, "FINN_UNSET")
    recorder.variable_seen(reads, "HOME")
    recorder.environment_seen(reads)
    assert reads.env == {"FINN_UNSET": None}
    assert reads.environment == {"": digest(recorder._variables.inherited)}


@pytest.mark.parametrize("name", ["SSH_TTY", "TERM", "OMP_NUM_THREADS", "KMP_INIT_AT_FORK", "GITHUB_RUN_ID"])
def test_what_is_new_in_every_session_is_none_of_all_variables(name: str) -> None:
    assert digest({"A": "1", name: "1"}) == digest({name: "2", "A": "1"}) != digest({"A": "2", name: "1"})


def test_joined_environments_are_those_that_python_gives(recorder: Recorder) -> None:
    plain = os.environ.copy()
    assert os.environ | {"FINN_B": "2"} == plain | {"FINN_B": "2"}
    assert {"FINN_B": "2", "PATH": "x"} | os.environ == {"FINN_B": "2", "PATH": "x"} | plain


def test_a_variable_that_the_step_sets_is_no_read_and_is_gone_after_it(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_before(monkeypatch, recorder, "FINN_A", "1")
    set_before(monkeypatch, recorder, "FINN_C", "1")

    def step() -> None:
        os.environ["FINN_NEW"] = "x"
        os.environ["FINN_A"] = "2"
        del os.environ["FINN_C"]
        assert (os.environ["FINN_NEW"], os.environ["FINN_A"]) == ("x", "2")

    with recorder.environment_undone():
        assert env_of(recorder, step) == {}
    assert (os.environ["FINN_A"], os.environ["FINN_C"]) == ("1", "1")
    assert os.getenv("FINN_NEW") is None
    echo = subprocess.run(["sh", "-c", "echo $FINN_A$FINN_NEW"], check=True, capture_output=True, text=True)
    assert echo.stdout == "1\n"
    assert env_of(recorder, lambda: os.environ["FINN_A"]) == {"FINN_A": "1"}  # the next task's look counts again


def test_a_look_before_it_is_set_counts(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    set_before(monkeypatch, recorder, "FINN_A", "1")

    def step() -> None:
        os.environ["FINN_A"] += "2"
        assert os.environ["FINN_A"] == "12"

    with recorder.environment_undone():
        assert env_of(recorder, step) == {"FINN_A": "1"}


def test_a_value_that_is_no_utf8(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    set_before(monkeypatch, recorder, "FINN_A", "caf\udce9")
    assert env_of(recorder, lambda: os.environ["FINN_A"]) == {"FINN_A": "caf\udce9"}
