"""One line for everything that happens in a build."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from finnyaml.engine.events import Event
from finnyaml.text import duration, size


@dataclass(frozen=True)
class Line:
    """What is told of one event: a mark, the task and its state (or how long it took), and a note.

    `task` and `state` are empty where an event is of the whole build.
    """

    mark: str
    task: str
    state: str
    note: str

    def text(self, width: int) -> str:
        """The line, with `width` columns for the task."""
        if not self.task:
            return f"  {self.mark} {self.note}"
        return f"  {self.mark} {self.task.ljust(width)} {self.state:>9}   {self.note}".rstrip()


def line_of(event: Event) -> Line | None:
    """The line of an event; None for events that people need not see."""
    task, kind = str(event.get("task", "")), event["event"]
    if kind == "task_cached":
        return Line("=", task, "cached", measured(event.get("measurement")))
    if kind == "task_started":
        return Line(">", task, "running", why(event["reasons"]))
    if kind == "task_finished":
        slow = event["warm_up"] >= 1
        more = f"   after {duration(event['warm_up'])} of imports in a new worker" if slow else ""
        about = measured(event.get("measurement")) or f"{size(event['peak_memory'])}{more}"
        return Line("+", task, duration(event["seconds"]), about)
    if kind == "task_failed":
        return Line("!", task, "FAILED", event["message"].splitlines()[0])
    if kind == "point_not_passed":
        return Line("?", task, event["state"], "; ".join(event["reasons"]))
    if kind == "bisecting":
        return Line(">", "", "", f"looking for the place in {event['step']} where it is lost")
    if kind == "task_blocked":
        return Line("x", task, "blocked", f"needs {', '.join(event['missing'])}")
    if kind == "task_skipped":
        return Line("-", task, "not run", f"needs {event['needs']}")
    if kind == "task_waiting":
        return Line("~", task, "waiting", event["reason"])
    if kind == "input_changed":
        files = ", ".join(event["files"])
        return Line("?", task, "warning", f"changed while the step read it, so the result is not kept: {files}")
    if kind == "store_damaged":
        return Line("?", "", "", f"the store held a damaged object ({event['object'][:12]}); it is built again")
    return None


def measured(measurement: Mapping[str, Any] | None) -> str:
    """A measurement in a few words; empty for tasks that measure nothing."""
    if measurement is None:
        return ""
    if measurement["state"] == "reference":
        return "what the others are compared with"
    if measurement["state"] != "measured":
        return f"not executable here: {measurement['reason']}"
    return f"{measurement['shown']} {measurement['metric']} of {measurement['samples']}"


def why(reasons: Iterable[str]) -> str:
    """The first reasons, in brackets."""
    listed = list(reasons)
    more = f" and {len(listed) - 2} more" if len(listed) > 2 else ""
    return f"({'; '.join(listed[:2])}{more})" if listed else ""
