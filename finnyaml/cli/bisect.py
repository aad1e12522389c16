"""`finnyaml bisect`: where accuracy is lost."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnyaml.cli.arguments import RECIPE, Json, Recipe, Sets, StoreOption

if TYPE_CHECKING:
    from finnyaml.cli.console import Console
    from finnyaml.engine.report import Bisected, Report


def bisect(
    recipe: Recipe = RECIPE,
    step: Annotated[
        str | None,
        typer.Argument(
            metavar="STEP", help="The step to search; default: the first whose gate fails.", show_default=False
        ),
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
    from finnyaml.cli.console import Console, show
    from finnyaml.cli.progress import watching

    console = Console(quiet=as_json)
    with watching(console) as progress:
        try:
            found = api.Recipe(recipe, sets, store=store).bisect(step, progress=progress)
        except api.BuildFailed as failed:
            found = failed.result
    _tell(found.report, console)
    if as_json:
        show({"found": [_plain(place) for place in found.report.bisected]}, ())
    raise typer.Exit(found.exit_code)


def _tell(report: Report, console: Console) -> None:
    """Tell what was found."""
    from finnyaml.api import failures, loss

    broken = list(failures.of_steps(report))
    for lines in broken:
        console.always(*lines)
    for place in report.bisected:
        console.out(*loss.lines(place, report))
    if not report.bisected and not broken:
        console.out(f"nothing is lost: {len(report.outcome.verdicts)} points measured, every gate passed")


def _plain(place: Bisected) -> dict[str, Any]:
    return {**asdict(place), "picture": str(place.picture) if place.picture else None}
