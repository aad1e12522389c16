"""When a gate has failed: which step lost it, and where inside that step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnyaml.engine import refusals
from finnyaml.engine.run import Engine, Outcome
from finnyaml.plan.graph import Plan
from finnyaml.plan.points import bisection, id_of, moved
from finnyaml.plan.status import Built
from finnyaml.steps import open_rtl
from finnyaml.verify import gates
from finnyaml.worker.job import Failure


@dataclass(frozen=True)
class Localised:
    """What was found about one failed point: the step that lost it, and (where FINN made that step) where in it.

    `found` is the localisation as plain data, `picture` the heat map in the folder of the run.
    """

    point: str
    step: str
    found: Mapping[str, Any] | None = None
    picture: Path | None = None
    failure: Failure | None = None


def localise_all(engine: Engine, plan: Plan, outcome: Outcome) -> list[Localised]:
    """Localise every failed point that is the first of its branch."""
    return [
        localise(engine, plan, outcome, _culprit(engine, plan, outcome, point), point)
        for point in _first_failed(plan, outcome)
    ]


def localise(engine: Engine, plan: Plan, outcome: Outcome, step: str, point: str) -> Localised:
    """Where `step` loses it, by the measure of `point`; what the step needs has to be built."""
    if plan.tasks[step].declared.source:
        return Localised(point, step)
    engine.events.emit("localising", step=step)
    result = engine.look(bisection(plan.tasks[step], plan.tasks[point], plan.code), outcome)
    if isinstance(result, Failure):
        return Localised(point, step, failure=result)
    found = result.trace.info["figures"]["localisation"]
    picture = None
    for path, entry in result.artifact.files.items():
        if path.endswith(".png"):
            picture = engine.folder / f"bisect-{step}.png"
            picture.write_bytes(engine.store.read(entry.blob))
    return Localised(point, step, found, picture)


def _first_failed(plan: Plan, outcome: Outcome) -> list[str]:
    broken = [name for name in plan.tasks if name in outcome.verdicts and outcome.verdicts[name].lost]
    first: list[str] = []
    for name in broken:
        above = plan.ancestors(plan.tasks[name].needs[:1])
        if not any(plan.tasks[other].checks in above for other in first):
            first.append(name)
    return first


def _culprit(engine: Engine, plan: Plan, outcome: Outcome, point: str) -> str:
    """The step that lost it: the first on the way to the failed point after which the gate of that point fails.

    Steps that have no point of their own are measured now.
    """
    failed = plan.tasks[point]
    assert failed.checks is not None
    assert failed.gate is not None
    found = failed.checks
    while plan.tasks[found].uses in open_rtl.SAME_GRAPH:  # bit-exact, or the build would have stopped there
        found = plan.tasks[found].needs[0]
    while not plan.tasks[found].declared.source and (above := next(iter(plan.tasks[found].needs), None)):
        measured = outcome.measured.get(id_of(above)) or engine.look(moved(failed, above), outcome)
        values = refusals.measurement(measured) if isinstance(measured, Built) else None
        if values is None or not gates.judge(failed.gate, values).lost:
            break
        found = above
    return found
