"""Asks the preloaded library to tell what this process and its children read while a step runs. Runs inside workers."""

from __future__ import annotations

import contextlib
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from finnyaml.tools.listen import Listener
from finnyaml.tools.preload import Unavailable, library
from finnyaml.worker.told import SYSTEM, Told

NEVER = ("/proc", "/sys", "/dev")
"""Not files."""

TOOLS = (*SYSTEM, "/tools/Xilinx")
"""What FINN's tools read there counts by their version."""


class Witness:
    """One per worker. `steps` are the folders of FINN's code, `ours` those of finnyaml."""

    def __init__(self, folder: Path, steps: list[Path], ours: list[Path], cache: Path) -> None:
        self._listener = Listener(folder)
        installed = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix}
        self._installed = sorted(installed - {"/", "/usr", "/usr/local", "/usr/bin", "/usr/local/bin"})
        self._steps, self._ours = steps, ours
        self._missing = None if Listener.hears_this_process() else _why_not(cache)

    @contextlib.contextmanager
    def listening(self, sandbox: Path, project: Path, *, users: bool) -> Iterator[Told]:
        """Listen inside the `with` block. `users`: whether the step is code of the recipe's author."""
        skipped = [*NEVER, *self._installed, *map(str, (*self._steps, *self._ours))]
        skipped += [str(sandbox / "tmp"), str(self._listener.folder), *(() if users else TOOLS)]
        rules = [("-", path) for path in skipped] + [("+", "/dev/shm"), ("+", str(project))]  # noqa: S108 - not used
        rules += [("l", path) for path in self._installed]
        rules += [("f", str(path)) for path in self._steps] + [("o", str(path)) for path in self._ours]
        told = Told(rules, users=users)
        if self._missing:
            told.blind = f"programs and native code are not watched: {self._missing}"
            yield told
            return
        self._listener.begin(rules)
        try:
            yield told
        finally:
            told.events, lost = self._listener.end()
            if lost:
                told.blind = "not all that was read could be noted"


def _why_not(cache: Path) -> str:
    try:
        library(cache)
    except Unavailable as error:
        return str(error)
    return "the library that does so is not loaded"
