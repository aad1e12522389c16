"""Commands as a person sees them: on a terminal of so many columns."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.project import ROOT


def screen(arguments: list[str], folder: Path, store: Path, columns: int = 80) -> list[str]:
    """The lines that `finnyaml` prints, standard output and standard error, on a terminal without colour."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "FINNYAML_STORE": str(store), "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TERM": "dumb"}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "finnyaml", *arguments]
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not part:
                break
            said += part
    os.close(ours)
    return said.decode().replace("\r\n", "\n").splitlines()
