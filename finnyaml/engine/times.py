"""How long steps took before, to say how long they may take: a memo for each step, with its last few times."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

from finnyaml.plan.task import Task
from finnyaml.recipe.model import Recipe
from finnyaml.store import Store
from finnyaml.store.digests import digest_of

_KEPT = 12
"""So many times are kept of a step, over all recipes."""


class Times:
    """The times of steps, as a store has them; read once each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, list[tuple[str, float]]] = {}

    def expected(self, task: Task, recipe: Recipe) -> float | None:
        """How long (s) a task may take: as in earlier runs with this recipe, else with others; None: no idea."""
        known = self._of(task)
        mine = [seconds for name, seconds in known if name == _name(task, recipe)]
        listed = mine or [seconds for _, seconds in known]
        return round(statistics.median(listed), 3) if listed else None

    def of(self, tasks: Iterable[Task], recipe: Recipe) -> Mapping[str, float]:
        """The same of several tasks, by id, as far as there is an idea."""
        found = ((task.id, self.expected(task, recipe)) for task in tasks)
        return {name: seconds for name, seconds in found if seconds is not None}

    def note(self, task: Task, recipe: Recipe, seconds: float) -> None:
        """Take note of how long a task took."""
        memo = _memo(task)
        self._known.pop(memo, None)  # others may have noted theirs
        kept = [*self._of(task), (_name(task, recipe), seconds)][-_KEPT:]
        self._known[memo] = kept
        self._store.put_memo(memo, kept)

    def _of(self, task: Task) -> list[tuple[str, float]]:
        memo = _memo(task)
        if memo not in self._known:
            self._known[memo] = [(str(name), float(seconds)) for name, seconds in self._store.memo(memo) or ()]
        return self._known[memo]


def _memo(task: Task) -> str:
    return f"times-{digest_of([task.kind, task.uses])[:32]}"


def _name(task: Task, recipe: Recipe) -> str:
    """The task in its recipe; variants are different work, but of one size."""
    return f"{recipe.path}:{task.id}"
