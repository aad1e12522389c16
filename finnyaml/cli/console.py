"""How commands print: results to standard output, everything about how it went to standard error.

On a terminal, lines are broken between words at its edge, and rows of tables end there. In a pipe and in a file both
stay whole.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from finnyaml.errors import FinnyamlError, Problem, RecipeError
from finnyaml.text import Whole, columns, shortened, visible, wrapped


def write(lines: Iterable[str], stream: TextIO, hang: int = 0) -> None:
    """Print lines; where one is broken, what follows is indented by `hang`."""
    width = columns(stream)
    for line in lines:
        print(wrapped(line, width, hang), file=stream, flush=True)


def show(data: Any, lines: Iterable[str], hang: int = 0) -> None:
    """Print the result: data as JSON where there is some, else the lines; `hang` as in `write`."""
    if data is not None:
        print(_json(data))
    else:
        write(lines, sys.stdout, hang)


def raw(text: str) -> None:
    """Print a text that has a form of its own: a log, a drawing. Its lines are not broken."""
    print(visible(text), end="" if text.endswith("\n") else "\n")


def _json(data: Any) -> str:
    """JSON has no NaN and no infinity: what is not finite is null."""
    try:
        return json.dumps(data, indent=1, default=str, allow_nan=False)
    except ValueError:
        plain = json.loads(json.dumps(data, default=str), parse_constant=lambda _: None)
        return json.dumps(plain, indent=1)


def variant_lines(told: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """What is told of each variant, below its name; the name is empty where a recipe has no matrix."""
    for name, lines in told.items():
        if name:
            yield f"variant {name}:"
        yield from lines


def variant_data(found: Mapping[str, Any]) -> Any:
    """The JSON form of what was found of each variant; of a recipe without a matrix, that alone."""
    return found.get("", {"variants": found})


def tell(*lines: str) -> None:
    """Say something beside the result."""
    write(lines, sys.stderr)


def problems(listed: Collection[Problem]) -> None:
    """Show problems with their place."""
    from finnyaml.recipe.snippet import render_problems

    if listed:
        print(render_problems(listed, columns(sys.stderr)), file=sys.stderr)


def failed(error: FinnyamlError) -> None:
    """Show an error that ends the command."""
    if isinstance(error, RecipeError):
        problems(error.problems)
        return
    where = f"{error.where}: " if error.where else ""
    tell(*shortened(f"{where}error: {error.message}").splitlines(), *([f"  hint: {error.hint}"] if error.hint else []))


def save(text: str, file: Path) -> None:
    """Write a file that the user asked for. FinnyamlError where it cannot be written."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FinnyamlError(f"cannot write {file}: {error.strerror}") from error


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = (), indent: int = 0
) -> list[str]:
    """Lines of a table with two blanks between columns; the columns `right` are aligned to the right."""
    lines = [*([header] if header else []), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [">" if column in right else "<" for column in range(len(widths))]
    width = columns(sys.stdout)
    cells = ([f"{text:{side}{size}}" for text, side, size in zip(line, sides, widths, strict=True)] for line in lines)
    return [_cut(" " * indent + "  ".join(row).rstrip(), width) for row in cells]


def _cut(line: str, width: int | None) -> Whole:
    return Whole(line if width is None or len(line) <= width else f"{line[: width - 1]}…")


def sentence(text: str) -> str:
    """The first sentence of a description, without a remark in brackets before it."""
    text = re.sub(r"^\([^)]*\)\s*", "", text)
    return re.split(r"(?<!e\.g)(?<!i\.e)[.:] (?=[A-Z*])|: \* ", text, maxsplit=1)[0].rstrip(".")
