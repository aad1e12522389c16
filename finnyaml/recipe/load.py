"""The door to this package: a path in, a complete recipe out, or everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.recipe.build import build
from finnyaml.recipe.code import look_again
from finnyaml.recipe.compose import OPTION, Composed, compose
from finnyaml.recipe.matrix import ALL, Wanted
from finnyaml.recipe.model import ANY, Recipe, Vocabulary
from finnyaml.recipe.paths import located
from finnyaml.recipe.semantics import check
from finnyaml.recipe.validate import structure, usable
from finnyaml.text import few


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


def refusal(drafts: Sequence[Draft], further: Iterable[Problem] = ()) -> RecipeError:
    """The error that says what is wrong with the variants of a recipe, and what others found besides."""
    settled = {where for draft in drafts for where in draft.settled}
    problems = [problem for draft in drafts for problem in draft.problems]
    problems += [problem for problem in further if problem.where not in settled]
    return RecipeError(_in_order(problems, drafts[0].recipe.files))


def load_recipe(
    path: Path,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    known: Vocabulary = ANY,
    variant: str | None = None,
) -> tuple[Recipe, tuple[Problem, ...]]:
    """Load the recipe at `path` and return it with its warnings; the arguments are those of `draft_recipe`.

    `variant` names one of a recipe with a matrix. Raises RecipeError with all errors (and warnings) in the order of
    their places.
    """
    found = load_recipes(path, sets, environ, known, ALL if variant is None else Wanted((variant,)))
    if len(found) > 1:
        raise RecipeError([several([recipe for recipe, _ in found])])
    return found[0]


def load_recipes(
    path: Path,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    known: Vocabulary = ANY,
    wanted: Wanted = ALL,
) -> list[tuple[Recipe, tuple[Problem, ...]]]:
    """Load the variants of a recipe that are `wanted`, with their warnings.

    A recipe without a matrix is the only one. Raises RecipeError with everything that is wrong.
    """
    drafts = draft_recipes(path, sets, environ, known, wanted)
    if not all(draft.sound for draft in drafts):
        raise refusal(drafts)
    return [(draft.recipe, draft.problems) for draft in drafts]


def several(recipes: Sequence[Recipe]) -> Problem:
    """That one variant has to be named."""
    names = [str(recipe.variant) for recipe in recipes]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    message = f"the recipe has {len(names)} variants, and this takes one: {', '.join(names[:4])}{more}"
    return Problem(message, recipes[0].at(("matrix",)), f"name it: `--variant {names[0]}`")


def draft_recipe(
    path: Path, sets: Sequence[str] = (), environ: Mapping[str, str] | None = None, known: Vocabulary = ANY
) -> Draft:
    """Load the recipe at `path`, or what can be used of it; of one with a matrix, the first variant.

    `sets` are the `path=value` of `--set` options, applied in order; paths in them are relative to the recipe.
    `environ` stands for the environment of the process where given. `known` has the names that the recipe is checked
    against.

    Raises RecipeError where nothing can be used: it cannot be read, or is not YAML.
    """
    return draft_recipes(path, sets, environ, known)[0]


def draft_recipes(
    path: Path,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    known: Vocabulary = ANY,
    wanted: Wanted = ALL,
) -> list[Draft]:
    """As `draft_recipe`, each variant that is `wanted`; of a recipe with a `search`, those that it has tried."""
    path = located(Path.cwd(), str(path))
    problems: list[Problem] = []
    look_again()
    try:
        found = compose(path, sets, os.environ if environ is None else environ, problems, wanted)
    except RecipeError as error:
        raise RecipeError(_in_order(error.problems, (path,))) from None
    drafts = [_draft(composed, problems, known) for composed in found]
    whose: dict[Problem, list[str]] = {}
    for draft in drafts:
        for problem in dict.fromkeys(draft.problems):
            whose.setdefault(problem, []).append(str(draft.recipe.variant))
    told = {problem: of_variants(problem, names, len(drafts)) for problem, names in whose.items()}
    return [replace(draft, problems=tuple(told[problem] for problem in draft.problems)) for draft in drafts]


def of_variants(problem: Problem, names: Sequence[str], count: int) -> Problem:
    """A problem with the variants that have it, where not all of the `count` variants do."""
    if len(names) == count:
        return problem
    word = "variant" if len(names) == 1 else "variants"
    return replace(problem, message=f"{word} {few(names)}: {problem.message}")


def _draft(composed: Composed, common: Sequence[Problem], known: Vocabulary) -> Draft:
    problems = [*common, *composed.problems]
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
