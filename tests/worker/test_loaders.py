"""Python that is run is what the task read, whatever loads it; Python that is read as data is data."""

from __future__ import annotations

import importlib.metadata
import os
import py_compile
import tempfile
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finnyaml.kinds import KINDS
from finnyaml.steps.code import forget_user_modules
from finnyaml.store import Entry, Store
from finnyaml.store.digests import content_digest, file_digest
from finnyaml.worker.job import Done, Job
from finnyaml.worker.worker import Worker
from tests.project import tiny_model

HEAD = "from pathlib import Path\n\nBASE = Path(__file__).parents[1] / 'lib' / 'base.py'\n\n\ndef step(model, cfg):\n"
NAME = "@recipe/../lib/base.py"

LOADERS = {
    "spec": """
        import importlib.util
        spec = importlib.util.spec_from_file_location("base", BASE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    """,
    "source loader": """
        from importlib.machinery import SourceFileLoader
        SourceFileLoader("base", str(BASE)).load_module()
    """,
    "run_path": "import runpy; runpy.run_path(str(BASE))",
    "run_module": """
        import runpy, sys
        sys.path.insert(0, str(BASE.parent)); runpy.run_module("base")
    """,
    "kept by a step": """
        import importlib.util, sys
        spec = importlib.util.spec_from_file_location("base", BASE)
        sys.modules["base"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["base"])
    """,
}

READERS = {
    "read_text": "BASE.read_text()",
    "exec": "exec(compile(open(BASE).read(), str(BASE), 'exec'), {})",
    "a loader's data": "import importlib.machinery as m; m.SourceFileLoader('base', str(BASE)).get_data(str(BASE))",
    "a package's data": """
        import pkgutil, sys
        sys.path.insert(0, str(BASE.parent)); pkgutil.get_data("base", "base.py")
    """,
    "code and data": "import runpy; runpy.run_path(str(BASE)); BASE.read_text()",
}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker in this process, on real QONNX and FINN's real configuration."""
    forget_user_modules()  # those of another test in this process
    root = tmp_path_factory.mktemp("worker")
    environ, folder, tempdir = os.environ, os.getcwd(), tempfile.tempdir
    yield Worker(root / "store", root / "sandbox")
    os.environ, tempfile.tempdir = environ, tempdir
    os.chdir(folder)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A source beside the recipe's folder, for which nothing that was compiled lies about."""
    path = tmp_path / "lib/base.py"
    path.parent.mkdir()
    path.write_text("LABELS = 1\n")
    return path


@pytest.fixture
def reads(worker: Worker, tmp_path: Path, base: Path) -> Callable[[str], dict[str, Any]]:
    """Runs a step with this body; returns what was recorded."""
    net = tmp_path / "net"
    net.mkdir()
    tiny_model(net / "tiny.onnx")
    blob = Store.open(worker._store.root).put_bytes((net / "tiny.onnx").read_bytes())

    def run(body: str) -> dict[str, Any]:
        lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
        (net / "steps.py").write_text(f"{HEAD}{lines}\n    return model\n")
        code = {"text": "steps.py:step", "function": "step", "file": "@recipe/steps.py", "module": None}
        log = str(tmp_path / "log")
        tree = {"model.onnx": Entry(blob, blob)}
        params, runner = {"code": code, "with": {}}, KINDS["code"].runner
        job = Job("t", "code", "steps.py:step", params, {}, {}, tree, "0" * 16, str(net), log, runner, users_code=True)
        done = worker.run(job)
        assert isinstance(done, Done), done
        return dict(done.reads)

    return run


@pytest.mark.parametrize("loader", LOADERS)
def test_what_is_run_counts_as_code(reads: Callable[[str], dict[str, Any]], base: Path, loader: str) -> None:
    for _ in range(2):  # the second task of a worker as much as the first
        found = reads(LOADERS[loader])
        assert found["file"][NAME] == file_digest(base)
        assert found["text"] == {}


@pytest.mark.parametrize("loader", LOADERS)
def test_what_was_compiled_before_counts_by_its_source(
    reads: Callable[[str], dict[str, Any]], base: Path, loader: str
) -> None:
    py_compile.compile(str(base))
    assert reads(LOADERS[loader])["file"][NAME] == file_digest(base)


