"""Blobs: what is put is read, what was damaged is found, and a trace's blobs are safe before the trace is."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnyaml.store import ObjectDamaged, Store
from tests.store.samples import leftovers, object_file, overwrite

DATA = b"x <= {1, 2, 3};\n" * 20


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=8))
def test_what_is_put_is_read(blobs: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as root:
        store = Store.open(Path(root))
        digests = [store.put_bytes(blob) for blob in blobs]
        assert digests == [hashlib.sha256(blob).hexdigest() for blob in blobs]
        assert [store.read(digest) for digest in digests] == blobs
        assert {digest for digest, _ in store.objects()} == set(digests)


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (5 << 20) + 17])
def test_a_file_is_stored_as_its_bytes(store: Store, tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    digest = store.put_file(file)
    assert store.read(digest) == file.read_bytes()
    assert store.put_file(file) == store.put_bytes(file.read_bytes()) == digest
    assert leftovers(store) == []


def test_a_file_that_cannot_be_read_is_no_fault_of_the_store(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_file(tmp_path / "nothing")


def test_objects_are_read_only_and_marked_when_they_are_safe(store: Store) -> None:
    digest = store.put_bytes(DATA)
    assert _mode(store, digest) == 0o400
    store.sync([digest])
    assert _mode(store, digest) == 0o444


def test_only_objects_not_yet_safe_are_synced(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = store.put_bytes(DATA)
    store.sync([digest])
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("it is safe already"))
    store.sync([digest])
    assert store.put_bytes(DATA) == digest


def test_another_process_may_sync_what_this_one_put(store: Store) -> None:
    digest = store.put_bytes(DATA)
    Store.open(store.root).sync([digest])
    assert _mode(store, digest) == 0o444


DAMAGES: dict[str, Callable[[Path], None]] = {
    "one bit flipped": lambda path: overwrite(path, bytes([DATA[0] ^ 1]) + DATA[1:]),
    "truncated": lambda path: overwrite(path, DATA[:-1]),
    "emptied": lambda path: overwrite(path, b""),
    "longer": lambda path: overwrite(path, DATA + b"\n"),
    "deleted": lambda path: path.unlink(),
}


@pytest.mark.parametrize("safe", [False, True], ids=["fresh", "synced"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_dropped_and_healed(store: Store, damage: Callable[[Path], None], safe: bool) -> None:
    digest = store.put_bytes(DATA)
    if safe:
        store.sync([digest])
    damage(object_file(store, digest))
    with pytest.raises(ObjectDamaged) as error:
        store.read(digest)
    assert error.value.digest == digest
    assert not store.has(digest)
    assert store.put_bytes(DATA) == digest
    assert store.read(digest) == DATA


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_an_object_never_synced_is_looked_at_before_it_is_relied_on(
    store: Store, damage: Callable[[Path], None]
) -> None:
    """After a power cut such a file may have the right size and the wrong bytes."""
    digest = store.put_bytes(DATA)
    damage(object_file(store, digest))
    if object_file(store, digest).exists():
        object_file(store, digest).chmod(0o400)
    store.put_bytes(DATA)
    assert store.read(digest) == DATA


def test_an_object_of_the_wrong_size_is_written_again(store: Store) -> None:
    digest = store.put_bytes(DATA)
    store.sync([digest])
    overwrite(object_file(store, digest), DATA[:-1])
    object_file(store, digest).chmod(0o444)
    store.put_bytes(DATA)
    assert store.read(digest) == DATA


def test_a_dangling_link_in_place_of_an_object_is_written_over(store: Store) -> None:
    digest = store.put_bytes(DATA)
    object_file(store, digest).unlink()
    object_file(store, digest).symlink_to("nowhere")
    with pytest.raises(ObjectDamaged):
        store.read(digest)
    store.put_bytes(DATA)
    assert store.read(digest) == DATA


def test_missing_objects_cannot_be_synced(store: Store) -> None:
    with pytest.raises(ObjectDamaged):
        store.sync(["0" * 64])


@pytest.mark.parametrize("digest", ["", "abc", "../../../etc/passwd", "A" * 64, "0" * 64 + "\n"])
def test_what_is_no_digest_is_refused(store: Store, digest: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        store.read(digest)


def test_many_writers_of_one_object(store: Store) -> None:
    data = os.urandom(1 << 20)
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: store.put_bytes(data), range(40)))
    assert [store.read(digest) for digest in digests] == [data]
    assert leftovers(store) == []


def _mode(store: Store, digest: str) -> int:
    return stat.S_IMODE(object_file(store, digest).stat().st_mode)


def _clone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that can."""

    def ioctl(new: BinaryIO, request: int, old: int) -> None:
        assert request == 0x40049409
        new.write(os.pread(old, 1 << 20, 0))

    monkeypatch.setattr(fcntl, "ioctl", ioctl)


@pytest.mark.parametrize("cloned", [False, True])
def test_a_copy_is_verified_and_is_not_the_object(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloned: bool
) -> None:
    if cloned:
        _clone(monkeypatch)
    digest = store.put_bytes(DATA)
    path = tmp_path / "copy"
    store.copy(digest, path)
    assert path.read_bytes() == DATA and store.size(digest) == len(DATA)
    assert path.stat().st_ino != object_file(store, digest).stat().st_ino
    for damage in (DAMAGES["one bit flipped"], DAMAGES["truncated"], DAMAGES["deleted"]):
        store.put_bytes(DATA)
        damage(object_file(store, digest))
        with pytest.raises(ObjectDamaged):
            store.copy(digest, path)
        assert not store.has(digest)
        assert path.exists() is (damage is DAMAGES["deleted"]), "what is damaged is not left"
        path.write_bytes(b"another file")
