"""`finnyaml export`: a recipe as a plain Python script of FINN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finnyaml.cli.arguments import RECIPE, Recipe, Sets, StoreOption, Variants
from finnyaml.cli.console import problems, save, show, tell
from finnyaml.errors import Problem, RecipeError
from finnyaml.text import relative


def export(
    recipe: Recipe = RECIPE,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The script to write (default: build.py beside it)."),
    ] = None,
    sets: Sets = [],  # noqa: B006
    variants: Variants = [],  # noqa: B006
    force: Annotated[bool, typer.Option("--force", help="Write over existing files.")] = False,
    store: StoreOption = None,
) -> None:
    """Write a recipe as a Python script that needs FINN only.

    For colleagues without finnyaml, and for bug reports to FINN. What FINN alone cannot do is left out, and the script
    says so. `finnyaml import` makes a recipe of such a script again. The script of a recipe with a matrix builds all of
    its variants, or those that --variant names; they have to have the same steps.
    """
    import os

    from finnyaml.engine.installed import open_catalog
    from finnyaml.exchange.exporting import export as exported
    from finnyaml.plan.vocabulary import vocabulary
    from finnyaml.recipe.load import load_recipes
    from finnyaml.recipe.matrix import Wanted

    loaded = load_recipes(recipe, sets, os.environ, vocabulary(), Wanted(tuple(variants)))
    problems(dict.fromkeys(warning for _, warnings in loaded for warning in warnings))
    recipes = [found for found, _ in loaded]
    file = (output or recipes[0].directory / "build.py").absolute()
    script = exported(recipes, open_catalog(store, tell), file.parent)
    files = [file, *(file.parent / name for name in script.files)]
    present = [path for path in files if path.exists()]
    if present and not force:
        hint = "-o names another file, --force writes over"
        raise RecipeError([Problem(f"{', '.join(map(relative, present))} exists", hint=hint)])
    file.parent.mkdir(parents=True, exist_ok=True)
    save(script.text, file)
    for path, data in zip(files[1:], script.files.values(), strict=True):
        path.write_bytes(data)
    show(
        None,
        [f"wrote {', '.join(map(relative, files))}", *(f"left out: {what} ({why})" for what, why in script.dropped)],
    )
