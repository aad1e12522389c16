"""What of a plan is there although a build did not come to it: so much of an earlier build may stay."""

from __future__ import annotations

from collections.abc import Container, Mapping

from finnyaml.engine import refusals
from finnyaml.plan.graph import Plan
from finnyaml.plan.status import Built, Judge
from finnyaml.store.tree import TreeConflict


def holding(plan: Plan, judge: Judge, built: Mapping[str, Built], failed: Container[str]) -> dict[str, Built]:
    """Every task whose result is known as things are now: those just built, and what the store has of the others.

    What stands behind a failed task or a gate that did not pass is not there, even if the store has it.
    """
    found: dict[str, Built] = {}
    for task in plan.tasks.values():
        if task.id in built:
            found[task.id] = built[task.id]
        elif task.id not in failed and all(need in found for need in (*task.needs, *task.after)):
            try:
                stored = judge.judge(task, {need: found[need] for need in task.needs}).built
            except TreeConflict:
                continue
            if stored is not None and refusals.refuse(task, stored) is None:
                found[task.id] = stored
    return found
