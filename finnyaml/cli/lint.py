"""`finnyaml lint`: everything that is wrong with a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnyaml.cli.arguments import RECIPE, Json, Recipe, Sets, StoreOption
from finnyaml.text import counted, relative

if TYPE_CHECKING:
    from finnyaml.cli.console import Console
    from finnyaml.engine.check import Checked

WITHOUT_FINN = (
    "FINN is not installed here: names of steps, flows, boards and build options were not checked, "
    "nor which tools the steps need"
)


def lint(
    recipe: Recipe = RECIPE,
    fix: Annotated[bool, typer.Option("--fix", help="Put exact repairs of what is found into the recipe.")] = False,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Say all that is wrong with a recipe; build nothing.

    The rules for graphs (docs/lints) look at every stage that an earlier build left in the store.
    Works without FINN, too, and then checks what can be checked.

    Exit code 2: there are errors; 4: a step needs a tool that is missing here;
    0: neither (other warnings are fine).
    """
    from finnyaml.cli.console import Console, show
    from finnyaml.engine.check import check

    console = Console(quiet=as_json)
    found = check(recipe, sets, store, console.note)
    if fix and found.repairs:
        _repair(found, console)
        found = check(recipe, sets, store, console.note)  # what is left
    if as_json:
        show(_plain(found), ())
    else:
        _tell(found, console)
    raise typer.Exit(found.code)


def _tell(found: Checked, console: Console) -> None:
    """Print what was found, and the verdict."""
    console.problems(found.problems)
    if found.problems:
        console.note("")
    errors = sum(problem.severity == "error" for problem in found.problems)
    warnings = len(found.problems) - errors
    told = ", ".join(counted(count, word) for count, word in ((errors, "error"), (warnings, "warning")) if count)
    console.out(f"{relative(found.recipe)}: {told or 'no problems'}" + (f" ({found.finn})" if found.finn else ""))
    if found.finn is not None and not found.looked_at:
        console.note("note: no graph of this recipe is in the store yet; build it, and lint looks at every stage")
    if found.repairs:
        steps = ", ".join(found.repairs)
        console.note(f"note: there are exact repairs ({steps}): `finnyaml lint --fix` puts them into the recipe")
    if found.finn is None and not errors:
        console.note(f"note: {WITHOUT_FINN}")


def _repair(found: Checked, console: Console) -> None:
    """Put the exact repairs into the recipe, and show the edit as a diff."""
    from finnyaml.cli.console import cut
    from finnyaml.engine.check import repair
    from finnyaml.lint.fix import Proposal

    for edit in repair(found):
        if isinstance(edit, Proposal):
            console.out(*map(cut, edit.diff().splitlines()))
        else:
            console.always(str(edit))


def _plain(found: Checked) -> Mapping[str, Any]:
    """The JSON form."""
    return {
        "recipe": str(found.recipe),
        "finn": found.finn,
        "exit_code": int(found.code),
        "problems": [
            {
                "severity": problem.severity,
                "message": problem.message,
                "hint": problem.hint,
                "file": str(problem.where.file) if problem.where else None,
                "line": problem.where.line if problem.where else None,
                "column": problem.where.column if problem.where else None,
            }
            for problem in found.problems
        ],
        "missing": {name: list(tools) for name, tools in found.missing.items()},
    }
