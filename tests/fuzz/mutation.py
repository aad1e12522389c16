"""Damage done to a text or to bytes, all of it drawn from one source of chance: equal draws, equal damage."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

EDGES = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\0\0\0\x80",
    b"\xff\xff\xff\x7f",
    b"\xff" * 8,
    b"\0" * 8,
)
"""Bytes at which sizes, counts and signs turn over."""


def damaged(data: bytes, chance: Random, words: Sequence[bytes] = EDGES) -> bytes:
    """`data` after one, two or four changes; `words` are what may be put in or written over."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        data = chance.choice(_OF_BYTES)(data, chance, words)
    return data


def edited(text: bytes, chance: Random, words: Sequence[bytes]) -> bytes:
    """A text after one, two or four changes of its lines, its words, or its bytes; `words` as in `damaged`."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        text = chance.choice(_OF_TEXT)(text, chance, words)
    return text


def _span(size: int, chance: Random) -> tuple[int, int]:
    start = chance.randint(0, size)
    return start, min(size, start + chance.choice((1, 2, 4, 16, 256)))


def _flip(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _put(data: bytes, chance: Random, words: Sequence[bytes]) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.choice(words) + data[at:]


def _write_over(data: bytes, chance: Random, words: Sequence[bytes]) -> bytes:
    word = chance.choice(words)
    at = chance.randint(0, len(data))
    return data[:at] + word + data[at + len(word) :]


def _cut(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    start, end = _span(len(data), chance)
    return data[:start] + data[end:]


def _repeat(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    start, end = _span(len(data), chance)
    return data[:end] + data[start:end] * chance.choice((1, 1, 3, 30)) + data[end:]


def _move(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    start, end = _span(len(data), chance)
    rest, at = data[:start] + data[end:], chance.randint(0, len(data) - (end - start))
    return rest[:at] + data[start:end] + rest[at:]


def _end_early(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    return data[: chance.randint(0, len(data))]


def _line(text: bytes, chance: Random, words: Sequence[bytes]) -> bytes:
    """One line goes, comes twice, changes places, or stands further in or out."""
    lines = text.split(b"\n")
    at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    what = chance.randrange(6)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(other, lines[at])
    elif what == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif what == 3:
        lines[at] = b" " * chance.choice((1, 2, 4)) + lines[at]
    elif what == 4:
        lines[at] = lines[at][2:] if lines[at].startswith(b"  ") else lines[at]
    else:
        lines[at] = lines[at].partition(b":")[0] + b": " + chance.choice(words)
    return b"\n".join(lines)


def _word(text: bytes, chance: Random, words: Sequence[bytes]) -> bytes:
    """One word becomes another one."""
    parts = text.split(b" ")
    parts[chance.randrange(len(parts))] = chance.choice(words)
    return b" ".join(parts)


_OF_BYTES = (_flip, _flip, _put, _write_over, _cut, _repeat, _move, _end_early)
_OF_TEXT = (_line, _line, _line, _word, _word, _word, _flip, _put, _cut, _repeat, _move)
