"""Ends what jobs started and left behind: daemons, children of a killed worker, whatever process group they are in.

They are known by their environment, which names the sandbox (`tools.environment.of_worker`) and which every child
inherits.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

_ROUNDS = 20
"""How often to look again: what is found may have started another process just before it ended."""


def end_strays(sandbox: Path) -> None:
    """Kill every process but this one whose environment names `sandbox`."""
    mark = f"FINN_BUILD_DIR={sandbox}/".encode()
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
