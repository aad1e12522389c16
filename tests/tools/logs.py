"""What is found in one log."""

from __future__ import annotations

import tempfile
from pathlib import Path

from finnyaml.tools.failure import ErrorLine, first_error_of


def first_error(log: str | Path) -> ErrorLine | None:
    """The first real cause in a log: a file, or its text."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "log")
        if isinstance(log, str):
            file.write_bytes(log.encode("utf-8", "replace"))
        found = first_error_of([file if isinstance(log, str) else log])
    return found[1] if found else None
