"""Content in pieces, so that a file of any size needs little memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from finnyaml.files import reading

CHUNK = 1 << 20

Piece = bytes | memoryview


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """What is left of an open file."""
    return iter(lambda: file.read(CHUNK), b"")


def chunks_of(path: Path) -> Iterator[bytes]:
    """The content of a file."""
    with reading(path, follow=True) as file:
        yield from chunks(file)


def write(path: Path, content: Iterable[Piece]) -> None:
    """Write a file anew; one that cannot be written whole is gone."""
    path.unlink(missing_ok=True)
    try:
        with path.open("wb") as file:
            for piece in content:
                file.write(piece)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def holds(content: Iterable[bytes], wanted: bytes) -> bool:
    """Whether `wanted` is somewhere in it, over the ends of pieces too."""
    rest = b""
    for piece in content:
        rest += piece
        if wanted in rest:
            return True
        rest = rest[max(0, len(rest) - len(wanted) + 1) :]
    return False


def replaced(content: Iterable[bytes], words: Mapping[bytes, bytes], *, unless: bytes = b"") -> Iterator[bytes]:
    """The content with each word replaced; of several that begin at one place the first in `words` wins.

    `unless` are bytes as in a set of a regular expression: a word with one of them behind it stays.
    """
    ahead = b"(?![%b])" % unless if unless else b""
    pattern = re.compile(b"(?:%b)%b" % (b"|".join(map(re.escape, words)), ahead))
    longest = max(map(len, words)) + 1  # with the byte behind it
    rest = b""
    for piece in content:
        rest += piece
        if len(rest) < longest:
            continue
        settled = len(rest) - longest  # a word that begins before here is whole, and so is what stands behind it
        out, done = [], 0
        for found in pattern.finditer(rest):
            if found.start() > settled:
                break
            out += [rest[done : found.start()], words[found[0]]]
            done = found.end()
        settled = max(settled, done)
        yield b"".join([*out, rest[done:settled]])
        rest = rest[settled:]
    yield pattern.sub(lambda found: words[found[0]], rest)
