"""`finnyaml bisect`: where accuracy is lost."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnyaml.cli.arguments import RECIPE, Json, Recipe, Sets, StoreOption

if TYPE_CHECKING:
    from finnyaml.cli.console import Console
    from finnyaml.engine.report import Localised, Report


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
    from finnyaml.cli.console import Console, show
    from finnyaml.cli.progress import view
    from finnyaml.engine.bisect import JOBS, search
    from finnyaml.engine.session import open_session

    console = Console(quiet=as_json)
    session = open_session(recipe, sets, store, JOBS, console.note)
    try:
        console.problems(session.warnings)
        with view(quiet=as_json) as shown:
            found = search(session, step, shown.on_event)
        _tell(found, console)
    finally:
        session.close()
    if as_json:
        show({"found": [_plain(place) for place in found.localised]}, ())
    raise typer.Exit(found.code)


def _tell(found: Report, console: Console) -> None:
    """Tell what was found."""
    from finnyaml.cli import failures, loss

    session, outcome = found.session, found.outcome
    broken = {name: failure for name, failure in outcome.failed.items() if name not in outcome.verdicts}
    for name, failure in broken.items():
        console.always(*failures.explain(session.plan.tasks[name], failure, session, found.folder))
    for place in found.localised:
        console.out(*loss.lines(place, session, outcome))
    if not found.localised and not broken:
        console.out(f"nothing is lost: {len(outcome.verdicts)} points measured, every gate passed")


def _plain(place: Localised) -> dict[str, Any]:
    return {**asdict(place), "picture": str(place.picture) if place.picture else None}
