"""`finnyaml table`: the figures of all variants beside each other, from what is built."""

from __future__ import annotations

from typing import Annotated

import typer

from finnyaml.cli.arguments import RECIPE, Json, Recipe, RemoteOption, Sets, StoreOption, Variants, WhereOption
from finnyaml.cli.console import raw, show


def table(
    recipe: Recipe = RECIPE,
    sets: Sets = [],  # noqa: B006
    variants: Variants = [],  # noqa: B006
    where: WhereOption = [],  # noqa: B006
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="Print the table as LaTeX, for booktabs.")] = False,
    as_json: Json = False,
    store: StoreOption = None,
    remote: RemoteOption = None,
) -> None:
    """Show the objectives of all variants, and which of them are in the Pareto set. Builds nothing.

    A variant that is not built, or no longer up to date, has no figures.
    """
    from finnyaml import api
    from finnyaml.cli.progress import watching
    from finnyaml.errors import Problem, RecipeError

    if sum((as_csv, as_latex, as_json)) > 1:
        raise RecipeError([Problem("the table is printed in one form: --csv, --latex or --json")])
    with watching(quiet=as_json or as_csv or as_latex) as progress:
        opened = api.Recipe(recipe, sets, store=store, remote=remote)
        found = opened.variants(*variants, where=where).table(progress=progress)
    if as_csv or as_latex:
        raw(found.to_csv() if as_csv else found.to_latex())
        return
    show(found.to_json() if as_json else None, found.lines(), hang=2)
