"""Nothing of the user's is written while their script runs for `finnyaml import`. Inside the script's own process.

The script runs in a copy of its folder, so what it does there is its own affair. Python tells of every other file that
it is about to open for writing, to make, to rename or to remove (audit hooks), and that is refused in words. Where
Linux can refuse it, too (`landlock`), that holds for native code and for programs that the script starts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_DEVICES = (os.devnull, "/dev/tty")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_ENTRIES = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.mkdir": ((0, 2),),
    "shutil.rmtree": ((0, 1),),
}
"""Events that change an entry of a folder: where among their arguments are its path, and the folder it starts from."""

_FILES = {
    "os.link": ((0, 2), (1, 3)),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
}
"""Events that change a file, wherever a link to it lies."""


class Refused(PermissionError):
    """The script is about to change a file outside of its copy."""


def install(allowed: Sequence[Path], shown: Callable[[str], str]) -> None:
    """Refuse from now on every change outside of the folders `allowed`. `shown` is how messages name a path."""
    folders = [os.path.realpath(folder) for folder in allowed]

    def inside(real: str) -> bool:
        if real in _DEVICES or real.startswith("/dev/shm/"):  # noqa: S108 - shared memory
            return True
        return any(real == folder or real.startswith(folder + os.sep) for folder in folders)

    def check(path: Any, start: Any, *, entry: bool) -> None:
        if isinstance(path, int):
            return  # a file that is open already
        text = os.fsdecode(path)
        if isinstance(start, int) and start >= 0:
            text = os.path.join(os.path.realpath(f"/proc/self/fd/{start}"), text)
        parent, name = os.path.split(os.path.abspath(text))
        place = os.path.join(os.path.realpath(parent), name)
        # Through a link, too: in the copy are links to what is large.
        if not inside(place) or (not entry and not inside(os.path.realpath(text))):
            raise Refused(
                f"it wants to change {shown(text)}: finnyaml import lets a script write in a copy of its folder only"
            )

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else (flags or 0) & _WRITES
            if writes and isinstance(path, (str, bytes, os.PathLike)):
                check(path, None, entry=False)
        for table in (_ENTRIES, _FILES):
            for index, start in table.get(event, ()):
                folder = None if start is None or start >= len(arguments) else arguments[start]
                check(arguments[index], folder, entry=table is _ENTRIES)

    sys.addaudithook(hook)
