"""A plan as a picture: lanes for a terminal, Mermaid for Markdown, DOT for Graphviz. Text in, text out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

MARKS = {"cached": "=", "stale": ">", "waiting": "~", "blocked": "x"}
WORDS = {"cached": "up to date", "stale": "to run", "waiting": "waits for another", "blocked": "cannot run here"}
"""What each state of `finnyaml.plan.status.Status` means to the reader."""

BRIEF = {"cached": "cached", "stale": "run", "waiting": "waiting", "blocked": "blocked"}

COLOURS: Mapping[str, tuple[str, str]] = {
    "cached": ("#e6f4ea", "#34a853"),
    "stale": ("#e8f0fe", "#4285f4"),
    "waiting": ("#f4f5f7", "#9aa0a6"),
    "blocked": ("#fce8e6", "#d93025"),
}
"""Fill and border of each state."""


@dataclass(frozen=True)
class Box:
    """One task as drawn. `state` is a key of `MARKS`, `targets` the names of the targets it completes."""

    id: str
    uses: str
    needs: tuple[str, ...] = ()
    state: str = "stale"
    targets: tuple[str, ...] = ()
    note: str = ""

    @property
    def what(self) -> str:
        """What it runs, where the id does not say it already."""
        short = self.uses.removeprefix("step_")
        return "" if short == self.id else short

    @property
    def aim(self) -> str:
        """The targets it completes, in words."""
        return f"target {', '.join(self.targets)}" if self.targets else ""


# What a cell connects to, in the order up, down, left, right.
_LINES = {
    "": " ", "ud": "│", "lr": "─", "ur": "╰", "ul": "╯", "dr": "╭", "dl": "╮",
    "udr": "├", "udl": "┤", "dlr": "┬", "ulr": "┴", "udlr": "┼", "u": "│", "d": " ", "l": "─", "r": "─",
}  # fmt: skip


def text(boxes: Sequence[Box]) -> str:
    """The tasks in order, one per line, with the lanes between them; `boxes` are in topological order."""
    drawn = list(_lanes(boxes))
    lanes = max((len(line) for line, _ in drawn), default=0)
    ids = max((len(box.id) for box in boxes), default=0)
    uses = max((len(box.what) for box in boxes), default=0)
    lines = []
    for line, box in drawn:
        if box is not None:
            line = f"{line.ljust(lanes)}  {box.id.ljust(ids)}  {box.what.ljust(uses)}  {box.aim}"
        lines.append(line.rstrip())
    used = {box.state for box in boxes}
    legend = "   ".join(f"{mark} {WORDS[state]}" for state, mark in MARKS.items() if state in used)
    return "\n".join([*lines, "", legend])


def _lanes(boxes: Sequence[Box]) -> list[tuple[str, Box | None]]:
    """Lines to draw, with the box where one stands on it. A lane belongs to a task until all that need it are drawn."""
    open_ends = Counter(need for box in boxes for need in box.needs)
    lanes: list[str | None] = []
    drawn: list[tuple[str, Box | None]] = []
    for box in boxes:
        above = list(lanes)
        sources = [lanes.index(need) for need in box.needs]
        open_ends.subtract(box.needs)
        for need, column in zip(box.needs, sources, strict=True):
            if not open_ends[need]:
                lanes[column] = None
        # Straight on where the first need's lane ends here, else a lane of its own.
        column = sources[0] if sources and lanes[sources[0]] is None else _free(lanes)
        lanes[column : column + 1] = [box.id]
        if sources != [column] and drawn:  # under another box only where it needs that
            drawn.append((_connection(above, lanes, column, sources), None))
        cells = [MARKS[box.state] if index == column else "│" if lane else " " for index, lane in enumerate(lanes)]
        drawn.append((" ".join(cells).rstrip(), box))
        if not open_ends[box.id]:
            lanes[column] = None
        while lanes and lanes[-1] is None:
            lanes.pop()
    return drawn


def _free(lanes: Sequence[str | None]) -> int:
    return lanes.index(None) if None in lanes else len(lanes)


def _connection(above: Sequence[str | None], below: Sequence[str | None], column: int, sources: Collection[int]) -> str:
    """The line that leads from the lanes `sources` to the box that stands under it in `column`."""
    ends = {column, *sources}
    first, last = min(ends), max(ends)
    line = ""
    for index in range(max(len(above), len(below))):
        up = index < len(above) and above[index] is not None and (index != column or column in sources)
        down = index < len(below) and below[index] is not None
        passes = index not in ends  # other lanes go straight through
        left, right = first < index <= last and not (passes and up), first <= index < last and not (passes and up)
        sides = zip("udlr", (up, down, left, right), strict=True)
        line += _LINES["".join(side for side, there in sides if there)]
        line += "─" if first <= index < last else " "
    return line.rstrip()


def mermaid(boxes: Sequence[Box], *, fenced: bool = True) -> str:
    """A Mermaid flowchart; `fenced` as Markdown wants it."""
    names = {box.id: f"t{index}" for index, box in enumerate(boxes)}
    lines = ["flowchart TD"]
    for box in boxes:
        label = "<br/>".join(_escaped(part) for part in (box.id, box.what, box.aim) if part)
        lines.append(f'    {names[box.id]}["{label}"]:::{box.state}')
    lines += [f"    {names[need]} --> {names[box.id]}" for box in boxes for need in box.needs]
    for state in dict.fromkeys(box.state for box in boxes):
        fill, border = COLOURS[state]
        lines.append(f"    classDef {state} fill:{fill},stroke:{border},color:#202124")
    body = "\n".join(lines)
    return f"```mermaid\n{body}\n```" if fenced else body


def _escaped(label: str) -> str:
    """A label in Mermaid's quotes: entities instead of what it or HTML would read."""
    return "".join(f"#{ord(character)};" if character in "#&<>\"'`" else character for character in label)


def dot(boxes: Sequence[Box], title: str) -> str:
    """A graph in the language of Graphviz, which makes SVG, PDF and PNG of it; tooltips say why a task would run."""
    names = {box.id: f"t{index}" for index, box in enumerate(boxes)}
    lines = [
        "digraph {",
        f"    graph [label={_quoted(title)}, labelloc=t, fontname=Helvetica]",
        '    node [shape=box, style="rounded,filled", fontname=Helvetica]',
        '    edge [color="#9aa0a6"]',
    ]
    for box in boxes:
        fill, border = COLOURS[box.state]
        label = _quoted("\n".join(part for part in (box.id, box.what, box.aim, f"({BRIEF[box.state]})") if part))
        tooltip = _quoted(": ".join(part for part in (WORDS[box.state], box.note) if part))
        lines.append(f'    {names[box.id]} [label={label}, tooltip={tooltip}, fillcolor="{fill}", color="{border}"]')
    lines += [f"    {names[need]} -> {names[box.id]}" for box in boxes for need in box.needs]
    return "\n".join([*lines, "}"])


def _quoted(label: str) -> str:
    """A label in DOT's quotes, which has the escapes of JSON and the entities of HTML."""
    return json.dumps(label.replace("&", "&amp;"), ensure_ascii=False)
