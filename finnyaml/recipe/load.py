"""The door to this package: a path in, a complete recipe out, or everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.recipe.build import build
from finnyaml.recipe.compose import OPTION, compose
from finnyaml.recipe.model import ANY, Recipe, Vocabulary
from finnyaml.recipe.paths import located
from finnyaml.recipe.semantics import check
from finnyaml.recipe.validate import structure, usable


@dataclass(frozen=True)
class Draft:
    """A recipe as far as it can be used, with all that is known to be wrong with it.

    `settled` are the places whose values nobody needs to look at again: they are wrong, or not known.
    """

    recipe: Recipe
    problems: tuple[Problem, ...]
    settled: Collection[Where | None]

    @property
    def sound(self) -> bool:
        """Whether there are no errors."""
        return all(problem.severity != "error" for problem in self.problems)

    def refused(self, further: Iterable[Problem] = ()) -> RecipeError:
        """The error that says what is wrong, also what others found besides in the part that can be used."""
        more = [problem for problem in further if problem.where not in self.settled]
        return RecipeError(_in_order([*self.problems, *more], self.recipe.files))


def load_recipe(
    path: Path, sets: Sequence[str] = (), environ: Mapping[str, str] | None = None, known: Vocabulary = ANY
) -> tuple[Recipe, tuple[Problem, ...]]:
    """Load the recipe at `path` and return it with its warnings; the arguments are those of `draft_recipe`.

    Raises RecipeError with all errors (and warnings) in the order of their places.
    """
    draft = draft_recipe(path, sets, environ, known)
    if not draft.sound:
        raise draft.refused()
    return draft.recipe, draft.problems


def draft_recipe(
    path: Path, sets: Sequence[str] = (), environ: Mapping[str, str] | None = None, known: Vocabulary = ANY
) -> Draft:
    """Load the recipe at `path`, or what can be used of it.

    `sets` are the `path=value` of `--set` options, applied in order; paths in them are relative to the recipe.
    `environ` stands for the environment of the process where given. `known` has the names that the recipe is checked
    against.

    Raises RecipeError where nothing can be used: it cannot be read, or is not YAML.
    """
    path = located(Path.cwd(), str(path))
    problems: list[Problem] = []
    try:
        composed = compose(path, sets, os.environ if environ is None else environ, problems)
    except RecipeError as error:
        raise RecipeError(_in_order(error.problems, (path,))) from None
    # No use complaining twice about a value that is already known to be wrong.
    settled = {problem.where for problem in problems} | composed.unresolved
    faults = structure(composed.root, known.finn_words)
    problems += [fault.problem for fault in faults if fault.problem.where not in settled]
    document = composed.root.plain()
    recipe = build(composed, usable(document, faults) if faults else document)
    problems += [problem for problem in check(recipe, known) if problem.where not in settled]
    return Draft(recipe, tuple(_in_order(problems, composed.files)), settled | {item.where for item in problems})


def _in_order(problems: Iterable[Problem], files: Sequence[Path]) -> list[Problem]:
    """By place: the recipe first, then what it extends, then the command line; each problem once."""

    def rank(problem: Problem) -> tuple[int, str, int, int]:
        where = problem.where or Where(Path(), 0, 0)
        known = files.index(where.file) if where.file in files else len(files)
        return known + (where.file.name == OPTION), str(where.file), where.line, where.column

    return sorted(dict.fromkeys(problems), key=rank)
