"""A recipe file as Python uses it: plan it, build it, search where it loses accuracy."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from finnyaml.api.arguments import Names, listening, many, names_of
from finnyaml.api.plan import Plan
from finnyaml.api.result import BuildFailed, Result
from finnyaml.api.variants import Variants
from finnyaml.engine import bisect, repeat
from finnyaml.engine import build as building
from finnyaml.engine.events import Listener
from finnyaml.engine.session import Session, open_session
from finnyaml.errors import ExitCode
from finnyaml.plan.select import select
from finnyaml.plan.vocabulary import vocabulary
from finnyaml.recipe.load import load_recipes
from finnyaml.recipe.matrix import ALL, Wanted

Sets = Mapping[str, object] | Iterable[str]


def load(
    path: str | os.PathLike[str],
    sets: Sets = (),
    *,
    store: str | os.PathLike[str] | None = None,
    variant: str | None = None,
    remote: str | None = None,
) -> Recipe:
    """Read a recipe, and check all that can be checked without FINN.

    Args:
        path: the YAML file.
        sets: values to override, as `{"folding.target_fps": 1000}`, or as on the command line: a list of `path=value`.
        store: the folder that keeps results; by default $FINNYAML_STORE, else ~/.cache/finnyaml.
        variant: one variant of a recipe with a `matrix`; without it, `Recipe.variants` has them all.
        remote: the URL of a remote store, or "none"; by default $FINNYAML_REMOTE, else that of the site file.

    Raises:
        RecipeError: with everything that is wrong with it.
    """
    recipe = Recipe(path, sets, store=store, variant=variant, remote=remote)
    load_recipes(recipe.path, recipe.sets, os.environ, vocabulary(), ALL if variant is None else Wanted((variant,)))
    return recipe


class Recipe:
    """A recipe file, the values that are overridden in it, and the store that keeps its results.

    Each call reads the file anew, so what was edited meanwhile counts, as on the command line.

    `path` is absolute. `sets` are the overrides as `path=value`. `store` is None where the usual one is meant,
    `variant` where the recipe has no matrix, or all variants are meant. `remote` is None where the site file decides.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sets: Sets = (),
        *,
        store: str | os.PathLike[str] | None = None,
        variant: str | None = None,
        remote: str | None = None,
    ) -> None:
        """Nothing is read yet; `finnyaml.load` reads and checks it."""
        self.path = Path(path).absolute()
        self.sets = _options(sets)
        self.store = None if store is None else Path(store)
        self.variant = variant
        self.remote = remote

    def variants(self, *patterns: str, where: Iterable[str] = ()) -> Variants:
        """The variants of a recipe with a `matrix`, or those whose names fit one of the patterns (`cnv-*`).

        Of these, those for which all conditions `where` hold, as `folding.target_fps>1000` (docs/recipe.md). Of a
        recipe with a `search`, those that it has tried; to build all of them is to search.
        A recipe without a matrix is its only variant, under the name "".
        """

        def one(name: str | None) -> Recipe:
            return Recipe(self.path, self.sets, store=self.store, variant=name, remote=self.remote)

        wanted = patterns or (() if self.variant is None else (self.variant,))
        chosen = Wanted(tuple(wanted), tuple(where))
        return Variants(one, self.path, self.sets, self.store, chosen, self.remote)

    def __repr__(self) -> str:
        more = "".join(f", {option!r}" for option in self.sets)
        return f"<finnyaml recipe {str(self.path)!r}{more}>"

    def plan(
        self,
        *targets: str,
        start: str | None = None,
        stop: str | None = None,
        only: Names = (),
        force: Names = (),
        distrust: bool = False,
        progress: Listener | bool = False,
    ) -> Plan:
        """What a build would run now, and why: which value, file or code changed. Runs nothing.

        The arguments are those of `build`.

        Raises:
            RecipeError: the recipe is wrong, or there is no such step.
            ToolMissing: FINN is not installed in this Python environment.
        """
        with self._opened(1, targets, listening(progress)) as session:
            selection = select(session.plan, targets, start, stop, names_of(only), names_of(force), distrust=distrust)
            statuses = session.judge(selection.distrusted).survey(selection.tasks, selection.forced)
            selection.check(statuses)
            return Plan(session, statuses)

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
        frozen: bool = False,
        lock: bool = False,
        offline: bool = False,
        detach: bool = False,
        progress: Listener | bool = False,
    ) -> Result:
        """Bring the targets up to date; what is up to date is taken from the store.

        Args:
            targets: targets or step ids, or `bundle`; by default all targets.
            start: run from this step on; what is before it must be up to date (`--from`).
            stop: build up to and including this step (`--to`).
            only: run only these steps; what they need must be up to date (`--only`).
            force: run these steps even if they are up to date (`--force`).
            distrust: run whatever may differ from a clean build although nothing that was seen has changed.
            jobs: branches to run at a time, each in a worker process; by default one per core, at most 4.
            keep_going: build what can be built although something fails or cannot run here.
            frozen: give exactly what recipe.lock.yaml records, or refuse and say what differs.
            lock: write recipe.lock.yaml when the build has succeeded.
            offline: fetch nothing from the network; what the store has of it is used.
            detach: leave the jobs of a cluster alone when the build is interrupted; without it, Ctrl-C cancels them.
            progress: True shows the build while it runs: lines on standard error, in a notebook a table. A function
                is called with each event, a mapping (docs/python-api.md lists them), one at a time, but from several
                threads.

        Raises:
            BuildFailed: a step failed, a gate stopped the build, or a tool is missing for a step of a build that
                keeps going. It holds the `Result`.
            RecipeError: the recipe is wrong, a setting does not fit the model, or the lock file disagrees.
            ToolMissing: FINN or a tool that a selected step needs is not here; nothing was started.
            FinnyamlError: the workspace or the store cannot be used.
            KeyboardInterrupt: passed on after the workers were ended; what was finished is kept.
        """
        options = building.Options(many(jobs), keep_going, frozen, lock, offline, detach)
        listener = listening(progress)
        with self._opened(options.jobs, targets, listener) as session:
            selection = select(session.plan, targets, start, stop, names_of(only), names_of(force), distrust=distrust)
            result = Result(building.build(session, selection, options, listener))
        if not result.ok:
            raise BuildFailed(result)
        return result

    def check(self, *steps: str, jobs: int | None = None, progress: Listener | bool = False) -> Result:
        """Run steps a second time, in a process of their own, to find those whose results differ from run to run.

        Builds what is not there first; nothing of the second run is kept. The result has what differs in `repeated`,
        and is `ok` where all gave the same again, but for those of which the recipe says that they differ.

        Args:
            steps: targets or step ids; by default all steps with code of the recipe's author or a plug-in.
            jobs: as for `build`.
            progress: as for `build`.

        Raises:
            BuildFailed: a step failed the first time.
            RecipeError: the recipe is wrong, no step has this name, or no step is code of the author's own.
            ToolMissing: FINN or a tool that a step needs is not here.
        """
        listener = listening(progress)
        with self._opened(many(jobs), steps, listener) as session:
            result = Result(repeat.check(session, steps, many(jobs), listener))
        if not result.ok and not result.repeated:
            raise BuildFailed(result)
        return result

    def bisect(self, step: str | None = None, *, progress: Listener | bool = False) -> Result:
        """Search where accuracy is lost: the step, the transformation in it, the first wrong tensor, and the cause.

        Builds what it needs for that. The result has what was found in `losses`, and `ok` where nothing is lost.

        Args:
            step: the step to search; by default the first of each branch whose gate fails.
            progress: as for `build`.

        Raises:
            BuildFailed: a step failed, so that there is nothing to search.
            RecipeError: the recipe measures nothing (`verify:`), or there is no such step.
        """
        listener = listening(progress)
        with self._opened(bisect.JOBS, (), listener) as session:
            result = Result(bisect.search(session, step, listener))
        if result.exit_code is ExitCode.STEP_FAILED:
            raise BuildFailed(result)
        return result

    @contextmanager
    def _opened(self, jobs: int, targets: Iterable[str], listener: Listener) -> Iterator[Session]:
        def note(text: str) -> None:
            listener({"event": "note", "text": text})

        opened = open_session(self.path, self.sets, self.store, jobs, note, tuple(targets), self.variant, self.remote)
        with closing(opened) as session:
            if session.warnings:
                listener({"event": "warnings", "problems": session.warnings})
            yield session


def _options(sets: Sets) -> tuple[str, ...]:
    """Overrides as the command line has them: `path=value`, the value in JSON, which is YAML."""
    if isinstance(sets, str):
        return (sets,)
    if not isinstance(sets, Mapping):
        return tuple(sets)
    return tuple(f"{path}={json.dumps(value, default=_plain)}" for path, value in sets.items())


def _plain(value: object) -> object:
    """NumPy's numbers as Python's, paths as text."""
    return value.item() if hasattr(value, "item") else str(value)
