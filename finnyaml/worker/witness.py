"""Asks the preloaded library to tell what this process and its children read while a step runs. Runs inside workers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from finnyaml.tools.listen import Listener
from finnyaml.tools.preload import Unavailable, library
from finnyaml.worker.askers import ENVIRONMENTS, INSTALLED, STANDARD
from finnyaml.worker.told import SYSTEM, Told

NEVER = ("/proc", "/sys", "/dev")
"""Not files."""

TOOLS = (*SYSTEM, "/tools/Xilinx")
"""What FINN's tools read there counts by their version."""


class Witness:
    """One per worker. `steps` are the folders of FINN's code, `ours` those of finnyaml, `plugins` those of plug-ins."""

    def __init__(self, folder: Path, steps: list[Path], ours: list[Path], plugins: list[Path], cache: Path) -> None:
        self._listener = Listener(folder)
        kinds = {"l": map(Path, STANDARD | ENVIRONMENTS | INSTALLED), "f": steps, "o": ours, "u": plugins}
        self._code = [(letter, str(path)) for letter, paths in kinds.items() for path in paths]
        self._missing = None if Listener.hears_this_process() else _why_not(cache)

    @contextlib.contextmanager
    def listening(self, sandbox: Path, project: Path, *, users: bool, finns: bool = False) -> Iterator[Told]:
        """Listen inside the `with` block.

        `users`: the step is code of the recipe's author. `finns`: it is FINN's, so that its tools count by their
        version, wherever they are installed.
        """
        skipped = [*NEVER, *(path for _, path in self._code), str(sandbox / "tmp"), str(self._listener.folder)]
        skipped += () if users else TOOLS
        looked_at = ["/dev/shm", str(project), str(sandbox)]  # noqa: S108 - not used
        rules = [*(("-", path) for path in skipped), *(("+", path) for path in looked_at), *self._code]
        told = Told(rules, users=users, finns=finns)
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
