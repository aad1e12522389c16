"""What is kept in the cache of a store: whole or not at all, and for all users of a shared one."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from finnyaml.files import make_folder


def keep(file: Path, kept: Path) -> None:
    """Put a file into the cache; others see all of it or nothing."""
    make_folder(kept.parent)
    aside = kept.with_name(f".{kept.name}-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        shutil.copy(file, aside)
        with aside.open("rb") as copied:
            os.fsync(copied.fileno())  # else a power cut may leave the name without the content
        aside.replace(kept)
    finally:
        with suppress(FileNotFoundError):
            aside.unlink()
