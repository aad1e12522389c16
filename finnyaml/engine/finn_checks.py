"""What FINN itself says of the configuration of a recipe, where it has checks of its own.

Asked anew each time, since the checks look at this machine too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finnyaml.engine.session import Session
from finnyaml.errors import Problem
from finnyaml.kinds import KINDS
from finnyaml.plan.task import Task
from finnyaml.store import Entry
from finnyaml.worker.job import Failure, Job


def problems(session: Session, log: Path) -> Iterator[Problem]:
    """A problem for each check that fails, of every configuration that steps of FINN get; equal ones once."""
    if not session.catalog.checks:
        return
    seen = set()
    for task in session.plan.tasks.values():
        if task.kind not in ("finn", "finn_open", "segment") or repr(task.config) in seen:
            continue
        seen.add(repr(task.config))
        result = session.pool.run(_job(session, task, log))
        if isinstance(result, Failure):
            yield Problem(f"FINN's checks of the configuration did not run: {result.message}", severity="warning")
            return
        for found in result.metrics["findings"]:
            message = f"{session.catalog} says: {' '.join(found['message'].split())} [{found['name']}]"
            where = session.recipe.at(task.pointer if task.own_settings else ("steps",))
            yield Problem(message, where, " ".join(found["hint"].split()) or None, found["severity"])


def _job(session: Session, task: Task, log: Path) -> Job:
    inputs = {}
    for name, staged in task.staged.items():
        if staged.data is not None:
            blob = session.store.put_bytes(staged.data)
        elif staged.source is not None and staged.source.is_file():
            blob = session.store.put_file(staged.source)
        else:
            continue  # from the network, and not here yet
        inputs[name] = Entry(blob, blob)
    kind = KINDS["finn_checks"]
    return Job(
        task="finn_checks",
        kind=kind.name,
        uses=kind.name,
        runner=kind.runner,
        warm_up=kind.warm_up,
        params={},
        config=task.config,
        inputs=inputs,
        tree={},
        seed="0" * 8,
        recipe_dir=str(session.recipe.directory),
        log=str(log),
    )
