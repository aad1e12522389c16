"""Where accuracy is lost, told: below a failed gate of a build, and as the answer of a search."""

from __future__ import annotations

from collections.abc import Iterator

from finnyaml.engine.report import Bisected, Report
from finnyaml.lint import fix
from finnyaml.lint.catalogue import RULES
from finnyaml.plan.points import FOLDER
from finnyaml.recipe.model import Recipe
from finnyaml.steps.builtin import STEPS
from finnyaml.text import Whole, relative

REFERENCE = {"tree": f"{FOLDER}/source.npz", "name": "source"}
"""What points have that are compared with the model itself."""


def of_gates(report: Report) -> Iterator[list[str]]:
    """Every gate that stopped the build: first those where nothing is lost in accuracy, then where it is lost."""
    verdicts = report.outcome.verdicts
    for point, failure in report.outcome.failed.items():
        if point in verdicts and not verdicts[point].lost:
            yield [f"{point} failed: {failure.message}", *([f"  hint: {failure.hint}"] if failure.hint else [])]
    yield from (lines(place, report) for place in report.bisected)


def lines(found: Bisected, report: Report) -> list[str]:
    """The story of one failed point, ending with an edit of the recipe where there is an exact repair."""
    session, verdict = report.session, report.outcome.verdicts.get(found.point)
    head = [f"{found.point} {verdict.state}: {'; '.join(verdict.reasons)}"] if verdict and verdict.reasons else []
    if found.failure is not None:
        return [*head, f"  {found.step} could not be searched for the place: {found.failure.message}"]
    if found.found is None and session.plan.tasks[found.point].params["reference"] != REFERENCE:
        return [*head, f"  the graph that {found.step} made is so before any step of FINN"]
    if found.found is None:
        return [
            *head,
            f"  it is lost before any step of FINN: the graph that {found.step} made disagrees with the model itself",
            "  hint: is the data what model.input says (datatype, layout)? are the stages as in training?",
        ]
    told = [*head, *(f"  {line}" for line in found.found["told"])]
    if found.picture is not None:
        told.append(f"  picture: {relative(found.picture)}")
    rule = RULES.get((found.found["cause"] or {}).get("id", ""))
    return [*told, *(_edit(session.recipe, rule.repair) if rule and rule.repair else ())]


def _edit(recipe: Recipe, repair: str) -> list[str]:
    """The edit that puts an exact repair into the recipe, as a diff."""
    head = f"  exact repair, without retraining: the step {repair} after {STEPS[repair].after}"
    if fix.has_step(recipe, repair):
        return []
    try:
        proposed = fix.propose_for(recipe.path, repair, str(STEPS[repair].after))
    except fix.ByHand as error:
        return [f"{head} ({error})"]
    return [
        f"{head} (`finnyaml lint --fix` writes it):",
        *(Whole(f"    {line}") for line in proposed.diff().splitlines()),
    ]
