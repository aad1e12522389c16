"""Let Linux itself refuse writes outside of some folders, for this process and all that it starts (Landlock).

Needs no rights, and a Linux from 5.13 on that has it switched on. Threads that run already are not bound.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""Numbers of the system calls, on every architecture."""

_VERSION, _PATH_BENEATH, _NO_NEW_PRIVS = 1, 1, 38
_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
_MAKE_AND_REMOVE = sum(1 << bit for bit in range(4, 13))


def restrict(folders: Sequence[Path]) -> bool:
    """Allow changes of files below `folders` only; whether this Linux can. Reading stays as it was."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, 0, _VERSION)
    if version < 1:
        return False
    for_files = _WRITE_FILE | (_TRUNCATE if version >= 3 else 0)
    handled = for_files | _MAKE_AND_REMOVE | (_REFER if version >= 2 else 0)
    attributes = struct.pack("Q", handled)
    rules = libc.syscall(_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        for path in (*folders, Path("/dev/shm"), Path(os.devnull), Path("/dev/tty")):  # noqa: S108 - shared memory
            if path.exists():
                opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
                rule = struct.pack("=Qi", handled if path.is_dir() else for_files, opened)
                libc.syscall(_ADD, rules, _PATH_BENEATH, rule, 0)
                os.close(opened)
        libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(libc.syscall(_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)
