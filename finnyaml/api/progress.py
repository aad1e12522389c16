"""A build while it runs: lines of text, or in a notebook a table that follows it."""

from __future__ import annotations

import sys
from typing import Any, Protocol, TextIO

from finnyaml.api import html
from finnyaml.api.lines import line_of
from finnyaml.engine.events import ENDS, Event
from finnyaml.recipe.snippet import render_problems


class Progress:
    """Shows the events of a build as they come: `recipe.build(progress=Progress())`, or `progress=True` for short.

    In a notebook a table with a row per task, else a line per event on standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        """With a `stream`, it gets the lines, also in a notebook."""
        self._view: _View = _Table() if stream is None and in_notebook() else Lines(stream or sys.stderr)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event["event"] == "note":
            self._view.note(event["text"])
        elif event["event"] == "warnings":
            self._view.note(render_problems(event["problems"]))
        else:
            self._view.show(event)


class _View(Protocol):
    def note(self, text: str) -> None: ...
    def show(self, event: Event) -> None: ...


class Lines:
    """A line per event on a stream."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._width = 0

    def note(self, text: str) -> None:
        """Print a text that is of no event."""
        print(text, file=self.stream, flush=True)

    def show(self, event: Event) -> None:
        """Print the line of an event, if it has one."""
        if event["event"] == "run_started":
            self._width = max(map(len, event["tasks"]), default=0)
        elif line := line_of(event):
            self.note(line.text(self._width))


class _Table:
    """A table in a notebook's cell, drawn anew with every event."""

    def __init__(self) -> None:
        self._tasks: dict[str, tuple[str, str, str]] = {}
        self._total = 0
        self._ended: set[str] = set()
        self._notes: list[str] = []
        self._place: Any = None

    def note(self, text: str) -> None:
        self._notes.append(text)
        self._draw()

    def show(self, event: Event) -> None:
        if event["event"] == "run_started":
            self._total = len(event["tasks"])
        line = line_of(event)
        if line is None:
            return
        if not line.task:
            self.note(line.note)
            return
        self._tasks[line.task] = (line.task, line.state, line.note)
        if event["event"] in ENDS:
            self._ended.add(line.task)
        self._draw()

    def _draw(self) -> None:
        from IPython.display import HTML, display

        caption = f"{len(self._ended)} of {self._total} tasks"
        table = html.table(("task", "state", ""), self._tasks.values(), caption) if self._tasks else ""
        shown = HTML(table + "".join(map(html.text, self._notes)))
        if self._place is None:
            self._place = display(shown, display_id=True)
        else:
            self._place.update(shown)


def in_notebook() -> bool:
    """Whether this is a notebook, where HTML can be shown; IPython on a terminal is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")
