"""`finnyaml build --check`: do steps give the same again?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from finnyaml.cli.console import show, tell, variant_data, variant_lines
from finnyaml.text import counted

if TYPE_CHECKING:
    from finnyaml.engine.outcome import Report


def repeat(
    recipe: Path,
    steps: Sequence[str],
    sets: Sequence[str],
    variants: Sequence[str],
    jobs: int,
    verbose: bool,
    as_json: bool,
    store: Path | None,
) -> NoReturn:
    """Run steps a second time and say what differs. Exit code 1: something does."""
    from finnyaml import api
    from finnyaml.api import failures, summary
    from finnyaml.cli.progress import watching

    results = {}
    for name, each in api.Recipe(recipe, sets, store=store).variants(*variants).items():
        with watching(quiet=as_json, verbose=verbose) as progress:
            try:
                results[name] = each.check(*steps, jobs=jobs, progress=progress)
            except api.BuildFailed as failed:
                results[name] = failed.result
                for lines in failures.told(failed.result.report):
                    tell(*lines, "")
    data = {name: {"repeated": result.repeated, "exit_code": int(result.exit_code)} for name, result in results.items()}
    told = variant_lines({name: _told(result.report) for name, result in results.items()})
    show(variant_data(data) if as_json else None, told)
    raise typer.Exit(summary.worst(result.exit_code for result in results.values()))


def _told(report: Report) -> Iterator[str]:
    for item in report.repeated:
        if item.failure:
            yield f"{item.task} failed the second time: {item.failure.message}"
        elif item.differing:
            yield f"{item.task} differs{', as the recipe says' if item.known else ''}:"
            yield from (f"  {what}" for what in item.differing)
    same = sum(not (item.differing or item.failure) for item in report.repeated)
    if report.repeated:
        yield f"{same} of {counted(len(report.repeated), 'task')} gave the same again"
    if any(item.differing and not item.known for item in report.repeated):
        yield "make the result depend on the inputs alone, or say `pure: false` of the step (docs/recipe.md)"
