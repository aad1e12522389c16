"""The sandbox holds exactly what a task is given, and what the task left is found again, whatever it did."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from finnyaml.store import Entry, ObjectDamaged, Store
from finnyaml.worker.content import Places
from finnyaml.worker.sandbox import STAMP, Sandbox
from tests.store.samples import entry
from tests.worker.models import model


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def sandbox_at(root: Path, store: Store) -> Sandbox:
    root.mkdir(parents=True, exist_ok=True)
    return Sandbox(root, store, Places.of(root, {}))


@pytest.fixture
def sandbox(tmp_path: Path, store: Store) -> Sandbox:
    made = sandbox_at(tmp_path / "one", store)
    made.checkout({}, {})
    return made


def write(sandbox: Sandbox, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = sandbox.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def held(sandbox: Sandbox) -> dict[str, str]:
    """Every path below the sandbox: the text of files, what a link points to, and "/" for a folder."""
    found = {}
    for directory, folders, names in os.walk(sandbox.root):
        for path in (Path(directory, name) for name in (*folders, *names)):
            kind = f"-> {os.readlink(path)}" if path.is_symlink() else "/" if path.is_dir() else ""
            found[str(path.relative_to(sandbox.root))] = kind or path.read_text()
    return found


EMPTY = dict.fromkeys(("build", "out", "inputs", "tmp"), "/")


def test_what_a_task_made_is_taken_out_and_laid_into_another_sandbox(
    sandbox: Sandbox, store: Store, tmp_path: Path
) -> None:
    files = {"build/code_x/top.v": "module", "out/report/a.json": "{}", "build/run.sh": f"cd {sandbox.root}/build"}
    write(sandbox, files)
    tree, removed = sandbox.commit({})
    assert tree.keys() == files.keys() and not removed
    other = sandbox_at(tmp_path / "a longer (path) than the first", store)
    other.checkout(tree, {"images.npy": entry(store, b"data")})
    assert held(other) == EMPTY | {
        "build/code_x": "/",
        "out/report": "/",
        "inputs/images.npy": "data",
        **files,
        "build/run.sh": f"cd {other.root}/build",
    }
    assert other.commit(tree) == ({}, ())


def test_files_elsewhere_in_the_sandbox_are_not_taken_out(sandbox: Sandbox) -> None:
    write(sandbox, {"tmp/a": "a", "inputs/b": "b", "stray": "c"})
    assert sandbox.commit({}) == ({}, ())


def test_what_an_earlier_task_left_is_gone(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    write(sandbox, {"build/a/b": "1", "out/keep": "2", "tmp/t": "3", "inputs/i": "4", "model.onnx": "5"})
    tree, _ = sandbox.commit({})
    (sandbox.root / "build/empty/deep").mkdir(parents=True)
    (sandbox.root / "out/link").symlink_to("keep")
    (sandbox.root / "out/nowhere").symlink_to("/does/not/exist")
    (sandbox.root / "build/folder").symlink_to(sandbox.root / "build/a")
    listener = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(sandbox.root)  # the path of a socket may have some hundred characters only
    listener.bind("build/socket")
    listener.close()
    sandbox.checkout({"out/keep": tree["out/keep"]}, {})
    assert held(sandbox) == EMPTY | {"out/keep": "2"}


def test_a_folder_in_the_place_of_a_file_and_a_file_in_the_place_of_a_folder(sandbox: Sandbox) -> None:
    write(sandbox, {"build/a": "file", "build/b/c": "in a folder"})
    tree, _ = sandbox.commit({})
    sandbox.checkout({}, {})
    write(sandbox, {"build/a/x": "folder", "build/b": "file"})
    sandbox.checkout(tree, {})
    assert held(sandbox) == EMPTY | {"build/a": "file", "build/b": "/", "build/b/c": "in a folder"}


def test_files_that_are_there_already_are_not_written_again(
    sandbox: Sandbox, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(sandbox, {"build/a": "1", "model.onnx": "2"})
    tree, _ = sandbox.commit({})
    monkeypatch.setattr(store, "read", lambda blob: pytest.fail("read from the store"))
    sandbox.checkout(tree, {})
    assert sandbox.commit(tree) == ({}, ())


def test_a_file_that_a_failed_task_changed_is_put_right(sandbox: Sandbox) -> None:
    write(sandbox, {"build/a": "1111", "build/b": "2"})
    tree, _ = sandbox.commit({})
    sandbox.checkout(tree, {})
    write(sandbox, {"build/a": "9999"})
    (sandbox.root / "build/b").unlink()
    sandbox.checkout(tree, {})
    assert held(sandbox) == EMPTY | {"build/a": "1111", "build/b": "2"}


def test_new_changed_and_removed_files_are_seen(sandbox: Sandbox) -> None:
    write(sandbox, {"build/same": "1", "build/changed": "2", "build/removed": "3"})
    tree, _ = sandbox.commit({})
    sandbox.checkout(tree, {})
    write(sandbox, {"build/changed": "4", "build/new": "5"})
    (sandbox.root / "build/removed").unlink()
    changed, removed = sandbox.commit(tree)
    assert (changed.keys(), removed) == ({"build/changed", "build/new"}, ("build/removed",))


def test_a_change_is_seen_at_once_even_with_equal_size_and_kept_times(sandbox: Sandbox) -> None:
    write(sandbox, {"build/a": "1111", "build/b": "2222"})
    tree, _ = sandbox.commit({})
    sandbox.checkout(tree, {})
    shutil.copy2(sandbox.root / "build/b", sandbox.root / "build/a")
    with (sandbox.root / "build/b").open("r+") as file:
        file.write("3")
    changed, _ = sandbox.commit(tree)
    assert changed.keys() == {"build/a", "build/b"}
    assert changed["build/a"] == tree["build/b"]


def test_times_are_the_same_whether_files_were_left_or_restored(sandbox: Sandbox, store: Store, tmp_path: Path) -> None:
    """So `make` and its like find the same, and a change within one tick of the clock still shows."""
    write(sandbox, {"build/a.o": "1", "build/b.v": "2"})
    tree, _ = sandbox.commit({})
    other = sandbox_at(tmp_path / "two", store)
    other.checkout(tree, {})
    assert {(made.root / name).stat().st_mtime_ns for made in (sandbox, other) for name in tree} == {STAMP}


def test_a_change_of_permissions_is_one(sandbox: Sandbox, store: Store, tmp_path: Path) -> None:
    write(sandbox, {"build/run.sh": "echo", "build/a": ""})
    tree, _ = sandbox.commit({})
    sandbox.checkout(tree, {})
    (sandbox.root / "build/run.sh").chmod(0o755)
    changed, _ = sandbox.commit(tree)
    assert changed["build/run.sh"].mode == 0o755
    other = sandbox_at(tmp_path / "two", store)
    other.checkout(tree | changed, {})
    assert os.access(other.root / "build/run.sh", os.X_OK)
    assert not os.access(other.root / "build/a", os.X_OK)


def test_a_file_nobody_may_read_or_write_is_kept_readable(sandbox: Sandbox) -> None:
    write(sandbox, {"build/secret": "x"})
    (sandbox.root / "build/secret").chmod(0o000)
    tree, _ = sandbox.commit({})
    assert tree["build/secret"].mode == 0o600
    sandbox.checkout(tree, {})
    assert sandbox.commit(tree) == ({}, ())


def test_an_equal_file_written_again_is_no_change(sandbox: Sandbox) -> None:
    write(sandbox, {"build/a": "1"})
    tree, _ = sandbox.commit({})
    write(sandbox, {"build/a": "1"})
    assert sandbox.commit(tree) == ({}, ())


def test_links_count_as_what_they_point_to(sandbox: Sandbox, tmp_path: Path) -> None:
    write(sandbox, {"build/v1/a": "1"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "big.bin").write_text("not ours")
    (outside / "big.bin").chmod(0o444)
    before = (outside / "big.bin").stat()
    for name, target in {
        "build/latest": "v1",
        "build/v1/self": "..",  # would never end
        "build/link": "v1/a",
        "build/dangling": "nowhere",
        "build/file": str(outside / "big.bin"),
        "build/dataset": str(outside),
    }.items():
        (sandbox.root / name).symlink_to(target)
    tree, _ = sandbox.commit({})
    assert tree.keys() == {"build/v1/a", "build/latest/a", "build/link", "build/file"}
    after = (outside / "big.bin").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    sandbox.checkout(tree, {})
    texts = {"build/v1/a": "1", "build/latest/a": "1", "build/link": "1", "build/file": "not ours"}
    assert held(sandbox) == EMPTY | {"build/v1": "/", "build/latest": "/"} | texts
    assert sandbox.commit(tree) == ({}, ())


def test_odd_names(sandbox: Sandbox, store: Store, tmp_path: Path) -> None:
    files = {"out/a b (1).txt": "1", "out/$HOME/*.v": "2", "out/ä\n": "3", "out/caf\udce9": "4"}
    write(sandbox, files)
    tree, _ = sandbox.commit({})
    other = sandbox_at(tmp_path / "two", store)
    other.checkout(tree, {})
    assert held(other) == EMPTY | {"out/$HOME": "/"} | files


def test_a_lost_object_is_named(sandbox: Sandbox) -> None:
    lost = Entry("0" * 64, "0" * 64)
    with pytest.raises(ObjectDamaged):
        sandbox.checkout({"build/a": lost}, {})


def test_the_closure_follows_models_and_folders(sandbox: Sandbox) -> None:
    root = sandbox.root
    proto = model(str(root / "build/code_gen_0"))
    proto.metadata_props.add(key="parent", value=str(root / "out/parent.onnx"))
    parent = model(f"{root}/build/deep/only_parent.dat")
    parent.metadata_props.add(key="back", value=str(root / "model.onnx"))
    write(sandbox, {"build/code_gen_0/a.v": "1", "build/code_gen_0/sub/b.v": "2", "build/code_gen_01/c.v": "3"})
    write(sandbox, {"build/deep/only_parent.dat": "4", "build/deep/not.dat": "5", "out/report.json": "6"})
    (root / "model.onnx").write_bytes(proto.SerializeToString())
    (root / "out/parent.onnx").write_bytes(parent.SerializeToString())
    tree, _ = sandbox.commit({})
    closure = sandbox.closure(tree)
    assert closure.keys() == {
        "model.onnx",
        "out/parent.onnx",
        "build/code_gen_0/a.v",
        "build/code_gen_0/sub/b.v",
        "build/deep/only_parent.dat",
    }
    assert all(tree[path].digest == digest for path, digest in closure.items())
    assert sandbox.closure({path: entry for path, entry in tree.items() if path != "model.onnx"}) == {}


@pytest.mark.parametrize("name", ["tmp", "inputs"])
def test_a_folder_that_cannot_be_emptied_is_told_as_what_it_is(
    sandbox: Sandbox, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rmdir(*_: object, **more: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)

    monkeypatch.setattr(os, "rmdir", rmdir)
    with pytest.raises(OSError, match="Input/output error"):
        sandbox._empty(name)
