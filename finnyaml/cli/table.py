"""Aligned plain text: the same on a terminal and in a pipe."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Lines of a table with two blanks between columns; the columns `right` are aligned to the right."""
    lines = [list(header), *map(list, rows)] if header else list(map(list, rows))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    flush_right = frozenset(right)

    def cell(index: int, text: str) -> str:
        return text.rjust(widths[index]) if index in flush_right else text.ljust(widths[index])

    return ["  ".join(cell(index, text) for index, text in enumerate(line)).rstrip() for line in lines]


def clipped(line: str) -> str:
    """`line`, on a terminal cut at its edge; in a pipe it stays whole."""
    if not sys.stdout.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return line if len(line) <= width else f"{line[: width - 1]}…"


def sentence(text: str) -> str:
    """The first sentence of a description, without a remark in brackets before it."""
    text = re.sub(r"^\([^)]*\)\s*", "", text)
    return re.split(r"(?<!e\.g)(?<!i\.e)[.:] (?=[A-Z*])|: \* ", text, maxsplit=1)[0].rstrip(".")
