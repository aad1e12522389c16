"""`finnyaml jobs`: the jobs of a cluster that builds have submitted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnyaml.cli.arguments import Json, StoreOption
from finnyaml.cli.console import show, table

if TYPE_CHECKING:
    from finnyaml.engine.overview import Row

_WIDTHS = (9, 16, 15)
"""Columns for the recipe, the task and the node or reason: what is longer is cut, so that a row has 80 columns."""


def jobs(
    all_: Annotated[bool, typer.Option("--all", "-a", help="Also those that have ended.")] = False,
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Show the jobs of a cluster that builds with this store have submitted.

    What a job makes is in the store, whether the build that submitted it is still there or not; the next build finds
    the job and waits for it. `scancel ID` ends one.
    """
    from finnyaml.engine.overview import overview
    from finnyaml.engine.session import open_store

    found = overview(open_store(store, Path()), ended=all_)
    data = [asdict(row) for row in found] if as_json else None
    show(data, _lines(found, ended=all_))


def _lines(rows: list[Row], *, ended: bool) -> Iterator[str]:
    if not rows:
        yield "no jobs" if ended else "no job is in the queue; `--all` shows those that have ended"
        return
    yield from table(("JOB", "STATE", "RECIPE", "TASK", "TASKS", "SINCE", "WHERE"), map(_row, rows))
    if lost := [row for row in rows if row.failure]:
        yield ""
        yield from (f"job {row.job}: {row.failure}; its log: {row.log}" for row in lost)


def _row(row: Row) -> tuple[Any, ...]:
    from finnyaml.text import age

    recipe, task, where = (
        _cut(text, size) for text, size in zip((row.recipe, row.task, row.where), _WIDTHS, strict=True)
    )
    since = age(max(0.0, time.time() - row.since))
    return row.job, row.state.lower(), recipe, task, f"{row.done}/{len(row.tasks)}", since, where


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"
