"""`finnyaml bisect`: where accuracy is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from finnyaml.cli.arguments import RECIPE, Json, Recipe, Sets, StoreOption, Variants
from finnyaml.cli.console import show, tell, variant_data, variant_lines

if TYPE_CHECKING:
    from finnyaml.engine.outcome import Report


def bisect(
    recipe: Recipe = RECIPE,
    step: Annotated[
        str | None, typer.Argument(metavar="STEP", help="The step to search; default: the first whose gate fails.")
    ] = None,
    sets: Sets = [],  # noqa: B006
    variants: Variants = [],  # noqa: B006
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Find where and why accuracy is lost.

    Names the step, the transformation in it, the first wrong tensor, and the cause. Builds what it needs. The recipe
    says in `verify:` on which data.

    Exit code 3: something is lost; 0: nothing is.
    """
    from finnyaml import api
    from finnyaml.api import failures, summary
    from finnyaml.cli.progress import watching

    results = {}
    for name, each in api.Recipe(recipe, sets, store=store).variants(*variants).items():
        with watching(quiet=as_json) as progress:
            try:
                results[name] = each.bisect(step, progress=progress)
            except api.BuildFailed as failed:
                results[name] = failed.result
        for lines in failures.of_steps(results[name].report):
            tell(*lines)
    data = {name: {"found": list(map(asdict, found.report.bisected))} for name, found in results.items()}
    told = variant_lines({name: _told(found.report) for name, found in results.items()})
    show(variant_data(data) if as_json else None, told)
    raise typer.Exit(summary.worst(found.exit_code for found in results.values()))


def _told(report: Report) -> Iterator[str]:
    """What was found."""
    from finnyaml.api import failures

    for place in report.bisected:
        yield from failures.lost(place, report)
    if report.code == 0 and not report.bisected:
        yield f"nothing is lost: {len(report.outcome.verdicts)} points measured, every gate passed"
