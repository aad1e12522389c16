"""`finnyaml lint`: everything that is wrong with a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnyaml.cli.arguments import RECIPE, Json, Recipe, Sets, StoreOption, Variants
from finnyaml.cli.console import problems, show, tell
from finnyaml.text import Whole, counted, relative

if TYPE_CHECKING:
    from finnyaml.engine.check import Checked

WITHOUT_FINN = (
    "FINN is not installed here: names of steps, flows, boards and build options were not checked, "
    "nor which tools the steps need"
)


def lint(
    recipe: Recipe = RECIPE,
    fix: Annotated[bool, typer.Option("--fix", help="Put exact repairs of what is found into the recipe.")] = False,
    sets: Sets = [],  # noqa: B006
    variants: Variants = [],  # noqa: B006
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Say all that is wrong with a recipe; build nothing.

    The rules for graphs (docs/lints) look at every stage that an earlier build left in the store.
    Works without FINN, too, and then checks what can be checked.

    Exit code 2: there are errors; 4: a step needs a tool that is missing here;
    0: neither (other warnings are fine).
    """
    from finnyaml.engine.check import check

    note: Callable[[str], None] = (lambda _: None) if as_json else tell
    found = check(recipe, sets, store, note, variants)
    if fix and found.repairs:
        _repair(found, quiet=as_json)
        found = check(recipe, sets, store, note, variants)  # what is left
    if as_json:
        show(_plain(found), ())
    else:
        _tell(found)
    raise typer.Exit(found.code)


def _tell(found: Checked) -> None:
    """Print what was found, and the verdict."""
    problems(found.problems)
    if found.problems:
        tell("")
    errors = sum(problem.severity == "error" for problem in found.problems)
    warnings = len(found.problems) - errors
    told = ", ".join(counted(count, word) for count, word in ((errors, "error"), (warnings, "warning")) if count)
    finn = f" ({found.finn})" if found.finn else ""
    show(None, [f"{relative(found.recipe)}: {told or 'no problems'}{finn}"])
    if found.finn is not None and not found.looked_at:
        tell("note: no graph of this recipe is in the store yet; build it, and lint looks at every stage")
    if found.repairs:
        steps = ", ".join(found.repairs)
        tell(f"note: there are exact repairs ({steps}): `finnyaml lint --fix` puts them into the recipe")
    if found.finn is None and not errors:
        tell(f"note: {WITHOUT_FINN}")


def _repair(found: Checked, *, quiet: bool) -> None:
    """Put the exact repairs into the recipe, and show the edit as a diff."""
    from finnyaml.engine.check import repair
    from finnyaml.lint.fix import Proposal

    for edit in repair(found):
        if not isinstance(edit, Proposal):
            tell(str(edit))
        elif not quiet:
            show(None, map(Whole, edit.diff().splitlines()))


def _plain(found: Checked) -> dict[str, Any]:
    """The JSON form."""
    nowhere = {"file": None, "line": None, "column": None}
    return {
        "recipe": found.recipe,
        "finn": found.finn,
        "exit_code": int(found.code),
        "problems": [
            {
                "severity": problem.severity,
                "message": problem.message,
                "hint": problem.hint,
                **(asdict(problem.where) if problem.where else nowhere),
            }
            for problem in found.problems
        ],
        "missing": found.missing,
    }
