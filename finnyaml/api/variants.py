"""The variants of a recipe with a matrix, planned and built together: what they have in common is one task."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.api.arguments import Names, listening, many, names_of
from finnyaml.api.plan import Plan, counts_of, lines_of
from finnyaml.api.result import Result
from finnyaml.api.search import search
from finnyaml.api.table import Table, of_reports, of_statuses, save
from finnyaml.engine import build as building
from finnyaml.engine.events import Listener
from finnyaml.engine.outcome import Report
from finnyaml.engine.session import Session, open_sessions
from finnyaml.errors import ExitCode, Problem, RecipeError
from finnyaml.plan.select import Selection, select
from finnyaml.plan.status import Looks
from finnyaml.plan.vocabulary import vocabulary
from finnyaml.recipe.load import load_recipes
from finnyaml.recipe.matrix import ALL, Wanted
from finnyaml.recipe.trials import key_of
from finnyaml.text import counted, few, quoted

if TYPE_CHECKING:
    from finnyaml.api.recipe import Recipe


class Variants(Mapping[str, "Recipe"]):
    """The variants by name, in the order of the matrix, as `Recipe.variants` gives them."""

    def __init__(
        self,
        make: Callable[[str | None], Recipe],
        path: Path,
        sets: Sequence[str],
        store: Path | None,
        wanted: Wanted = ALL,
        remote: str | None = None,
    ) -> None:
        """Made by `Recipe.variants`."""
        self._make = make
        self._path = path
        self._sets = tuple(sets)
        self._store = store
        self._wanted = wanted
        self._remote = remote

    @cached_property
    def _names(self) -> tuple[str | None, ...]:
        found = load_recipes(self._path, self._sets, os.environ, vocabulary(), self._wanted)
        return tuple(recipe.variant for recipe, _ in found)

    def __getitem__(self, name: str) -> Recipe:
        if name not in [*self]:
            raise KeyError(name)
        return self._make(name or None)

    def __iter__(self) -> Iterator[str]:
        return (name or "" for name in self._names)

    def __len__(self) -> int:
        return len(self._names)

    def plan(
        self,
        *targets: str,
        start: str | None = None,
        stop: str | None = None,
        only: Names = (),
        force: Names = (),
        distrust: bool = False,
        progress: Listener | bool = False,
    ) -> Plans:
        """What a build of them would run now, and why; the arguments are those of `Recipe.plan`.

        A variant that has none of the targets or steps that are named is left out.

        Raises what `Recipe.plan` raises.
        """
        listener = listening(progress)
        with self._opened(1, targets, listener) as sessions:
            if (wanted := sessions[0].recipe.search) is not None:
                told = f"a search tries {counted(wanted.trials, 'variant')}; the plan is of {len(sessions)} of them"
                listener({"event": "note", "text": told})
            chosen = _selected(sessions, targets, start, stop, names_of(only), names_of(force), distrust)
            looks, plans = Looks(), {}
            for session, selection in chosen:
                judge = session.judge(selection.distrusted, looks)
                statuses = judge.survey(selection.tasks, selection.forced)
                selection.check(statuses)
                plans[session.recipe.variant or ""] = Plan(session, statuses)
            return Plans(plans)

    def build(
        self,
        *targets: str,
        start: str | None = None,
        stop: str | None = None,
        only: Names = (),
        force: Names = (),
        distrust: bool = False,
        jobs: int | None = None,
        keep_going: bool = False,
        fail_fast: bool = False,
        frozen: bool = False,
        lock: bool = False,
        offline: bool = False,
        detach: bool = False,
        progress: Listener | bool = False,
    ) -> dict[str, Result]:
        """Bring them up to date, several at a time; what they have in common runs once.

        The arguments are those of `Recipe.build`, and so is what is raised, but for BuildFailed: of each variant the
        `Result` says whether it is `ok`. One that fails does not keep the others from being built, unless `fail_fast`
        asks for it: then nothing more is started.

        All variants of a recipe with a `search` are those that the search finds; it builds whole variants only.
        """
        options = building.Options(many(jobs), keep_going, frozen, lock, offline, detach, fail_fast)
        listener = listening(progress)
        with self._opened(options.jobs, targets, listener) as sessions:
            recipe = sessions[0].recipe

            def build(parts: list[Session], *, keep: bool) -> list[Report]:
                chosen = _selected(parts, targets, start, stop, names_of(only), names_of(force), distrust)
                if keep and any(selection.partial for _, selection in chosen):
                    message, hint = "a search builds whole variants", "name what it has tried: --variant"
                    raise RecipeError([Problem(message, recipe.at(("search",)), hint)])
                return building.build_all(chosen, options, listener, keep_workers=keep)

            if recipe.search is None or self._wanted != ALL:
                reports = build(sessions, keep=False)
            else:
                opened = self._tries(sessions[0], targets, listener)
                reports = search(recipe, recipe.search, lambda tried: build(opened(tried), keep=True), fail_fast)
        if (table := of_reports(reports)) is not None:
            save(table, recipe.output)
        return {report.session.recipe.variant or "": Result(report) for report in reports}

    def table(self, *, progress: Listener | bool = False) -> Table:
        """The objectives of all variants beside each other, from what the store has; nothing is built.

        Raises:
            RecipeError: the recipe is wrong, or has no `objectives`.
        """
        with self._opened(1, (), listening(progress)) as sessions:
            if not sessions[0].recipe.objectives:
                hint = "say by what variants are compared: `objectives: {fps: maximize, lut: minimize}`"
                raise RecipeError([Problem("the recipe has no `objectives:`", hint=hint)])
            looks = Looks()
            return of_statuses(
                (session, session.judge(looks=looks).survey(select(session.plan, ()).tasks)) for session in sessions
            )

    def _tries(
        self, first: Session, targets: Sequence[str], listener: Listener
    ) -> Callable[[Sequence[Mapping[str, Any]]], list[Session]]:
        """What opens the variants that a search wants to try, with the workers of the session that is open."""
        names = dict.fromkeys(first.recipe.variants)
        called: dict[str, str] = {}

        def opened(tried: Sequence[Mapping[str, Any]]) -> list[Session]:
            wanted = Wanted(tried=tuple(tried))
            where = (self._path, self._sets, self._store, 1, _noting(listener), targets, wanted, self._remote)
            asked = [*map(key_of, tried)]
            listener({"event": "note", "text": f"the search tries {len(tried)} more"})
            found = open_sessions(*where, first)
            keys = [key_of(item.recipe.values) for item in found]
            mine = {key: item for key, item in zip(keys, found, strict=True) if key in asked}
            for key, item in mine.items():
                name = str(item.recipe.variant)
                if called.setdefault(name.lower(), key) != key:
                    place, hint = first.recipe.at(("matrix",)), "give `matrix` a `name:` with every variable"
                    raise RecipeError([Problem(f"two variants are called {quoted(name)}", place, hint)])
                names[name] = None
            for item in mine.values():  # what was tried before is still a variant of the recipe
                item.recipe = replace(item.recipe, variants=tuple(names))
            return [*mine.values()]

        return opened

    @contextmanager
    def _opened(self, jobs: int, targets: Sequence[str], listener: Listener) -> Iterator[list[Session]]:
        note = _noting(listener)
        sessions = open_sessions(self._path, self._sets, self._store, jobs, note, targets, self._wanted, self._remote)
        try:
            warnings = dict.fromkeys(problem for session in sessions for problem in session.warnings)
            if warnings:
                listener({"event": "warnings", "problems": tuple(warnings)})
            yield sessions
        finally:
            sessions[0].close()


def _noting(listener: Listener) -> Callable[[str], None]:
    return lambda text: listener({"event": "note", "text": text})


def _selected(
    sessions: Sequence[Session],
    targets: Sequence[str],
    start: str | None,
    stop: str | None,
    only: Sequence[str],
    force: Sequence[str],
    distrust: bool,
) -> list[tuple[Session, Selection]]:
    """What is selected of each variant that has something of these names. RecipeError where none has."""
    chosen: list[tuple[Session, Selection]] = []
    refused: RecipeError | None = None
    for session in sessions:
        try:
            chosen.append((session, select(session.plan, targets, start, stop, only, force, distrust=distrust)))
        except RecipeError as error:
            refused = refused or error
    if refused and not chosen:
        raise refused
    return chosen


class Plans(Mapping[str, Plan]):
    """The plan of each variant. `str(plans)` is what `finnyaml plan` prints: tasks that several share stand once."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        """Made by `Variants.plan`."""
        self._plans = plans

    def __getitem__(self, name: str) -> Plan:
        return self._plans[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plans)

    def __len__(self) -> int:
        return len(self._plans)

    @property
    def exit_code(self) -> ExitCode:
        """What `finnyaml plan` gives the shell: TOOL_MISSING where a task cannot run here, else OK."""
        return max(plan.exit_code for plan in self.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What else there is to know."""
        return tuple(dict.fromkeys(note for plan in self.values() for note in plan.notes))

    def rows(self) -> list[tuple[str, tuple[str, ...]]]:
        """Every task once: its id, and the variants that have it."""
        return [(row[0][1], tuple(variant for variant, _ in row)) for row in self._rows()]

    def to_json(self) -> dict[str, Any]:
        """What `finnyaml plan --json` prints: a plan, or that of each variant by its name."""
        if [*self] == [""]:
            return self[""].to_json()
        return {"variants": {name: plan.to_json() for name, plan in self.items()}}

    def __str__(self) -> str:
        if len(self) == 1:
            return str(next(iter(self.values())))
        rows = [(row, *row[0]) for row in self._rows()]
        lines = lines_of(
            [
                (self[variant], name, "" if len(row) == len(self) else few([each for each, _ in row]))
                for row, variant, name in rows
            ]
        )
        head = f"{counted(len(self), 'variant')}: {', '.join(self)}"
        end = counts_of([(self[variant], name) for _, variant, name in rows])
        if any(len(row) > 1 and self[variant].tasks[name].state == "waiting" for row, variant, name in rows):
            end.append("where variants wait together, some may part: that shows when it is known what the steps read")
        return "\n".join([head, *lines, *end])

    def _rows(self) -> list[list[tuple[str, str]]]:
        """Each task, as (variant, id) of every variant that has it; those of the first variant first."""
        rows: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for variant, plan in self.items():
            for name, work in plan.works.items():
                rows.setdefault((name, work), []).append((variant, name))
        return [*rows.values()]
