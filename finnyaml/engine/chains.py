"""A chain: tasks with equal needs on one branch, which one job does one after the other, in one worker."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from finnyaml.kinds.code import no_code
from finnyaml.plan.graph import Plan
from finnyaml.plan.status import Built
from finnyaml.plan.task import Task
from finnyaml.site.needs import Place


@dataclass(frozen=True)
class Chain:
    """All that a node has to know of a chain; it crosses the process boundary by pickle.

    `there` are results that its tasks need. `forced` and `distrusted` are as for a build, `since` when that began:
    what was made later is made. `here` and `whole` are the variables of the submitting machine (`engine.places`).
    `finn` is the digest of the installed FINN, `memo` where to note what the surroundings are on the node.
    """

    plan: Plan
    tasks: tuple[str, ...]
    there: Mapping[str, Built]
    forced: frozenset[str]
    distrusted: frozenset[str]
    since: float
    store: Path
    scratch: Path | None
    folder: Path
    executor: str
    memo: str
    here: Mapping[str, str]
    whole: Mapping[str, str]
    finn: str
    offline: bool = False


def along(
    plan: Plan,
    first: Task,
    may_follow: Collection[str],
    there: Collection[str],
    passed: Collection[str],
    places: Mapping[str, Place],
) -> tuple[Task, ...]:
    """The tasks from `first` on that one job can do: each needs the one before, what is `there`, and the same place.

    The gates above them are among what has `passed`, or on the way. Where several come next, the first in the order of
    the plan goes along; the others are chains of their own.
    """
    chain = [first]
    for task in plan.tasks.values():  # in topological order
        done = {item.id for item in chain}
        if (
            task.id in may_follow
            and chain[-1].id in task.needs
            and all(need in there or need in done for need in task.needs)
            and all(gate in passed or gate in done for gate in task.after)
            and places.get(task.id) == places[first.id]
        ):
            chain.append(task)
    return tuple(chain)


def portable(plan: Plan, chain: Collection[Task]) -> Plan:
    """The plan with no more tasks than a chain and what it needs, and without what cannot be pickled."""
    names = {name for task in chain for name in (task.id, *task.needs, *task.after)}
    tasks = {name: task for name, task in plan.tasks.items() if name in names}
    return replace(plan, tasks=tasks, targets={}, code=no_code)
