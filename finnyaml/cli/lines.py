"""One line for everything that happens in a build."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from finnyaml.engine.events import Event
from finnyaml.text import duration, size


def line_of(event: Event, width: int) -> str | None:
    """One line for an event; None for events that people need not see."""
    task = str(event.get("task", "")).ljust(width)
    kind = event["event"]
    if kind == "task_cached":
        return f"  = {task}    cached   {measured(event.get('measurement'))}".rstrip()
    if kind == "task_started":
        return f"  > {task}   running   {why(event['reasons'])}".rstrip()
    if kind == "task_finished":
        slow = event["warm_up"] >= 1
        more = f"   after {duration(event['warm_up'])} of imports in a new worker" if slow else ""
        about = measured(event.get("measurement")) or f"{size(event['peak_memory'])}{more}"
        return f"  + {task} {duration(event['seconds']):>9}   {about}"
    if kind == "task_failed":
        return f"  ! {task}    FAILED   {event['message'].splitlines()[0]}"
    if kind == "point_not_passed":
        return f"  ? {task}   {event['state']}: {'; '.join(event['reasons'])}"
    if kind == "localising":
        return f"  > looking for the place in {event['step']} where it is lost"
    if kind == "task_blocked":
        return f"  x {task}   blocked   needs {', '.join(event['missing'])}"
    if kind == "task_skipped":
        return f"  - {task}   not run   needs {event['needs']}"
    if kind == "task_waiting":
        return f"  ~ {task}   waiting   {event['reason']}"
    if kind == "input_changed":
        files = ", ".join(event["files"])
        return f"  ? {task}   warning   changed while the step read it, so the result is not kept: {files}"
    if kind == "store_damaged":
        return f"  ? the store held a damaged object ({event['object'][:12]}); it is built again"
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
