"""What preloaded processes tell (`native/reads.c`), from the folder where they do so."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = "FINNYAML_READS"
"""The variable that names the folder."""

TOLD = "told"
"""The folder's name in the sandbox of a worker."""


class Event(NamedTuple):
    """One observation; the letters are explained in `native/reads.c`."""

    process: int
    what: str
    who: str
    good: bool
    path: str


class Listener:
    """The folder of one worker, and what its processes are asked to tell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log"
        self._log.touch()
        (folder / "state").write_bytes(bytes(12))
        with open(folder / "state", "r+b") as file:
            self._state = memoryview(mmap.mmap(file.fileno(), 12)).cast("I")

    @staticmethod
    def hears_this_process() -> bool:
        """Whether the library is loaded into this very process."""
        return hasattr(ctypes.CDLL(None), "finnyaml_reads_begin")

    def begin(self, rules: Iterable[tuple[str, str]]) -> None:
        """From now on, tell. Each rule is a letter and a folder; of several that fit a path, the longest counts."""
        made = self.folder / "rules.new"
        made.write_bytes(b"".join(os.fsencode(f"{letter}{os.path.join(path, '')}\0") for letter, path in rules))
        os.replace(made, self.folder / "rules")  # processes may have mapped the former ones
        os.truncate(self._log, 0)
        self._state[1], self._state[2] = 0, (self._state[2] + 1) % 2**32
        if self.hears_this_process():
            ctypes.CDLL(None).finnyaml_reads_begin(os.fsencode(self.folder))
        self._state[0] = 1

    def end(self) -> tuple[Iterator[Event], bool]:
        """Stop; what was told, in order, and whether something was lost because it could not be written.

        The events are read as they are asked for, before `begin` comes again: there may be a million.
        """
        if self.hears_this_process():
            ctypes.CDLL(None).finnyaml_reads_end()
        self._state[0] = 0
        return self._events(), bool(self._state[1])

    def _events(self) -> Iterator[Event]:
        with open(self._log, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield _event(line[:-1])


def _event(line: bytes) -> Event:
    process, what, who, result, path = line.split(b" ", 4)
    plain = re.sub(rb"\\(.)", lambda found: b"\n" if found[1] == b"n" else found[1], path) if b"\\" in path else path
    return Event(int(process), what.decode(), who.decode(), result == b"+", os.fsdecode(plain))
