"""Whether the files of a bundle are still those that were built. Nothing is executed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from .contract import Bundle

MISSING = "missing"
OWN_FOLDERS = ("accelerator", "driver", "graphs")
"""Where every file counts, listed or not: they are imported, and FINN's driver loads all weights that it finds."""


def changed_files(bundle: Bundle) -> list[tuple[str, str]]:
    """Every file that is not as bundle.json has it: its path in the bundle and what is wrong with it.

    In `OWN_FOLDERS` files that bundle.json does not have count, too.
    """
    listed = sorted(bundle.data["files"].items())
    found = [(name, _change(bundle.path(name), entry["bytes"], entry["sha256"])) for name, entry in listed]
    found += [(name, "is not of this bundle") for name in unlisted_files(bundle)]
    return [(name, what) for name, what in found if what]


def change_of(bundle: Bundle, relative: str) -> str:
    """What is wrong with one file of the bundle; empty where nothing is, or bundle.json does not list it."""
    entry = bundle.data["files"].get(relative)
    return "" if entry is None else _change(bundle.path(relative), entry["bytes"], entry["sha256"])


def unlisted_files(bundle: Bundle) -> list[str]:
    """The files below `OWN_FOLDERS` that bundle.json does not list; what Python keeps in __pycache__ is not a file."""
    found = (path for folder in OWN_FOLDERS for path in (bundle.folder / folder).rglob("*") if not path.is_dir())
    names = {path.relative_to(bundle.folder).as_posix() for path in found if "__pycache__" not in path.parts}
    return sorted(names - set(bundle.data["files"]))


def _change(path: Path, size: int, sha256: str) -> str:
    """What is wrong with a file; empty where nothing is."""
    if not path.is_file():
        return MISSING
    actual = path.stat().st_size
    if actual < size:
        return f"truncated: {actual} of {size} bytes"
    if actual > size:
        if _unix_digest(path) == sha256:
            return "its line ends are those of Windows (CRLF): an editor or git has changed them"
        return f"{actual - size} bytes longer than the {size} that were built"
    return "" if sha256_of(path) == sha256 else "its content is not what was built (SHA-256 differs)"


def _unix_digest(path: Path) -> str:
    """The SHA-256 of a small file with the line ends of Unix; empty for a large one, which is not text."""
    if path.stat().st_size > 1 << 20:
        return ""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()
