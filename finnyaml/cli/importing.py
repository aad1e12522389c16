"""`finnyaml import`: recipes from what people have already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from finnyaml.cli.arguments import StoreOption
from finnyaml.cli.console import show, tell
from finnyaml.text import relative


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A build script, a configuration or a folder with one, a benchmark, a blueprint, a folding file.",
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="-- ARGUMENT", help="What a script is called with.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Where to write (default: beside the source)."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FILE", help="The model, where a configuration does not name it."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files of earlier imports.")] = False,
    store: StoreOption = None,
) -> None:
    """Write the recipes of a FINN project. Builds that differ in few values are one recipe, with a matrix.

    A Python script is run, since only that tells what it builds: your own code, in a process of its own and in a copy
    of its folder, with FINN's build functions replaced. Nothing is built, and nothing of yours is changed. What has no
    counterpart in a recipe stands in it as a comment, with the reason.
    """
    from finnyaml.engine.installed import open_catalog
    from finnyaml.exchange.importing import import_recipes

    catalog = open_catalog(store, tell)
    result = import_recipes(source, arguments or [], output, model, catalog, force, tell)
    lines: list[str] = [f"wrote {', '.join(map(relative, result.files))}"]
    for note in result.notes:
        lines.append(f"note: {note}")
    show(None, [*lines, *_told(result.recipes)])


def _told(recipes: object) -> Iterator[str]:
    """What to do next."""
    from finnyaml.exchange.to_recipe import Draft

    assert isinstance(recipes, tuple)
    said: set[str] = set()
    for _, made in recipes:
        assert isinstance(made, Draft)
        for what, why in made.dropped:
            line = f"left out: {what} ({why})"
            if line not in said:
                said.add(line)
                yield line
        for what in made.todo:
            if what not in said:
                said.add(what)
                yield f"to do: {what}"
    for first, _ in recipes[:1]:
        yield f"next: finnyaml lint {relative(first)}"
