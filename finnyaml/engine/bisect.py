"""Where accuracy is lost: when a gate has failed which step lost it, and where inside a step."""

from __future__ import annotations

import time
from collections.abc import Sequence

from finnyaml.engine import record, refusals, workspace
from finnyaml.engine.events import Listener
from finnyaml.engine.outcome import Bisected, Outcome, Report
from finnyaml.engine.run import Engine
from finnyaml.engine.session import Session
from finnyaml.errors import ExitCode, Problem, RecipeError
from finnyaml.plan.graph import Plan
from finnyaml.plan.points import bisection, id_of, moved
from finnyaml.plan.select import Selection, select
from finnyaml.plan.status import Built
from finnyaml.steps import open_rtl
from finnyaml.text import relative
from finnyaml.verify import gates
from finnyaml.worker.job import Failure

JOBS = 2
"""How many tasks run at a time in what a search has to build first."""


def search(session: Session, step: str | None, listener: Listener = lambda _: None) -> Report:
    """Search one step, or the first of each branch whose gate fails; builds what it needs, ends the workers.

    The code of the report is 3 where something is lost, and 1 where a step failed so that there is nothing to search.

    Raises:
        RecipeError: the recipe has no verification points, or no such step.
        FinnyamlError: the workspace or the store cannot be used.
    """
    started = time.time()
    plan = session.plan
    if not any(task.checks for task in plan.tasks.values()):
        hint = "say in `verify: {data: ...}` what to measure on; docs/recipe.md shows how"
        raise RecipeError([Problem(f"{relative(session.recipe.path)} has no verification points", hint=hint)])
    task = None if step is None else next(iter(select(plan, stop=step).stops))
    selection = select(plan) if task is None else _before(plan, task, str(step))
    engine = Engine.of(session, session.judge(), selection.tasks, listener, jobs=JOBS)
    try:
        with session.store.session():
            outcome = engine.run(plan, selection)
            if task is None:
                found = bisect_all(engine, plan, outcome)
            elif all(need in outcome.built for need in plan.tasks[task].needs):
                found = [find_loss(engine, plan, outcome, task, _point_of(plan, task))]
            else:
                found = []
    finally:
        session.pool.close()
        engine.events.close()
    code = _code(outcome, found)
    told = record.of_run(session, selection, outcome, code, started, engine.folder)
    workspace.write_json(engine.folder / "run.json", told)
    return Report(session, selection, outcome, told, engine.folder, code, tuple(found))


def _code(outcome: Outcome, found: Sequence[Bisected]) -> ExitCode:
    verdicts = outcome.verdicts
    if not verdicts.keys() >= outcome.failed.keys() or any(place.failure for place in found):
        return ExitCode.STEP_FAILED
    lost = any(place.found is None or place.found["transformation"] is not None for place in found)
    failed = any(verdicts[place.point].lost for place in found if place.point in verdicts)
    return ExitCode.GATE_STOPPED if lost or failed else ExitCode.OK


def _before(plan: Plan, task: str, step: str) -> Selection:
    """What has to be built before one step can be searched."""
    searched = plan.tasks[task]
    if not searched.needs or not searched.is_step or searched.uses in open_rtl.SAME_GRAPH:
        raise RecipeError([Problem(f"{step} is not a step that changes a model, so nothing can be lost in it")])
    tasks = plan.ancestors([*searched.needs, *plan.tasks[_point_of(plan, task)].needs[1:]])
    return Selection(tasks, frozenset(tasks), frozenset(), frozenset(), (task,), True)


def _point_of(plan: Plan, step: str) -> str:
    """The point whose measure counts for a step: its own, else any."""
    return id_of(step) if id_of(step) in plan.tasks else next(task.id for task in plan.tasks.values() if task.checks)


def bisect_all(engine: Engine, plan: Plan, outcome: Outcome) -> list[Bisected]:
    """Bisect every failed point that is the first of its branch."""
    first: list[str] = []
    for name in plan.tasks:
        if name in outcome.verdicts and outcome.verdicts[name].lost:
            above = plan.ancestors(plan.tasks[name].needs[:1])
            if not any(plan.tasks[other].checks in above for other in first):
                first.append(name)
    return [find_loss(engine, plan, outcome, _culprit(engine, plan, outcome, point), point) for point in first]


def find_loss(engine: Engine, plan: Plan, outcome: Outcome, step: str, point: str) -> Bisected:
    """Where `step` loses it, by the measure of `point`; what the step needs has to be built."""
    if plan.tasks[step].declared.source:
        return Bisected(point, step)
    engine.events.emit("bisecting", step=step)
    exact = point in outcome.verdicts and outcome.verdicts[point].changed
    result = engine.look(bisection(plan.tasks[step], plan.tasks[point], plan.code, exact=exact), outcome)
    if isinstance(result, Failure):
        return Bisected(point, step, failure=result)
    found = result.trace.info["metrics"]["loss"]
    picture = None
    for path, entry in result.artifact.files.items():
        if path.endswith(".png"):
            picture = engine.folder / f"bisect-{step}.png"
            picture.write_bytes(engine.store.read(entry.blob))
    return Bisected(point, step, found, picture)


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
        measured = outcome.measured.get(id_of(above)) or engine.look(
            moved(failed, above, plan.ancestors(plan.tasks[above].needs)), outcome
        )
        values = refusals.measurement(measured) if isinstance(measured, Built) else None
        if values is None or not gates.verdict(failed.gate, values).lost:
            break
        found = above
    return found
