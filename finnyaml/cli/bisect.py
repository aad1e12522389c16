"""`finnyaml bisect`: where accuracy is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from finnyaml.cli.arguments import RECIPE, Json, Recipe, Sets, StoreOption
from finnyaml.cli.console import show, tell

if TYPE_CHECKING:
    from finnyaml.engine.outcome import Report


def bisect(
    recipe: Recipe = RECIPE,
    step: Annotated[
        str | None, typer.Argument(metavar="STEP", help="The step to search; default: the first whose gate fails.")
    ] = None,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Find where and why accuracy is lost.

    Names the step, the transformation in it, the first wrong tensor, and the cause. Builds what it needs. The recipe
    says in `verify:` on which data.

    Exit code 3: something is lost; 0: nothing is.
    """
    from finnyaml import api
    from finnyaml.api import failures
    from finnyaml.cli.progress import watching

    with watching(quiet=as_json) as progress:
        try:
            found = api.Recipe(recipe, sets, store=store).bisect(step, progress=progress)
        except api.BuildFailed as failed:
            found = failed.result
    for lines in failures.of_steps(found.report):
        tell(*lines)
    show({"found": list(map(asdict, found.report.bisected))} if as_json else None, _told(found.report))
    raise typer.Exit(found.exit_code)


def _told(report: Report) -> Iterator[str]:
    """What was found."""
    from finnyaml.api import failures

    for place in report.bisected:
        yield from failures.lost(place, report)
    if report.code == 0 and not report.bisected:
        yield f"nothing is lost: {len(report.outcome.verdicts)} points measured, every gate passed"
