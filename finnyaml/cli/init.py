"""`finnyaml init`: a recipe to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finnyaml.cli.arguments import RECIPE


def init(
    source: Annotated[
        str, typer.Argument(metavar="MODEL", help="model.onnx, model.py or model.py:function.", show_default=False)
    ],
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
    from finnyaml.cli.console import save
    from finnyaml.errors import Problem, RecipeError
    from finnyaml.recipe.starter import examine, recipe_text
    from finnyaml.text import relative

    if output.exists() and not force:
        raise RecipeError([Problem(f"{output} exists", hint="-o names another file, --force writes over this one")])
    found = examine(source, output.absolute().parent, shape)
    text = recipe_text(found, board, clock)
    save(text, output)
    print(f"wrote {relative(output)}")
    todo = [str(number) for number, line in enumerate(text.splitlines(), 1) if "TODO" in line]
    first = f"fill in line {' and '.join(todo)}, then " if todo else ""
    print(f"next: {first}finnyaml lint {relative(output)}")
