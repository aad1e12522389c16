"""Some variants of a matrix that is too large to build whole: Optuna says which, by what the earlier ones gave.

Nothing of the search is kept but the names of what was tried. The next run asks the same questions in the same order,
and the store has the answers; so a search that was interrupted goes on where it was.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from finnyaml.api.table import Built, Row, built_of, table_of
from finnyaml.engine.outcome import Report
from finnyaml.engine.workspace import load_json, write_json
from finnyaml.errors import Problem, RecipeError, ToolMissing
from finnyaml.recipe.model import Objective, Recipe, Search
from finnyaml.recipe.trials import FILE, key_of

AT_ONCE = 4
"""So many variants are chosen at a time, whatever the machine has: their number decides which come next."""

_REPEATS = 20
"""So often in a row the choice may fall on what is known; then the next comes that nobody has tried."""

Values = Mapping[str, Any]
Opened = Callable[[Sequence[Values]], list[Report]]
"""Builds the variants with these values; those that the recipe excludes are not among the reports."""


class Suggestions:
    """What to try next. `ask` and `tell` take turns."""

    def __init__(self, lists: Mapping[str, Sequence[Any]], objectives: Sequence[Objective], seed: int) -> None:
        """Choose from `lists`. ToolMissing where Optuna is missing."""
        if importlib.util.find_spec("optuna") is None:
            raise ToolMissing("a search needs the package optuna", hint="pip install 'finnyaml[search]'")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._lists = lists
        self._objectives = objectives
        self._failed = optuna.trial.TrialState.FAIL
        goals: Any = [one.goal for one in objectives]
        self._study = optuna.create_study(directions=goals, sampler=optuna.samplers.TPESampler(seed=seed))
        self._size = prod(map(len, lists.values()))
        self._asked: dict[str, Values] = {}
        self._told: dict[str, Row | None] = {}
        self._open: list[tuple[Any, str]] = []

    def ask(self, most: int) -> list[Values]:
        """The next combinations, at most so many; none that was asked before. Empty: there are no more."""
        found: list[Values] = []
        repeats = 0
        while len(found) < most and len(self._asked) < self._size:
            if repeats == _REPEATS:
                self._study.enqueue_trial(next(self._untried()))
                repeats = 0
            trial = self._study.ask()
            chosen = {name: trial.suggest_categorical(name, [*range(len(self._lists[name]))]) for name in self._lists}
            values = {name: self._lists[name][at] for name, at in chosen.items()}
            key = key_of(values)
            if key in self._told:
                self._answer(trial, self._told[key])
                repeats += 1
                continue
            self._open.append((trial, key))
            repeats += key in self._asked
            if key not in self._asked:
                self._asked[key] = values
                found.append(values)
                repeats = 0
        return found

    def tell(self, rows: Sequence[Row]) -> None:
        """Take in the results of all that was asked. What has no row has failed, or the recipe excludes it."""
        given = {key_of(row.values): row for row in rows}
        self._told = {key: given.get(key) for key in self._asked}
        for trial, key in self._open:
            self._answer(trial, self._told[key])
        self._open.clear()

    def _answer(self, trial: Any, row: Row | None) -> None:
        figures = [row.figures[one.name] if row is not None else None for one in self._objectives]
        if any(value is None for value in figures):
            self._study.tell(trial, state=self._failed)
            return
        for one, value in zip(self._objectives, figures, strict=True):
            if one.min is not None:
                trial.set_constraint(f"{one.name} min", one.min - value)  # type: ignore[operator]
            if one.max is not None:
                trial.set_constraint(f"{one.name} max", value - one.max)  # type: ignore[operator]
        self._study.tell(trial, figures)

    def _untried(self) -> Iterator[Mapping[str, int]]:
        for values in product(*map(range, map(len, self._lists.values()))):
            chosen = dict(zip(self._lists, values, strict=True))
            key = key_of({name: self._lists[name][at] for name, at in chosen.items()})
            if key not in self._asked:
                yield chosen


def search(recipe: Recipe, wanted: Search, build: Opened, fail_fast: bool = False) -> list[Report]:
    """Try variants until there are as many as are wanted, or there are no more; the reports of all.

    `build` is called several times. `fail_fast`: no more after one that failed. Raises what `build` raises,
    ToolMissing if Optuna is not installed, RecipeError if the search has no variants.
    """
    objectives = [one for one in recipe.objectives if one.name in wanted.objectives]
    suggestions = Suggestions(recipe.lists, objectives, wanted.seed)
    before = load_json(recipe.output / FILE).get("trials", [])
    reports: list[Report] = []
    built: list[Built] = []
    while values := suggestions.ask(min(AT_ONCE, wanted.trials - len(reports))):
        new = build(values)
        reports += new
        built += map(built_of, new)
        _save(recipe, wanted, reports, before)
        if fail_fast and any(report.code for report in new):
            return reports
        suggestions.tell(table_of(recipe.name, objectives, built).rows if built else ())
    if not reports:
        hint = "`exclude` leaves out all that the lists give"
        raise RecipeError([Problem("the search has no variants", recipe.at(("matrix",)), hint)])
    _save(recipe, wanted, reports, ())
    return reports


def _save(recipe: Recipe, wanted: Search, reports: Sequence[Report], before: Sequence[Any]) -> None:
    """Write what was tried; while the search is on its way, also what an earlier run has tried."""
    trials = [
        {"variant": report.session.recipe.variant, "values": dict(report.session.recipe.values)} for report in reports
    ]
    trials += [trial for trial in before if trial not in trials]
    data = {"seed": wanted.seed, "trials": trials}
    if load_json(recipe.output / FILE) != json.loads(json.dumps(data)):
        write_json(recipe.output / FILE, data)
