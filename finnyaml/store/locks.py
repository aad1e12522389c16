"""File locks between processes: `flock` on a file, which the kernel gives back whatever way the holder ends.

A lock belongs to the open file, so a child made by `fork` shares it: after `kill -9` of the holder it stays locked
until such children have ended too. Children started by `exec` (`subprocess`, spawned workers) do not inherit it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

from finnyaml import files

_MOUNTS = Path("/proc/self/mountinfo")
_LOCAL = {
    "nfs": ("nolock", "local_lock=flock", "local_lock=all"),
    "nfs4": ("nolock", "local_lock=flock", "local_lock=all"),
    "lustre": ("localflock",),
}
"""Network file systems, each with the options of a mount with which locks hold on this machine only."""


class NoLocks(OSError):
    """Locks do not keep processes apart in this folder."""


def probe(path: Path) -> None:
    """See that a lock on the file `path` cannot be taken a second time, and that other machines see it, too.

    `flock` works on NFS since Linux 2.6.12: a client asks the server for it (NFS 4; on NFS 3 by lockd).

    Raises:
        NoLocks: they do not work there, with the reason.
        OSError: the file cannot be opened to be written.
    """
    kind, options = _mount(path)
    local = next((option for option in _LOCAL.get(kind, ()) if option in options), None)
    if local is not None:
        raise NoLocks(errno.ENOLCK, f"it is {kind}, mounted with `{local}`: its locks hold on this machine only")
    held = acquire(path)
    if held is None:
        return  # another process tries it just now, and keeps us away
    try:
        again = acquire(path)
    finally:
        release(held)
    if again is not None:
        release(again)
        raise NoLocks(errno.ENOLCK, f"a file lock there can be held twice (the file system is {kind or 'unknown'})")


def _mount(path: Path) -> tuple[str, frozenset[str]]:
    """The type of the file system that `path` is on, and the options of its mount; ("", none) where nobody says."""
    device = os.stat(path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError):
        for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
            mounted, _, file_system = line.partition(" - ")
            if mounted.split()[2] == number:
                kind, _, options = file_system.split(" ", 2)
                return kind, frozenset(options.split(","))
    return "", frozenset()


def acquire(path: Path, *, shared: bool = False) -> int | None:
    """Take the lock without waiting: a descriptor for `release`, or None when somebody else holds it.

    NotAFile where something else lies at `path`. It is not removed: by then it may be the lock that another process
    has put there.
    """
    files.make_folder(path.parent)
    while True:
        descriptor = files.descriptor(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            # The file may have been unlinked between open and flock; whoever comes next would then lock another one.
            if _is_at(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def release(descriptor: int, unlink: Path | None = None) -> None:
    """Give the lock back; `unlink` names its file where it is to go, which is safe only while the lock is held."""
    try:
        if unlink is not None:
            with suppress(OSError):  # a lock file that stays is not worth an error: gc removes it
                unlink.unlink()
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    held = os.fstat(descriptor)
    if not held.st_nlink:
        return False  # on NFS the name may be known here for some time after another machine has removed the file
    try:
        return os.path.samestat(held, path.stat())
    except FileNotFoundError:
        return False
