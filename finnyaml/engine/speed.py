"""Frame rates that a simulation measured, beside the one that the recipe asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from finnyaml.engine.figures import key_figures
from finnyaml.errors import Problem

if TYPE_CHECKING:
    from finnyaml.plan.graph import Plan
    from finnyaml.plan.task import Task
    from finnyaml.store import Store


def below_target(plan: Plan, built: Mapping[str, Any], store: Store) -> Iterator[Problem]:
    """A warning for each target whose last measured frame rate is less than its `target_fps`.

    `built`: what was built, by task. Estimates are not measured: a lint rule looks at those.
    """
    told: set[str] = set()
    for end in plan.targets.values():
        wanted = plan.ancestors([end]) | {end}
        last_first = [name for name in reversed([*plan.tasks]) if name in wanted and name in built]
        rates = ((name, _rate(plan.tasks[name], key_figures(built[name].artifact, store))) for name in last_first)
        name, rate = next(((name, rate) for name, rate in rates if rate is not None), ("", 0.0))
        if not name:
            continue
        task = plan.tasks[name]
        target = task.config.get("target_fps")
        if not target or rate >= target or name in told:
            continue
        told.add(name)
        yield Problem(
            f"{name} measured {rate:,.0f} frames a second, less than the target_fps of {target:,}",
            plan.recipe.at(task.setting_pointers.get("target_fps", task.pointer)),
            "ask for a higher target_fps than is needed, fold the slowest layer by hand, or shorten clock_ns",
            "warning",
        )


def _rate(task: Task, figures: Mapping[str, Any]) -> float | None:
    """Frames per second that a task measured; None where it measured none."""
    if "max_cycles" in figures:
        return None
    clock = task.config.get("synth_clk_period_ns", task.defaults.get("synth_clk_period_ns"))
    interval = figures.get("interval")
    rate = figures.get("fps") or (1e9 / (interval * clock) if interval and clock else None)
    return None if rate is None else float(rate)
