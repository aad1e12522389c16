"""Problems as plain text for a terminal: the place, the message, the line in question, what to do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from finnyaml.errors import Problem, Where
from finnyaml.files import reading
from finnyaml.recipe.compose import OPTION
from finnyaml.recipe.document import MAX_BYTES, lines_of
from finnyaml.text import printable, shortened, wrapped

_WIDEST = 100
_CONTEXT = 2

# What a caret underlines: a quoted text, or all up to what ends a plain scalar, or one character.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*"|[^\s,\[\]{}#:](?:[^,\[\]{}:#]|:(?=\S)|(?<=\S)#)*|.""")


def render_problems(problems: Iterable[Problem], width: int | None = None) -> str:
    """The text for `problems`, with a blank line between them and no newline at the end.

    Lines are not longer than `width`, where there is one: sentences break between words, lines of files are cut.
    Files are read again to show the lines; what cannot be read is left out. Never raises.
    """
    return "\n\n".join(_render(problem, width) for problem in problems)


def _render(problem: Problem, width: int | None) -> str:
    where = problem.where
    message = printable(shortened(problem.message))
    if where is None:
        lines = [wrapped(f"{problem.severity}: {message}", width, 2)]
    elif where.file.name == OPTION:
        lines = [wrapped(f"{OPTION} (option {where.line}): {problem.severity}: {message}", width, 2)]
    else:
        shown = printable(str(Where(_relative(where.file), where.line, where.column)))
        lines = [wrapped(f"{shown}: {problem.severity}: {message}", width, 2), *_snippet(where, width)]
    if problem.hint:
        lines.append(wrapped(f"hint: {printable(shortened(problem.hint))}", width, 2))
    return "\n".join(lines)


def _relative(path: Path) -> Path:
    """`path` as seen from the current folder, if it is inside."""
    try:
        return path.relative_to(Path.cwd())
    except (ValueError, OSError):
        return path


def _snippet(where: Where, columns: int | None) -> list[str]:
    """The line at `where` with the lines before it, and carets under the token."""
    widest = min(_WIDEST, columns - len(str(where.line)) - len("   | ")) if columns else _WIDEST
    try:
        with reading(where.file, follow=True) as stream:
            lines = lines_of(stream.read(MAX_BYTES).decode("utf-8-sig", errors="replace"))
    except (OSError, ValueError):
        return []
    if not (1 <= where.line <= len(lines) and any(lines)):
        return []
    start = where.column - 1
    # A very long line is shown around the place.
    left = max(0, start - widest // 2) if len(lines[where.line - 1]) > widest else 0
    width = len(str(where.line))
    shown = [
        f"  {number:>{width}} | {_visible(lines[number - 1][left : left + widest])}".rstrip()
        for number in range(max(1, where.line - _CONTEXT), where.line + 1)
    ]
    line = lines[where.line - 1]
    token = _TOKEN.match(line, start)
    underlined = (token[0].rstrip() if token else "")[: max(1, left + widest - start)]
    padding = " " * _columns(line[left:start])
    return [*shown, f"  {' ' * width} | {padding}{'^' * max(1, _columns(underlined))}"]


def _visible(text: str) -> str:
    return printable(text.replace("\t", " "))


def _columns(text: str) -> int:
    """How many columns a terminal gives to `text`."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