def test_compiled_code_without_a_source_counts_itself(reads: Callable[[str], dict[str, Any]], base: Path) -> None:
    py_compile.compile(str(base), cfile=str(base.with_suffix(".pyc")))
    found = reads("import runpy; runpy.run_path(str(BASE.with_suffix('.pyc')))")
    assert found["file"][f"{NAME}c"] == content_digest(base.with_suffix(".pyc"))


@pytest.mark.parametrize("reader", READERS)
def test_what_is_read_as_data_counts_with_its_comments(
    reads: Callable[[str], dict[str, Any]], base: Path, reader: str
) -> None:
    found = reads(READERS[reader])
    assert found["text"] == {NAME: content_digest(base)}
    assert NAME not in found["file"]


def test_lines_for_a_traceback_are_not_data(reads: Callable[[str], dict[str, Any]], base: Path) -> None:
    base.write_text("def labels():\n    return 1\n")
    found = reads(f"{LOADERS['spec'].rstrip()}\n        import inspect; inspect.getsource(module.labels)")
    assert found["file"][NAME] == file_digest(base) and found["text"] == {}


def test_an_archive_of_modules_counts(reads: Callable[[str], dict[str, Any]], base: Path) -> None:
    body = """
        import sys
        archive = str(BASE.with_name("all.zip"))
        sys.path.insert(0, archive)
        import packed
    """
    with zipfile.ZipFile(base.with_name("all.zip"), "w") as archive:
        archive.writestr("packed.py", "LABELS = 1\n")
    for _ in range(2):
        assert reads(body)["file"]["@recipe/../lib/all.zip"] == content_digest(base.with_name("all.zip"))


def test_what_an_installed_package_has_loaded_before_counts_again(
    reads: Callable[[str], dict[str, Any]], base: Path
) -> None:
    package = base.parents[1] / "python/site-packages/keeper"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import functools, runpy\n\n\n@functools.cache\ndef load(path):\n    return runpy.run_path(path)\n"
    )
    body = f"""
        import sys
        sys.path.insert(0, {str(package.parent)!r})
        import keeper
        keeper.load(str(BASE))
    """
    for _ in range(2):  # the package reads the file once in a process
        assert NAME in reads(body)["file"]


def test_what_a_package_imports_counts_with_it(reads: Callable[[str], dict[str, Any]], base: Path) -> None:
    brought = base.parents[1] / "python/site-packages"
    for name, text in {"outer": "import inner_one\n\ndef late():\n    import yaml\n", "inner_one": ""}.items():
        (brought / name).mkdir(parents=True)
        (brought / name / "__init__.py").write_text(text)
    body = f"""
        import sys
        sys.path.insert(0, {str(brought)!r})
        import outer
    """
    for _ in range(2):  # both stay imported
        found = reads(body)["package"]
        places = {f"@recipe/../python/site-packages/{name}" for name in ("outer", "inner_one")}
        assert found.keys() == {"PyYAML", *places}
        assert found["PyYAML"] == importlib.metadata.version("PyYAML")


def test_where_a_module_was_looked_for_counts(reads: Callable[[str], dict[str, Any]], base: Path) -> None:
    found = reads("import sys; sys.path.insert(1, str(BASE.parent)); import base")["module"]
    assert (found["@recipe/base"], found["@recipe/../lib/base"]) == (None, ".py")
    base.with_suffix("").mkdir()
    assert reads("import sys; sys.path.insert(1, str(BASE.parent)); import base")["module"] == found
    (base.with_suffix("") / "__init__.py").touch()
    found = reads("import sys; sys.path.insert(1, str(BASE.parent)); import base")["module"]
    assert found["@recipe/../lib/base"] == "/__init__.py"


@pytest.mark.parametrize(
    "ask",
    [
        "import base",
        "import importlib; importlib.import_module('base')",
        "import importlib.util; importlib.util.find_spec('base')",
    ],
)
def test_folders_that_are_searched_for_a_moment_count(
    reads: Callable[[str], dict[str, Any]], base: Path, ask: str
) -> None:
    first = base.parents[1] / "first"
    first.mkdir()
    found = reads(f"""
        import sys
        sys.path[:0] = [{str(first)!r}, str(BASE.parent)]
        {ask}
        del sys.path[:2]
    """)["module"]
    assert (found["@recipe/../first/base"], found["@recipe/../lib/base"]) == (None, ".py")
