"""What a worker does around a step: sorts what it read, makes its random names repeatable, undoes what it left."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from multiprocessing.connection import Listener
from multiprocessing.process import current_process
from pathlib import Path
from typing import Any

import pytest

from finnyaml.kinds import KINDS
from finnyaml.steps.code import forget_user_modules
from finnyaml.store import Entry, Store
from finnyaml.store.digests import file_digest, folder_digest, listing_digest
from finnyaml.store.names import Names
from finnyaml.worker.attempt import attempt
from finnyaml.worker.job import Done, Failure, Job
from finnyaml.worker.recorder import Reads
from finnyaml.worker.worker import Worker, _classify, _deterministic
from tests.project import tiny_model


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    for name in ("build", "out/report", "inputs", "tmp", "project/data"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def classified(sandbox: Path, reads: Reads, before: Mapping[str, Entry], begun: int = 2**63) -> tuple[Any, Any]:
    names = Names(sandbox, sandbox.parent / "recipe")
    return _classify(reads, names, before, {"model.onnx": "m", "build/of_model/top.v": "t"}, begun)


ENTRY = Entry("b", "digest")


def test_files_are_sorted_by_where_they_are(sandbox: Path) -> None:
    (sandbox / "inputs/a.npy").write_text("input")
    (sandbox / "out/own.json").write_text("made by the step itself")
    (sandbox / "tmp/own").write_text("scratch")
    outside = sandbox.parent / "recipe.npy"
    outside.write_text("outside")
    inside = ["model.onnx", "build/of_model/top.v", "inputs/a.npy", "tmp/own"]
    inside += ["out/given.json", "out/gone.json", "out/own.json"]
    reads = Reads(files={str(outside), str(sandbox.parent / "gone.npy"), *(str(sandbox / name) for name in inside)})
    found, unsure = classified(sandbox, reads, {"out/given.json": ENTRY, "model.onnx": ENTRY})
    assert found["file"] == {
        "@recipe/../recipe.npy": file_digest(outside),
        "@recipe/../gone.npy": None,
        "@inputs/a.npy": file_digest(sandbox / "inputs/a.npy"),
    }
    # The model and what it refers to are in the digest of the input already.
    assert found["tree"] == {"out/given.json": "digest", "out/gone.json": None}
    assert unsure == ()


def test_folders_inside_count_as_they_were_before_the_step(sandbox: Path) -> None:
    before = {"out/report/a.json": ENTRY, "build/x/top.v": ENTRY}
    inside = ("out", "out/report", "build", "build/new", "tmp", "inputs", "")
    reads = Reads(folders={str(sandbox / name) for name in inside} | {str(sandbox.parent)})
    found, _ = classified(sandbox, reads, before)
    assert found["tree"] == {
        "out/": listing_digest(before, "out"),
        "out/report/": listing_digest(before, "out/report"),
        "build/": listing_digest(before, "build"),
        "build/new/": None,
    }
    assert found["dir"][f"@recipe/../{sandbox.name}"] == folder_digest(sandbox)


def test_an_input_that_changed_under_the_step_is_unsure(sandbox: Path) -> None:
    old, new = sandbox.parent / "old.npy", sandbox.parent / "new.npy"
    for path in (old, new):
        path.write_text("x")
    begun = time.time_ns()
    os.utime(old, ns=(begun - 1, begun - 1))
    os.utime(new, ns=(begun + 1, begun + 1))
    _, unsure = classified(sandbox, Reads(files={str(old), str(new)}), {}, begun)
    assert unsure == (str(new),)


def test_random_names_follow_from_the_job(tmp_path: Path) -> None:
    def drawn(seed: str, folder: str) -> tuple[float, list[str]]:
        root = tmp_path / folder
        (root / "tmp").mkdir(parents=True)
        with _deterministic(seed, root):
            folders = [
                tempfile.mkdtemp(prefix="code_gen_"),
                tempfile.mkdtemp(prefix="code_gen_"),
                tempfile.mkdtemp("x"),
            ]
            with tempfile.TemporaryDirectory() as another:
                folders.append(another)
            return random.random(), [str(Path(path).relative_to(root)) for path in folders]

    mkdtemp = tempfile.mkdtemp
    one = drawn("0123456789abcdef", "a")
    assert one == drawn("0123456789abcdef", "another")
    assert one[1] == ["tmp/code_gen_0", "tmp/code_gen_1", "tmp/tmp0x", "tmp/tmp0"]
    assert one[0] != drawn("0123456789abcdee", "b")[0]
    assert tempfile.mkdtemp is mkdtemp


def test_processes_of_a_step_can_talk_however_long_its_path_is(tmp_path: Path) -> None:
    root = tmp_path / ("long" * 30)
    (root / "tmp").mkdir(parents=True)
    with _deterministic("0123456789abcdef", root), Listener(family="AF_UNIX") as listener:
        (socket,) = (root / "tmp").iterdir()
        assert socket.name == Path(str(listener.address)).name
    assert "tempdir" not in current_process()._config  # type: ignore[attr-defined]


STEPS = """
import os
from pathlib import Path
import helper

