"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Recipe = Annotated[Path, typer.Argument(help="The recipe: a YAML file.", show_default=False)]
Sets = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Override a value of the recipe: folding.target_fps=1000. Repeatable."
    ),
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="The store's folder (default: $FINNYAML_STORE, else ~/.cache/finnyaml)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
