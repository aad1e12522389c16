"""Places that cannot hold a store.

The tests may run as root, whom permissions do not bind, and on a disk that is not full. So "permission denied" and "no
space left" are stand-ins here: the system call is replaced by one that fails as the kernel would. Paths that lead
through a file, and the limit on the size of files, are real.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from finnyaml.errors import ExitCode, StoreError
from finnyaml.store import Store
from tests.store.samples import leftovers, trace_of


def test_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for root in (tmp_path / "file", tmp_path / "file" / "store"):
        with pytest.raises(StoreError, match=r"cannot use the store .*: a part of the path is a file") as error:
            Store.open(root)
        assert "another folder" in str(error.value.hint)
        assert error.value.exit_code == ExitCode.STEP_FAILED


def test_a_file_where_a_folder_of_the_store_should_be(store: Store) -> None:
    (store.root / "objects").write_text("x")
    with pytest.raises(StoreError, match="cannot use the store"):
        store.put_bytes(b"x")


FAILURES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "quota",
    errno.EROFS: "read-only",
    errno.EACCES: "permission denied",
    errno.EIO: os.strerror(errno.EIO),
}
USES: dict[str, Callable[[Store], object]] = {
    "put_bytes": lambda store: store.put_bytes(b"x"),
    "put_file": lambda store: store.put_file(Path(__file__)),
    "put_memo": lambda store: store.put_memo("name", 1),
    "open": lambda store: Store.open(store.root / "another"),
}


@pytest.mark.parametrize(("number", "words"), FAILURES.items(), ids=[errno.errorcode[number] for number in FAILURES])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_write_that_fails(
    store: Store, monkeypatch: pytest.MonkeyPatch, use: Callable[[Store], object], number: int, words: str
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(StoreError, match=words):
        use(store)
    monkeypatch.undo()
    assert leftovers(store) == []
    use(store)


def test_a_disk_full_while_a_trace_is_written_keeps_the_old_ones(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = trace_of(store, {"config": {"a": 1}}), trace_of(store, {"config": {"a": 2}})
    store.add_trace("key", old)
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StoreError, match="the disk is full") as error:
        store.add_trace("key", new)
    assert "gc" in str(error.value.hint)
    monkeypatch.undo()
    assert store.traces("key") == (old,)
    store.add_trace("key", new)
    assert store.traces("key") == (new, old)


def test_a_kernel_that_refuses_large_files_for_real(store: Store) -> None:
    code = (
        "import sys, resource; from pathlib import Path; from finnyaml.store import Store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); store = Store.open(Path(sys.argv[1]))\n"
        "store.put_bytes(b'small')\n"
        "try: store.put_bytes(b'x' * 100_000)\n"
        "except Exception as error: print(type(error).__name__, error.message)"
    )
    ended = subprocess.run([sys.executable, "-c", code, store.root], capture_output=True, text=True)
    assert ended.stdout.startswith(f"StoreError cannot use the store {store.root}: a file is larger than allowed")
    assert [status.st_size for _, status in store.objects()] == [5]
    assert leftovers(store) == []


def test_errors_of_the_user_of_a_lock_stay_what_they_are(store: Store) -> None:
    for held in (store.lock("key"), store.session(), store.alone()):
        with pytest.raises(FileNotFoundError), held:
            Path("/nothing/here").read_text()
