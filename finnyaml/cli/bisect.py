"""`finnyaml bisect`: where accuracy is lost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from finnyaml.cli import failures, loss
from finnyaml.cli.build import Options, open_engine
from finnyaml.cli.render import Console, relative
from finnyaml.engine.bisect import Localised, localise, localise_all
from finnyaml.engine.run import Engine, Outcome
from finnyaml.engine.session import Session
from finnyaml.errors import ExitCode, Problem, RecipeError
from finnyaml.plan.points import id_of
from finnyaml.plan.select import Selection, select
from finnyaml.steps import open_rtl


def bisect(session: Session, step: str | None, console: Console) -> tuple[ExitCode, dict[str, Any]]:
    """Search one step, or the first of each branch whose gate fails; returns the exit code and all that was found.

    Raises:
        RecipeError: the recipe has no verification points, or no such step.
    """
    plan = session.plan
    if not any(task.checks for task in plan.tasks.values()):
        hint = "say in `verify: {data: ...}` what to measure on; docs/recipe.md shows how"
        raise RecipeError([Problem(f"{relative(session.recipe.path)} has no verification points", hint=hint)])
    selection = _selection(session, step)
    engine, view = open_engine(session, session.judge(), selection.tasks, Options(jobs=2), console)
    try:
        with view, session.store.session():
            outcome = engine.run(plan, selection)
            found = _search(engine, session, step, outcome)
    finally:
        session.pool.close()
        engine.events.close()
    broken = {name: failure for name, failure in outcome.failed.items() if name not in outcome.verdicts}
    for name, failure in broken.items():
        console.always(failures.explain(plan.tasks[name], failure, session, engine.folder))
    for place in found:
        for line in loss.lines(place, session, outcome):
            console.out(line)
    if not found and not broken:
        console.out(f"nothing is lost: {len(outcome.verdicts)} points measured, every gate passed")
    failed = any(outcome.verdicts[place.point].lost for place in found if place.point in outcome.verdicts)
    return _code(found, broken=bool(broken), failed=failed), {"found": [_plain(place) for place in found]}


def _selection(session: Session, step: str | None) -> Selection:
    """What has to be built first: everything before the step, or every point of the recipe."""
    plan = session.plan
    if step is None:
        return select(plan)
    task = plan.tasks[_task(session, step)]
    if not task.needs or not task.is_step or task.uses in open_rtl.SAME_GRAPH:
        raise RecipeError([Problem(f"{step} is no step that changes a model, so nothing can be lost in it")])
    tasks = plan.ancestors([*task.needs, *plan.tasks[_point_of(session, task.id)].needs[1:]])
    return Selection(tasks, frozenset(tasks), frozenset(), frozenset(), (task.id,), True)


def _task(session: Session, step: str) -> str:
    return next(iter(select(session.plan, stop=step).stops))


def _point_of(session: Session, step: str) -> str:
    """The point whose measure counts for a step: its own, else any."""
    tasks = session.plan.tasks
    return id_of(step) if id_of(step) in tasks else next(task.id for task in tasks.values() if task.checks)


def _search(engine: Engine, session: Session, step: str | None, outcome: Outcome) -> list[Localised]:
    plan = session.plan
    if step is None:
        return localise_all(engine, plan, outcome)
    task = _task(session, step)
    if not all(need in outcome.built for need in plan.tasks[task].needs):
        return []
    return [localise(engine, plan, outcome, task, _point_of(session, task))]


def _code(found: list[Localised], *, broken: bool, failed: bool) -> ExitCode:
    if broken or any(place.failure for place in found):
        return ExitCode.STEP_FAILED
    lost = any(place.found is None or place.found["transformation"] is not None for place in found)
    return ExitCode.GATE_STOPPED if lost or failed else ExitCode.OK


def _plain(place: Localised) -> dict[str, Any]:
    return {**asdict(place), "picture": str(place.picture) if place.picture else None}
