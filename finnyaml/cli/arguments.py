"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Recipe = Annotated[Path, typer.Argument(help="The recipe: a YAML file.", show_default=False)]
Sets = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Override a value of the recipe: folding.target_fps=1000. Repeatable."
    ),
]
StoreOption = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it at run time, also in Python 3.10
    typer.Option("--store", help="The store's folder [default: $FINNYAML_STORE or ~/.cache/finnyaml]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
