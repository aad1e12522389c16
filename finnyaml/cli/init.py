"""`finnyaml init`: a recipe to start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from finnyaml.cli.arguments import RECIPE
from finnyaml.cli.console import save, show
from finnyaml.errors import Problem, RecipeError
from finnyaml.text import listed, relative


def init(
    source: Annotated[str, typer.Argument(metavar="MODEL", help="model.onnx, model.py or model.py:function.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The recipe to write.")] = RECIPE,
    shape: Annotated[
        str | None,
        typer.Option(
            "--shape",
            metavar="1,3,32,32",
            help="The network's input, the batch first. Needed for a Python file; an .onnx file knows its own.",
        ),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="BOARD", help="The board to build for: `finnyaml steps boards` lists them."),
    ] = None,
    clock: Annotated[
        float | None, typer.Option("--clock", metavar="NS", min=0.1, help="The clock period in nanoseconds.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
) -> None:
    """Write a commented recipe for a network.

    The network is an ONNX file, or a Python function that returns a Brevitas module. The Python file is only read,
    never run. What cannot be known is marked TODO.
    """
    from finnyaml.recipe.schema import schema_path
    from finnyaml.recipe.starter import SCHEMA, examine, recipe_text

    if output.exists() and not force:
        raise RecipeError([Problem(f"{output} exists", hint="-o names another file, --force writes over this one")])
    text = recipe_text(examine(source, output.absolute().parent, shape), board, clock)
    save(text, output)
    schema = output.with_name(SCHEMA)
    if not schema.exists():
        save(schema_path().read_text("utf-8"), schema)
    show(None, _told(text, relative(output), relative(schema)))


def _told(text: str, recipe: str, schema: str) -> Iterator[str]:
    """What was written, and what to do next."""
    yield f"wrote {recipe}, and {schema} for editors"
    marked = [(str(number), line) for number, line in enumerate(text.splitlines(), 1) if "TODO" in line]
    fill = [number for number, line in marked if "TODO check" not in line]
    check = [number for number, line in marked if "TODO check" in line]
    if fill:
        yield f"next: fill in {_lines(fill)} (TODO)"
    if check:
        yield f"next: check what was guessed, in {_lines(check)} (TODO check)"
    yield f"next: finnyaml lint{'' if recipe == str(RECIPE) else f' {recipe}'}"


def _lines(numbers: list[str]) -> str:
    return f"line{'s' if len(numbers) > 1 else ''} {listed(numbers)}"
