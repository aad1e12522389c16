"""A build while it runs: lines of text, or in a notebook a table that follows it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from finnyaml.api import html
from finnyaml.engine.events import ENDS, Event, Listener
from finnyaml.recipe.snippet import render_problems
from finnyaml.text import columns, counted, duration, size, wrapped

_LONGEST = 200
"""Of a message, in the one line that an event has; the end of a build tells it whole."""


class Progress:
    """Shows the events of a build as they come: `recipe.build(progress=Progress())`, or `progress=True` for short.

    In a notebook a table with a row per task, else a line per event on standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        """With a `stream`, it gets the lines, also in a notebook."""
        self._view: Listener = _Table() if stream is None and in_notebook() else Lines(stream or sys.stderr)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        self._view(event)


class Lines:
    """A line per event on a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._width = 0

    def __call__(self, event: Event) -> None:
        """Print what there is to tell of an event."""
        if event["event"] == "run_started":
            self._width = max([self._width, *(len(label(event, task)) for task in event["tasks"])])
        if text := told(event, self._width, columns(self._stream)):
            print(text, file=self._stream, flush=True)


class _Table:
    """A table in a notebook's cell, drawn anew with every event."""

    def __init__(self) -> None:
        self._tasks: dict[str, tuple[str, str, str]] = {}
        self._total = 0
        self._ended: set[str] = set()
        self._notes: list[str] = []
        self._place: Any = None

    def __call__(self, event: Event) -> None:
        if event["event"] == "run_started":
            self._total += len(event["tasks"])
        line = line_of(event)
        if line and line.task:
            self._tasks[line.task] = (line.task, line.state, line.note)
        elif text := told(event):
            self._notes.append(text.lstrip())
        else:
            return
        if event["event"] in ENDS:
            self._ended.add(label(event, event["task"]))
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


def label(event: Event, task: str) -> str:
    """What a task of an event is called: with its variant, where a recipe has several."""
    return f"{event['variant']}/{task}" if "variant" in event else task


def in_notebook() -> bool:
    """Whether this is a notebook, where HTML can be shown, and not IPython on a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


def told(event: Event, width: int = 0, edge: int | None = None) -> str:
    """What people read of an event, with `width` columns for tasks, broken at `edge`; empty where they need not."""
    if event["event"] == "warnings":
        return render_problems(event["problems"], edge)
    line = line_of(event)
    return wrapped(line.text(width), edge) if line else ""


@dataclass(frozen=True)
class Line:
    """What is told of one event: a mark, the task and its state (or how long it took), and a note.

    `task` and `state` are empty where an event is of the whole build, and so is `mark` where it is none of the build.
    """

    mark: str
    task: str
    state: str
    note: str

    def text(self, width: int) -> str:
        """The line, with `width` columns for the task."""
        if not self.mark:
            return self.note
        told = f"{self.task.ljust(width)} {self.state:>9}   {self.note}" if self.task else self.note
        return f"  {self.mark} {told}".rstrip()


def line_of(event: Event) -> Line | None:
    """The line of an event; None for events that people need not see."""
    kind = event["event"]
    task = label(event, str(event["task"])) if "task" in event else ""
    if kind == "task_cached" and event.get("shared"):
        return None  # another variant has told of it
    if kind == "task_cached":
        return Line("=", task, "cached", measured(event.get("measurement")))
    if kind == "task_started":
        on = f"on {event['node']}, job {event['job']} " if "job" in event else ""
        return Line(">", task, "running", on + why(event["reasons"]))
    if kind == "job_submitted":
        rest = len(event["tasks"]) - 1
        more = f", with {counted(rest, 'task')} behind it" if rest else ""
        return Line(">", task, "queued", f"job {event['job']} on {event['executor']}{more}")
    if kind == "job_found":
        return Line("~", task, "waiting", f"job {event['job']} of {event['user']} does it")
    if kind == "task_queued":
        held = event["reason"] not in ("", "None", "Priority", "Resources")
        return Line("~", task, "queued", f"job {event['job']} waits: {event['reason']}") if held else None
    if kind == "jobs_cancelled":
        return Line("", "", "", f"cancelled: job {', '.join(event['jobs'])}")
    if kind == "jobs_left":
        return Line("", "", "", f"job {', '.join(event['jobs'])} goes on; the next build takes what it makes")
    if kind == "task_finished":
        slow = event["warm_up"] >= 1
        more = f"   after {duration(event['warm_up'])} of imports in a new worker" if slow else ""
        made = layers(event.get("layers"))
        about = measured(event.get("measurement")) or f"{size(event['peak_memory'])}{made}{more}"
        return Line("+", task, duration(event["seconds"]), about)
    if kind == "fetching":
        done = f" from {size(event['received'])} on" if event["received"] else ""
        many = f" ({size(event['size'])})" if event["size"] else ""
        return Line(">", task, "fetching", f"{event['url']}{many}{done}")
    if kind == "task_failed":
        return Line("!", task, "FAILED", _first_line(event["message"]))
    if kind == "point_not_passed":
        return Line("?", task, event["state"], "; ".join(event["reasons"]))
    if kind == "point_note":
        return Line("?", task, "note", "; ".join(event["notes"]))
    if kind == "bisecting":
        return Line(">", "", "", f"looking for the place in {event['step']} where it is lost")
    if kind == "task_blocked":
        return Line("x", task, "blocked", f"needs {', '.join(event['missing'])}")
    if kind == "task_skipped":
        return Line("-", task, "not run", f"needs {event['needs']}")
    if kind == "task_waiting":
        return Line("~", task, "waiting", event["reason"])
    if kind == "repeating":
        return Line(">", task, "again", "")
    if kind == "task_repeated":
        wrong = [event["error"]] if event["error"] else event["differing"]
        return Line("!", task, "DIFFERS", "; ".join(wrong)) if wrong else Line("=", task, "the same", "")
    if kind == "may_differ":
        return Line("?", task, "warning", f"a clean build may differ: {'; '.join(event['reasons'])}")
    if kind == "input_changed":
        files = ", ".join(event["files"])
        return Line("?", task, "warning", f"changed while the step read it, so the result is not kept: {files}")
    if kind == "store_damaged":
        return Line("?", "", "", f"the store held a damaged object ({event['object'][:12]}); it is built again")
    return Line("", "", "", event["text"]) if kind == "note" else None


def _first_line(message: str) -> str:
    line = next((line for line in message.splitlines() if line.strip()), "")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def measured(measurement: Mapping[str, Any] | None) -> str:
    """A measurement in a few words; empty for tasks that measure nothing."""
    if measurement is None:
        return ""
    if measurement["state"] == "reference":
        return "what the others are compared with"
    if measurement["state"] != "measured":
        return f"not executable here: {measurement['reason']}"
    return f"{measurement['shown']} {measurement['metric']} of {measurement['samples']}"


def layers(counts: Mapping[str, int] | None) -> str:
    """How many layers a step did not have to make; empty for other steps."""
    if counts is None:
        return ""
    return f"   {counts['there']} of {counts['there'] + counts['made']} layers were there"


def why(reasons: Iterable[str]) -> str:
    """The first reasons, in brackets."""
    listed = list(reasons)
    more = f" and {len(listed) - 2} more" if len(listed) > 2 else ""
    return f"({'; '.join(listed[:2])}{more})" if listed else ""
