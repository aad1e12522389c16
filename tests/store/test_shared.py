"""A store that several users share: the folder's group decides. Two real users, which only root can be.

A store that can only be read is tried as one of them, too.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from finnyaml.errors import StoreError
from finnyaml.store import Store, locks
from tests.store.samples import trace_of

GROUP, ONE, TWO, STRANGER = 54000, 54001, 54002, 54003
ROOT = Path(__file__).resolve().parents[2]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root can be two other users")

HEAD = """
import os, shutil, sys, traceback
from pathlib import Path
from finnyaml.store import Store
from finnyaml.store.upkeep import collect, verify
from tests.store.samples import trace_of
root, user, group, umask = Path(sys.argv[1]), *map(int, sys.argv[2:])
# Python itself may lie where other users cannot read it, so it becomes one when all is imported.
os.setgroups([group]); os.setgid(user); os.setuid(user); os.umask(umask); os.chdir("/")
store = Store.open(root)
"""


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A folder for a store, of the group, that all can reach."""
    opened = [folder for folder in (tmp_path, *tmp_path.parents) if folder.owner() == "root" and folder != Path("/")]
    before = {folder: stat.S_IMODE(folder.stat().st_mode) for folder in opened}
    for folder, mode in before.items():
        folder.chmod(mode | 0o011)
    root = tmp_path / "store"
    root.mkdir()
    os.chown(root, ONE, GROUP)
    root.chmod(0o2770)
    yield root
    for folder, mode in before.items():
        folder.chmod(mode)


def run_as(user: int, code: str, root: Path, *, umask: int = 0o022, group: int = GROUP) -> str:
    """What Python code prints as a user without capabilities; its error where it fails."""
    command: list[str | Path] = [sys.executable, "-c", HEAD + code, root, *map(str, (user, group, umask))]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else done.stderr


PUT = """
for number in range(12):
    store.add_trace(f"{number:02}key", trace_of(store, {"env": {"OF": "one"}}, a=f"{number}".encode()))
store.put_memo("memo", 1)
store.put_bytes(b"fresh: no trace refers to it yet")
print("put")
"""
TAKE = """
with store.lock("00key"), store.session():
    for number in range(12):
        (trace,) = store.traces(f"{number:02}key")
        assert all(store.read(blob) is not None for blob in store.reachable(trace))
        store.touch(f"{number:02}key")
        store.add_trace(f"{number:02}key", trace_of(store, {"env": {"OF": "two"}}, a=b"two"))
    store.sync([store.put_bytes(b"fresh: no trace refers to it yet")])
store.put_memo("memo", 2)
assert verify(store).sound
store.sweep_locks()
store.forget("07key")
collect(store)
print("taken")
"""


@needs_root
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_two_users_of_a_group(shared: Path, umask: int) -> None:
    assert run_as(ONE, PUT, shared, umask=umask) == "put\n"
    assert run_as(TWO, TAKE, shared, umask=umask) == "taken\n"
    assert run_as(ONE, "print(len(store.traces('08key')), store.memo('memo'))", shared, umask=umask) == "2 2\n"
    everything = [shared, *shared.rglob("*")]
    assert {path.stat().st_gid for path in everything} == {GROUP}
    assert not [path for path in everything if path.is_dir() and path.stat().st_mode & 0o2070 != 0o2070]


@needs_root
def test_the_umask_is_honoured_elsewhere(tmp_path: Path, shared: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, ONE, ONE)
    assert run_as(ONE, PUT, own / "store", umask=0o077) == "put\n"
    assert not [path for path in own.glob("store/**/*") if not path.is_file() and path.stat().st_mode & 0o077]
    assert run_as(ONE, PUT, shared, umask=0o077) == "put\n"
    assert not [path for path in shared.glob("traces/**/*") if path.stat().st_mode & 0o007]


@needs_root
def test_of_a_stranger(shared: Path) -> None:
    assert run_as(ONE, PUT, shared) == "put\n"
    said = run_as(STRANGER, "print('open')", shared, group=STRANGER)
    assert "StoreError: cannot use the store" in said and "permission denied" in said


@needs_root
def test_who_may_only_read(shared: Path) -> None:
    assert run_as(ONE, PUT, shared) == "put\n"
    shared.chmod(0o2755)
    look = """
with store.session():
    (trace,) = store.traces("07key")
    assert all(store.read(blob) is not None for blob in store.reachable(trace))
    store.touch("07key")
    store.put_memo("memo", 3)
print(store.read_only, store.memo("memo"))
"""
    assert run_as(STRANGER, look, shared, group=STRANGER) == "True 1\n"
    said = run_as(STRANGER, "store.add_trace('new', trace_of(store, a=b'new'))", shared, group=STRANGER)
    assert "cannot use the store" in said and "permission denied" in said


@needs_root
def test_leftovers_of_another_user_stay(shared: Path) -> None:
    assert run_as(ONE, "store.scratch('a'); print('made')", shared) == "made\n"
    assert run_as(TWO, "print(len([*(root / 'work').glob('*')]))", shared) == "1\n"
    assert run_as(ONE, "print(len([*(root / 'work').glob('*')]))", shared) == "0\n"


MOUNTS = "36 25 {device} / {folder} rw,relatime shared:1 - {kind} server:/lab rw,{options}\n"


@pytest.mark.parametrize(
    ("kind", "options", "refused"),
    [
        ("nfs4", "vers=4.2,rsize=1048576,local_lock=none,addr=10.0.0.1", None),
        ("nfs", "vers=3,nolock,local_lock=all", "`nolock`: its locks hold on this machine only"),
        ("nfs", "vers=3,local_lock=flock", "`local_lock=flock`"),
        ("lustre", "localflock", "`localflock`"),
        ("ext4", "nolock", None),
    ],
)
def test_locks_that_hold_on_one_machine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, refused: str | None
) -> None:
    """The mounts are made up: what the kernel says of real ones has this form."""
    root = tmp_path / "store"
    Store.open(root)
    device = root.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(device=number, folder=root, kind=kind, options=options))
    monkeypatch.setattr(locks, "_MOUNTS", mounts)
    if refused is None:
        Store.open(root)
        return
    with pytest.raises(StoreError, match="its locks hold on this machine only") as error:
        Store.open(root)
    assert refused in str(error.value)
    assert "mount that one with locks" in str(error.value.hint)


def test_a_lock_that_can_be_held_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a file system whose `flock` does nothing."""
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    with pytest.raises(StoreError, match="a file lock there can be held twice"):
        Store.open(store.root)


def test_a_lock_whose_file_another_machine_has_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """On NFS its name may be known for some time: here the path leads to the removed file as long as that is open."""
    path = store.root / "locks" / "key"
    looked = []

    def stale(self: Path, **_: object) -> os.stat_result:
        if self == path and not looked:
            looked.append(self)
            path.unlink()
            return os.fstat(opened[0])
        return os.stat(self)

    opened: list[int] = []
    real = os.open

    def noted(*arguments: object, **named: object) -> int:
        descriptor = real(*arguments, **named)  # type: ignore[arg-type]
        if arguments[0] == path:
            opened.append(descriptor)
            if len(opened) == 1:
                path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", noted)
    held = locks.acquire(path)
    assert held is not None and os.path.samestat(os.fstat(held), os.stat(path))
    locks.release(held)


def test_traces_of_a_store_are_readable(store: Store) -> None:
    store.add_trace("key", trace_of(store, a=b"x"))
    assert stat.S_IMODE((store.root / "traces/ke/key").stat().st_mode) & 0o400
