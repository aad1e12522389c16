"""The arguments and options that several commands share, and how they print what they found."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from finnyaml.store import Store

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


def opened_store(option: Path | None) -> Store:
    """The store that a command line is about."""
    from finnyaml.engine.session import store_root
    from finnyaml.store import Store

    return Store.open(store_root(option))


def show(data: Any, lines: Iterable[str]) -> None:
    """Print data as JSON where there is some, else the lines."""
    if data is not None:
        print(json.dumps(data, indent=1, default=str))
        return
    for line in lines:
        print(line)


def note(text: str) -> None:
    """Tell something beside the result."""
    print(text, file=sys.stderr)
