"""Whether steps give the same again: they run once more, in a process of their own, and all that they left is compared.

Nothing of a second run is kept: the store has what it had.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from finnyaml.engine import preflight, record, workspace
from finnyaml.engine.events import Listener
from finnyaml.engine.outcome import Outcome, Repeated, Report
from finnyaml.engine.pool import Pool
from finnyaml.engine.run import Engine
from finnyaml.engine.session import Session
from finnyaml.errors import ExitCode, Problem, RecipeError
from finnyaml.plan.graph import Plan
from finnyaml.plan.select import Selection, select
from finnyaml.store import Artifact, Entry, ObjectDamaged, Store
from finnyaml.worker.job import Done, Failure

TEXT = 1 << 20
"""Files up to so many bytes are looked into for the first line that differs."""

SHOWN = 60
"""So many characters of a line are shown."""


def check(session: Session, names: Sequence[str], jobs: int, listener: Listener = lambda _: None) -> Report:
    """Run tasks a second time and compare; builds what is not there first, ends the workers.

    `names` are targets or step ids; with none, all tasks in which code of the user's runs. The code of the report is 1
    where one gave something else although the recipe does not say so (`pure: false`), or failed.

    Raises:
        RecipeError: no step has this name, or no step is code of the user's own.
        ToolMissing: a task needs a tool that is not here.
        FinnyamlError: the workspace or the store cannot be used.
    """
    started = time.time()
    plan = session.plan
    chosen = _chosen(plan, names)
    tasks = plan.ancestors(chosen)
    selection = Selection(tasks, frozenset(tasks), frozenset(), frozenset(), tuple(chosen), True)
    preflight.check_tools(session.judge().survey(tasks), plan)
    engine = Engine.of(session, session.judge(), tasks, listener, jobs=jobs)
    repeated: list[Repeated] = []
    try:
        with session.store.session(), closing(Pool(session.store, 1)) as others:
            outcome = engine.run(plan, selection)
            session.pool.close()
            if outcome.code is ExitCode.OK:
                repeated = [_repeated(engine, others, plan, name, outcome) for name in chosen]
    finally:
        session.pool.close()
        engine.events.close()
    wrong = any(item.failure or (item.differing and not item.known) for item in repeated)
    code = ExitCode.STEP_FAILED if wrong else outcome.code
    told = record.of_run(session, selection, outcome, code, started, engine.folder)
    workspace.write_json(engine.folder / "run.json", told)
    return Report(session, selection, outcome, told, engine.folder, code, (), repeated=tuple(repeated))


def _chosen(plan: Plan, names: Sequence[str]) -> list[str]:
    if names:
        return list(select(plan, names).stops)
    found = [task.id for task in plan.tasks.values() if task.runs_users_code]
    if not found:
        raise RecipeError([Problem("no step of this recipe runs code of your own", hint="name the steps to check")])
    return found


def _repeated(engine: Engine, pool: Pool, plan: Plan, name: str, outcome: Outcome) -> Repeated:
    task = plan.tasks[name]
    engine.events.emit("repeating", task=name)
    result = replace(engine, pool=pool).repeat(task, outcome)
    if isinstance(result, Failure):
        found = Repeated(name, failure=result)
    else:
        differing = tuple(_differing(outcome.built[name].artifact, result, engine.store))
        found = Repeated(name, differing, known=task.trust.pure is False)
    engine.events.emit(
        "task_repeated",
        task=name,
        differing=found.differing,
        error=found.failure.message if found.failure else None,
    )
    return found


def _differing(before: Artifact, after: Done, store: Store) -> Iterator[str]:
    """What is not the same in both runs, in words."""
    for path in sorted({*before.files, *after.files}):
        one, other = before.files.get(path), after.files.get(path)
        if one is None or other is None:
            yield f"{_shown(path)} was written only the {'first' if other is None else 'second'} time"
        elif one.digest != other.digest:
            yield f"{_shown(path)} differs{_first_line(one, other, store)}"
        elif one.mode != other.mode:
            yield f"{_shown(path)} has other permissions"
    for path in sorted({*before.removed} ^ {*after.removed}):
        yield f"{_shown(path)} was removed only the {'first' if path in before.removed else 'second'} time"
    for path in after.unsure:
        yield f"{path} changed while it was read"


def _first_line(one: Entry, other: Entry, store: Store) -> str:
    """The first line in which two texts differ; empty for anything else."""
    try:
        texts = [store.read(entry.blob) for entry in (one, other)]
        lines = [text.decode().splitlines() for text in texts if len(text) <= TEXT and b"\0" not in text]
    except (ObjectDamaged, UnicodeDecodeError):
        return ""
    pairs = enumerate(zip(*lines, strict=False), 1) if len(lines) == 2 else ()
    for number, (left, right) in pairs:
        if left != right:
            return f" in line {number}: {left[:SHOWN]!r}, then {right[:SHOWN]!r}"
    return ""


def _shown(path: str) -> str:
    """A file of a tree as it lies in the workspace."""
    if path == workspace.MODEL:
        return "the model"
    return path.removeprefix("out/") if path.startswith("out/") else f"finn_{path}"
