"""Tables for notebooks. All text is escaped: names of layers and messages of tools are not ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

LEFT = ' style="text-align: left"'
"""Notebooks set text flush right, like numbers."""


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    """A table as HTML; cells are text or numbers, None is an empty cell."""
    head = _row("th", header)
    body = "".join(_row("td", row) for row in rows)
    return f"<table><caption{LEFT}>{escape(caption)}</caption><thead>{head}</thead><tbody>{body}</tbody></table>"


def text(lines: str) -> str:
    """Plain text as HTML, its lines and blanks kept."""
    return f"<pre>{escape(lines)}</pre>"


def _row(kind: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{kind}{LEFT}>{escape(_shown(cell))}</{kind}>' for cell in cells)}</tr>"


def _shown(cell: object) -> str:
    return "" if cell is None else str(cell)
