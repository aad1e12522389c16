"""`finnyaml plan` and `build --dry-run`: what would run, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import typer

from finnyaml.cli.arguments import RECIPE, Force, Json, Only, Recipe, Sets, Start, Stop, StoreOption, Target, Targets
from finnyaml.text import counted

if TYPE_CHECKING:
    from finnyaml.cli.console import Console
    from finnyaml.engine.session import Session
    from finnyaml.errors import ExitCode
    from finnyaml.plan.select import Selection
    from finnyaml.plan.status import Status
    from finnyaml.plan.task import Task


def plan(
    recipe: Recipe = RECIPE,
    targets: Targets = None,
    target: Target = [],  # noqa: B006
    start: Start = None,
    stop: Stop = None,
    only: Only = [],  # noqa: B006
    force: Force = [],  # noqa: B006
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Say what a build would run, and why.

    The reasons name the value, the file or the code that changed.
    """
    from finnyaml.cli.console import Console
    from finnyaml.engine.session import open_session
    from finnyaml.plan.select import select

    console = Console(quiet=as_json)
    wanted = [*(targets or []), *target]
    session = open_session(recipe, sets, store, 1, console.note, wanted)
    try:
        console.problems(session.warnings)
        code = tell(session, select(session.plan, wanted, start, stop, only, force), console, as_json)
    finally:
        session.close()
    raise typer.Exit(code)


def tell(session: Session, selection: Selection, console: Console, as_json: bool) -> ExitCode:
    """Print the plan; returns 4 where a task cannot run here for want of a tool."""
    from finnyaml.cli.console import show
    from finnyaml.plan.draw import MARKS
    from finnyaml.plan.status import verdict

    statuses = session.judge().survey(selection.tasks, selection.forced)
    selection.check(statuses)
    if as_json:
        show(_plain(session, statuses), ())
        return verdict(statuses)
    if note := _toolchain(session):
        console.note(note)
    shown = {name: _shown(session.plan.tasks[name]) for name in statuses}
    width = max(map(len, shown.values()))
    for name, status in statuses.items():
        state = "run" if status.state == "stale" else status.state
        first, *rest = _reasons(status) or [""]
        console.out(f"{MARKS[status.state]} {shown[name].ljust(width)}  {state.ljust(7)}  {first}".rstrip())
        console.out(*(f"  {' ' * width}           {reason}" for reason in rest))
    steps = {name: status for name, status in statuses.items() if session.plan.tasks[name].is_step}
    others = [status for name, status in statuses.items() if name not in steps]
    console.out(f"{counted(len(steps), 'step')}: {_counts(steps.values())}")
    if others:
        console.out(f"{len(others)} more that measure or deliver: {_counts(others)}")
    return verdict(statuses)


def _counts(statuses: Collection[Status]) -> str:
    """How many are in which state."""
    counts = Counter(status.state for status in statuses)
    told = f"{counts['cached']} up to date, {counts['stale']} to run, {counts['waiting']} after that"
    return f"{told}, {counts['blocked']} blocked" if counts["blocked"] else told


def _toolchain(session: Session) -> str | None:
    """The toolchain, where the recipe leaves it to what is installed and it stands for steps of FINN."""
    from finnyaml.steps import open_rtl

    plan = session.plan
    if plan.recipe.toolchain != "auto" or plan.toolchain != "open":
        return None
    written = {entry.pointer for entry in plan.recipe.steps.written if entry.uses in open_rtl.STEPS}
    stands = any(task.uses in open_rtl.STEPS and task.pointer not in written for task in plan.tasks.values())
    return "toolchain: open (no Vivado here)" if stands else None


def _shown(task: Task) -> str:
    """The id, with the step where the id says another one."""
    from finnyaml.finn import aliases
    from finnyaml.recipe.build import default_id

    step, kind = aliases.short(task.uses), task.declared
    named = task.id == default_id(task.uses) or task.id.endswith(f".{step}")
    return task.id if named or kind.opaque or kind.source or kind.looks else f"{task.id} ({step})"


def _reasons(status: Status) -> list[str]:
    from finnyaml.tools import registry

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
