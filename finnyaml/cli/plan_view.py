"""`finnyaml plan` and `build --dry-run`: what would run, and why."""

from __future__ import annotations

import json
from typing import Any

from finnyaml.cli.render import Console
from finnyaml.engine.session import Session
from finnyaml.errors import ExitCode
from finnyaml.finn import aliases
from finnyaml.plan.select import Selection
from finnyaml.plan.status import Status, verdict
from finnyaml.plan.task import Task
from finnyaml.recipe.build import default_id
from finnyaml.steps import open_rtl
from finnyaml.tools import registry

MARKS = {"cached": "=", "stale": ">", "waiting": "~", "blocked": "x"}

"""Kinds of tasks whose `uses` is a step that a recipe can list."""


def show(session: Session, selection: Selection, console: Console, as_json: bool) -> ExitCode:
    """Print the plan; returns 4 where a task cannot run here for want of a tool."""
    statuses = session.judge().survey(selection.tasks, selection.forced)
    selection.check(statuses)
    if as_json:
        print(json.dumps(_plain(session, statuses), indent=1))
        return verdict(statuses)
    if note := taken(session):
        console.note(note)
    shown = {name: _shown(session.plan.tasks[name]) for name in statuses}
    width = max(map(len, shown.values()))
    for name, status in statuses.items():
        state = "run" if status.state == "stale" else status.state
        first, *rest = _reasons(status) or [""]
        console.out(f"{MARKS[status.state]} {shown[name].ljust(width)}  {state.ljust(7)}  {first}".rstrip())
        for reason in rest:
            console.out(f"  {' ' * width}           {reason}")
    counts = {state: sum(status.state == state for status in statuses.values()) for state in MARKS}
    told = f"{counts['cached']} up to date, {counts['stale']} to run, {counts['waiting']} after that"
    console.out(f"{told}, {counts['blocked']} blocked" if counts["blocked"] else told)
    return verdict(statuses)


def taken(session: Session) -> str | None:
    """The toolchain, where the recipe leaves it to what is installed and it stands for steps of FINN."""
    plan = session.plan
    if plan.recipe.toolchain != "auto" or plan.toolchain != "open":
        return None
    written = {entry.pointer for entry in plan.recipe.steps.written if entry.uses in open_rtl.STEPS}
    stands = any(task.uses in open_rtl.STEPS and task.pointer not in written for task in plan.tasks.values())
    return "toolchain: open (no Vivado here)" if stands else None


def _shown(task: Task) -> str:
    """The id, with the step where the id says another one."""
    step = aliases.short(task.uses)
    says = (
        task.declared.opaque
        or task.declared.source
        or task.declared.looks
        or task.id == default_id(task.uses)
        or task.id.endswith(f".{step}")
    )
    return task.id if says else f"{task.id} ({step})"


def _reasons(status: Status) -> list[str]:
    reasons = [str(reason) for reason in status.reasons] if status.state != "cached" else []
    if status.state == "waiting" and len(reasons) > 2:
        reasons = [f"{reasons[0]}, and {len(reasons) - 1} others"]
    return [f"needs {tool}, which is missing: {registry.tool(tool).hint}" for tool in status.missing] + reasons


def _plain(session: Session, statuses: dict[str, Status]) -> dict[str, Any]:
    return {
        "recipe": str(session.recipe.path),
        "finn": str(session.catalog),
        "toolchain": session.plan.toolchain,
        "targets": dict(session.plan.targets),
        "tasks": {
            name: {
                "state": status.state,
                "uses": session.plan.tasks[name].uses,
                "needs": list(session.plan.tasks[name].needs),
                "key": status.key or None,
                "digest": status.built.digest if status.built else None,
                "missing": list(status.missing),
                "reasons": [
                    {"kind": item.kind, "name": item.name, "old": item.old, "new": item.new, "text": str(item)}
                    for item in status.reasons
                ],
            }
            for name, status in statuses.items()
        },
    }
