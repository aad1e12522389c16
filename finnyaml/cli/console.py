"""How commands print: results to standard output, everything about how it went to standard error.

On a terminal, lines are broken between words at its edge. In a pipe and in a file they stay whole.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from finnyaml.errors import FinnyamlError, Problem, RecipeError
from finnyaml.text import Whole, wrapped


def columns(stream: TextIO) -> int | None:
    """How long a line may be there; None where it may have any length."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def cut(line: str) -> Whole:
    """A line of the result that ends at the edge of a terminal."""
    width = columns(sys.stdout)
    return Whole(line if width is None or len(line) <= width else f"{line[: width - 1]}…")


def write(lines: Iterable[str], stream: TextIO, hang: int = 0) -> None:
    """Print lines, broken between words where the stream is a terminal; `hang` is what follows a break indented by."""
    width = columns(stream)
    for line in lines:
        print(wrapped(line, width, hang), file=stream, flush=True)


def show(data: Any, lines: Iterable[str], hang: int = 0) -> None:
    """Print data as JSON where there is some, else the lines; `hang` as in `write`."""
    if data is not None:
        print(json.dumps(data, indent=1, default=str))
    else:
        write(lines, sys.stdout, hang)


def note(text: str) -> None:
    """Tell something beside the result."""
    write([text], sys.stderr)


def save(text: str, file: Path) -> None:
    """Write a file that the user asked for. FinnyamlError where it cannot be written."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FinnyamlError(f"cannot write {file}: {error.strerror}") from error


class Console:
    """What a command says beside a result that may go out as JSON; `quiet` is for when it does."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def out(self, *lines: str, hang: int = 0) -> None:
        """Print a result, unless it goes out as JSON."""
        if not self.quiet:
            write(lines, sys.stdout, hang)

    def always(self, *lines: str) -> None:
        """Tell what must not be missed."""
        write(lines, sys.stderr)

    def note(self, text: str) -> None:
        """Tell something beside the result."""
        if not self.quiet:
            note(text)

    def problems(self, problems: Iterable[Problem]) -> None:
        """Show problems with their place, always."""
        from finnyaml.recipe.snippet import render_problems

        listed = list(problems)
        if listed:
            print(render_problems(listed, columns(sys.stderr)), file=sys.stderr)

    def error(self, error: FinnyamlError) -> None:
        """Show an error that ends the command."""
        if isinstance(error, RecipeError):
            self.problems(error.problems)
            return
        where = f"{error.where}: " if error.where else ""
        self.always(*f"{where}error: {error.message}".splitlines(), *([f"  hint: {error.hint}"] if error.hint else []))