def look(model, cfg, **more):
    os.environ["FINN_LEFT_BEHIND"] = "1"
    Path("../../net/../shared/table.txt").exists()
    (Path(__file__).parent / "../shared/table.txt").read_text()
    os.listdir(cfg.output_dir)
    model.set_metadata_prop("by", str(helper.BY))
    return model

def left(model, cfg):
    assert "FINN_LEFT_BEHIND" not in os.environ
    return model

def fail(model, cfg):
    os.environ["FINN_LEFT_BEHIND"] = "1"
    raise ValueError("no")
"""


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
def net(tmp_path: Path) -> Path:
    """A recipe's folder, reached through a link."""
    folder = tmp_path / "disk/net"
    folder.mkdir(parents=True)
    (tmp_path / "disk/shared").mkdir()
    (tmp_path / "disk/shared/table.txt").write_text("x")
    (folder / "steps.py").write_text(STEPS)
    (folder / "helper_v1.py").write_text("BY = 1\n")
    (folder / "helper.py").symlink_to("helper_v1.py")
    tiny_model(folder / "tiny.onnx")
    (tmp_path / "net").symlink_to(folder)
    return tmp_path / "net"


@pytest.fixture
def run(worker: Worker, net: Path, tmp_path: Path) -> Callable[[str], Done | Failure]:
    store = Store.open(worker._store.root)
    blob = store.put_bytes((net / "tiny.onnx").read_bytes())
    code = {"text": "steps.py:f", "function": "f", "file": "@recipe/steps.py", "module": None}

    def run(function: str) -> Done | Failure:
        params = {"code": {**code, "function": function}, "with": {}}
        tree = {"model.onnx": Entry(blob, blob)}
        log = str(tmp_path / "log")
        return attempt(
            worker,
            Job(
                "t",
                "code",
                "steps.py:f",
                params,
                {},
                {},
                tree,
                "0" * 16,
                str(net),
                log,
                KINDS["code"].runner,
                users_code=True,
            ),
        )

    return run


def test_a_step_behind_a_link_is_recorded_by_names_that_travel(run: Callable[[str], Done | Failure], net: Path) -> None:
    done = run("look")
    assert isinstance(done, Done), done
    assert done.reads["file"].keys() == {"@recipe/steps.py", "@recipe/helper.py", "@recipe/../shared/table.txt"}
    assert done.reads["tree"] == {"out/": None}
    assert done.reads["env"].keys() <= {"FINN_DEBUG"}  # which FINN asks for where it is imported first
    assert done.config_reads == ("output_dir",)
    names = Names(None, net)
    assert all(file_digest(names.path(name)) == digest for name, digest in done.reads["file"].items())
    # A link that leads elsewhere is another file, even if both old files stay as they are.
    (net / "helper_v2.py").write_text("BY = 2\n")
    (net / "helper.py").unlink()
    (net / "helper.py").symlink_to("helper_v2.py")
    assert file_digest(names.path("@recipe/helper.py")) != done.reads["file"]["@recipe/helper.py"]
    again = run("look")
    assert isinstance(again, Done)
    assert again.digest != done.digest


@pytest.mark.parametrize("before", ["look", "fail"])
def test_a_step_finds_nothing_of_the_one_before(run: Callable[[str], Done | Failure], before: str) -> None:
    run(before)
    assert isinstance(run("left"), Done)


def test_a_job_that_fails_says_so(run: Callable[[str], Done | Failure]) -> None:
    failure = run("fail")
    assert isinstance(failure, Failure)
    assert (failure.type, failure.message) == ("ValueError", "no")
    assert replace(failure, traceback="").damaged is None
