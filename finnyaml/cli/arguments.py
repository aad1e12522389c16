"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RECIPE = Path("recipe.yaml")
"""What commands take where no recipe is named."""


def _recipe(path: Path) -> Path:
    """The recipe of a command line, with a word of help where there is none. RecipeError then."""
    from finnyaml.errors import Problem, RecipeError

    if path.exists() or path.suffix in (".yaml", ".yml"):
        if path == RECIPE and not path.exists():
            hint = "name the recipe, or write one for a network: finnyaml init MODEL"
            raise RecipeError([Problem(f"there is no {RECIPE} here, and no other recipe is named", hint=hint)])
        return path
    order = f"the recipe stands before a step or target: {RECIPE} {path}"
    raise RecipeError([Problem(f"there is no recipe {path}", hint=order if RECIPE.exists() else None)])


Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", callback=_recipe)]
Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="TARGET", help="Targets or step ids, or `bundle`; default: all targets."),
]
Target = Annotated[
    list[str],
    typer.Option("--target", "-t", metavar="TARGET", help="A target or step id, as an option. Repeatable."),
]
Start = Annotated[
    str | None,
    typer.Option("--from", metavar="STEP", help="Run from this step on; what is before it must be up to date."),
]
Stop = Annotated[str | None, typer.Option("--to", metavar="STEP", help="Build up to and including this step.")]
Only = Annotated[
    list[str],
    typer.Option("--only", metavar="STEP", help="Run only this step; what it needs must be up to date. Repeatable."),
]
Force = Annotated[
    list[str], typer.Option("--force", metavar="STEP", help="Run this step even if it is up to date. Repeatable.")
]
Distrust = Annotated[
    bool,
    typer.Option("--distrust", help="Run again what may differ: where not all that a step read was seen."),
]
Sets = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Override a value of the recipe: folding.target_fps=1000. Repeatable."
    ),
]
Variants = Annotated[
    list[str],
    typer.Option(
        "--variant", metavar="NAME", help="Only this variant of the recipe's matrix; `cnv-*` for several. Repeatable."
    ),
]
WhereOption = Annotated[
    list[str],
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only variants for which this holds: 'folding.target_fps>1000', in quotes. Repeatable: all have to hold.",
    ),
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", metavar="FOLDER", help="The store's folder (default: $FINNYAML_STORE, else ~/.cache/finnyaml)."
    ),
]
RemoteOption = Annotated[
    str | None,
    typer.Option(
        "--remote",
        metavar="URL",
        help="A store elsewhere, as s3://bucket/folder, or none (default: $FINNYAML_REMOTE, else the site file's).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
