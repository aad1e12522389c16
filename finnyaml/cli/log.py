"""`finnyaml log`: what the steps of a recipe printed, and how they went."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnyaml.cli.arguments import RECIPE, Json, Recipe, StoreOption, Variants
from finnyaml.cli.console import show, table, tell, variant_data, variant_lines
from finnyaml.text import duration, relative, size, visible

if TYPE_CHECKING:
    from pathlib import Path

    from finnyaml.engine.history import Entry
    from finnyaml.recipe import model


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
    variants: Variants = [],  # noqa: B006
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Show what a step printed, or how all steps went.

    It is the log of the last time that the step ran.
    """
    from finnyaml.engine import record
    from finnyaml.engine.history import History
    from finnyaml.engine.session import open_store
    from finnyaml.errors import RecipeError
    from finnyaml.recipe.load import load_recipes, several
    from finnyaml.recipe.matrix import Wanted

    recipes = [found for found, _ in load_recipes(recipe, wanted=Wanted(tuple(variants)))]
    if step is None:
        ever_built = [found for found in recipes if record.runs(found.workspace)]
        _all_steps(ever_built or recipes[:1], store, run, as_json)
        return
    if len(recipes) > 1:
        raise RecipeError([several(recipes)])
    history = History(recipes[0], open_store(store), run)
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


def _all_steps(recipes: list[model.Recipe], store: Path | None, run: str, as_json: bool) -> None:
    """How all steps went, of each variant that was built."""
    from finnyaml.engine.history import History
    from finnyaml.engine.session import open_store

    data: dict[str, Any] = {}
    lines: dict[str, Iterable[str]] = {}
    for recipe in recipes:
        history = History(recipe, open_store(store), run)
        entries, newest = history.entries(), history.runs[0]
        data[recipe.variant or ""] = {
            "run": newest.name,
            "folder": newest,
            "steps": list(map(_plain, entries)),
            "runs": [path.name for path in history.runs],
        }
        lines[recipe.variant or ""] = _listing(history.runs, entries)
    show(variant_data(data) if as_json else None, variant_lines(lines))


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
