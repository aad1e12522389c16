"""Digests of what lies outside the store: files and folders that builds read, and code."""

from __future__ import annotations

import ast
import hashlib
import json
import marshal
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from finnyaml.files import entries, reading

Memo = Callable[[str], Any]
PutMemo = Callable[[str, Any], None]

RACY = 2_000_000_000
"""A file touched within this time (ns) may change again without a new time."""


def digest_of(data: Any) -> str:
    """SHA-256 of the canonical JSON form of plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_digest(path: str | Path) -> str | None:
    """Digest of a file as a trace records it; None where there is no such file.

    Python sources count by their syntax tree: comments and formatting do not change what code does. For one that was
    read as data there is `content_digest`.
    """
    return _digest(path, as_code=str(path).endswith(".py"))


def content_digest(path: str | Path) -> str | None:
    """Digest of the bytes of a file, whatever it is; None where there is no such file."""
    return _digest(path, as_code=False)


def _digest(path: str | Path, *, as_code: bool) -> str | None:
    digest = hashlib.sha256()
    try:
        with reading(path, follow=True) as file:
            if as_code:
                digest.update(code_form(file.read()))
            while chunk := file.read(1 << 20):  # data sets may be larger than memory
                digest.update(chunk)
    except OSError:
        return None
    return digest.hexdigest()


def code_form(source: bytes) -> bytes:
    """Python source without comments and formatting; the source itself where it does not parse."""
    try:
        return ast.dump(ast.parse(source)).encode()
    except (SyntaxError, ValueError):
        return source


def look_digest(path: str | Path) -> str | None:
    """What whoever asks for a file without opening it is told: the digest of its bytes (so their number and their time
    count), and whether it is a program; of anything else only what it is. None where there is nothing.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(mode):
        return "folder" if stat.S_ISDIR(mode) else "special"
    return f"{content_digest(path)}{' program' if mode & 0o111 else ''}"


def link_digest(path: str | Path) -> str | None:
    """As `look_digest`, but of a link itself: where it leads."""
    try:
        return f"link to {os.readlink(path)}"
    except (OSError, ValueError):
        return look_digest(path)


def looks_digest(folder: str | Path, memo: Memo, put_memo: PutMemo) -> str | None:
    """What whoever lists a folder and asks for everything in it is told; None where there is no such folder.

    There may be very many files in it, so it is remembered under what tells whether they are as they were.
    """
    settled = time.time_ns() - RACY
    try:
        found = entries(folder)
    except OSError:
        return None
    name = f"looks-{hashlib.sha256(marshal.dumps((str(folder), found), 2)).hexdigest()}"  # twice as fast as `repr`
    known = memo(name)
    if known is not None:
        return str(known["digest"])
    digest = hashlib.sha256()
    for entry, leads, _ in found:
        said = f"{entry}\0{leads}\0{look_digest(os.path.join(folder, entry))}\n"
        digest.update(said.encode(errors="surrogateescape"))
    if all(max(signature[2:4], default=0) < settled for *_, signature in found if signature):
        put_memo(name, {"digest": digest.hexdigest()})
    return digest.hexdigest()


def folder_digest(path: str | Path) -> str | None:
    """Digest of the names in a folder; None where there is no such folder."""
    try:
        names = sorted(os.listdir(path))
    except OSError:
        return None
    return hashlib.sha256("\0".join(names).encode()).hexdigest()


def listing_digest(tree: Iterable[str], folder: str) -> str | None:
    """Digest of the names right below a folder of a tree; None where the tree has no such folder."""
    prefix = f"{folder}/"
    names = {path[len(prefix) :].partition("/")[0] for path in tree if path.startswith(prefix)}
    return digest_of(sorted(names)) if names else None
