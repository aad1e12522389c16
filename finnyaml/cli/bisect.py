"""`finnyaml bisect`: where accuracy is lost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from finnyaml.cli import failures, loss
from finnyaml.cli.render import Console
from finnyaml.engine.report import Localised, Report


def tell(found: Report, console: Console) -> None:
    """Tell what was found."""
    session, outcome = found.session, found.outcome
    broken = {name: failure for name, failure in outcome.failed.items() if name not in outcome.verdicts}
    for name, failure in broken.items():
        console.always(failures.explain(session.plan.tasks[name], failure, session, found.folder))
    for place in found.localised:
        for line in loss.lines(place, session, outcome):
            console.out(line)
    if not found.localised and not broken:
        console.out(f"nothing is lost: {len(outcome.verdicts)} points measured, every gate passed")


def plain(found: Report) -> dict[str, Any]:
    """The JSON form."""
    return {"found": [_plain(place) for place in found.localised]}


def _plain(place: Localised) -> dict[str, Any]:
    return {**asdict(place), "picture": str(place.picture) if place.picture else None}
