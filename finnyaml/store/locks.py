"""File locks between processes: `flock` on a file, which the kernel gives back whatever way the holder ends.

A lock belongs to the open file, so a child made by `fork` shares it: after `kill -9` of the holder it stays locked
until such children have ended too. Children started by `exec` (`subprocess`, spawned workers) do not inherit it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from finnyaml import files


def acquire(path: Path, *, shared: bool = False) -> int | None:
    """Take the lock without waiting: a descriptor for `release`, or None when somebody else holds it.

    NotAFile where something else lies at `path`. It is not removed: by then it may be the lock that another process
    has put there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
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
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
