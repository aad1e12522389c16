"""`finnyaml log`: what the steps of a recipe printed, and how they went."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnyaml.cli.arguments import RECIPE, Json, Recipe, StoreOption
from finnyaml.cli.console import show, table, tell
from finnyaml.text import duration, relative, size, visible

if TYPE_CHECKING:
    from pathlib import Path

    from finnyaml.engine.history import Entry


def log(
    recipe: Recipe = RECIPE,
    step: Annotated[
        str | None,
        typer.Argument(metavar="STEP", help="A step id or target; without one, how all steps went."),
    ] = None,
    run: Annotated[
        str,
        typer.Option(
            "--run", metavar="RUN", help="A run, or the start of its name (default: the newest that ran the step)."
        ),
    ] = "",
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Show what a step printed, or how all steps went.

    It is the log of the last time that the step ran.
    """
    from finnyaml.engine.history import History
    from finnyaml.engine.session import open_store
    from finnyaml.recipe.load import load_recipe

    history = History(load_recipe(recipe)[0], open_store(store), run)
    if step is None:
        entries, newest = history.entries(), history.runs[0]
        data = {
            "run": newest.name,
            "folder": newest,
            "steps": list(map(_plain, entries)),
            "runs": [path.name for path in history.runs],
        }
        show(data if as_json else None, _listing(history.runs, entries))
        return
    entry = history.entry(step)
    text = history.text(entry)
    if as_json:
        sys.stdout.writelines(_document(_plain(entry), text))
        return
    last = "\n"
    said = False
    for last in text:  # a log may be larger than memory
        sys.stdout.write(visible(last))
        said = said or not last.isspace()
    if not last.endswith("\n"):
        print()
    if not said:
        tell(f"{entry.step} printed nothing")


def _document(plain: dict[str, Any], text: Iterator[str]) -> Iterator[str]:
    """The JSON form with the log, piece by piece."""
    first = next(text, "")  # before anything is printed: the log may be gone
    begin, end = json.dumps({**plain, "log": ""}, indent=1, default=str).rsplit('""', 1)
    yield f'{begin}"'
    for piece in chain([first], text):
        yield json.dumps(piece)[1:-1]
    yield f'"{end}\n'


def _listing(runs: Iterable[Path], entries: Iterable[Entry]) -> Iterator[str]:
    """The newest run to read."""
    run, *others = runs
    yield f"run {run.name} ({relative(run)})"
    yield ""
    rows = [
        (
            entry.step,
            entry.state,
            "-" if entry.seconds is None else duration(entry.seconds),
            "-" if not entry.peak_memory else size(entry.peak_memory),
            "-" if entry.log_size is None else size(entry.log_size),
        )
        for entry in entries
    ]
    yield from table(("STEP", "STATE", "TIME", "MEMORY", "LOG"), rows, right=(2, 3, 4))
    if others:
        yield ""
        names = ", ".join(other.name for other in others[:3])
        yield f"{len(others)} older (--run): {names}{', ...' if len(others) > 3 else ''}"


def _plain(entry: Entry) -> dict[str, Any]:
    """The JSON form."""
    return {key: getattr(entry, key) for key in ("step", "state", "seconds", "peak_memory", "log_size")}
