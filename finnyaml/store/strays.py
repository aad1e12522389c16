"""Ends what jobs started and left behind: daemons, children of a killed worker, whatever process group they are in.

They are known by their environment: that of a worker names its scratch folder (`tools.environment.of_worker`), and
every child inherits it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

_ROUNDS = 20
"""How often to look again: what is found may have started another process just before it ended."""


def end_strays(scratch: Path) -> None:
    """Kill every process but this one whose environment names something in the folder `scratch`."""
    mark = f"={scratch}/".encode()
    for _ in range(_ROUNDS):
        found = [process for process in _processes() if mark in _environment(process)]
        for process in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        if not found:
            return


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _environment(process: int) -> bytes:
    """That which the process started with; nothing of one that has ended, or is another user's."""
    try:
        return Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return b""
