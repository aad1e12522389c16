"""Everything that is wrong with a recipe and with the graphs of its last build, without building anything."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnyaml.engine import finn_checks, lints
from finnyaml.engine.session import Session, open_sessions
from finnyaml.errors import ExitCode, Problem, RecipeError
from finnyaml.finn import identity
from finnyaml.lint import fix
from finnyaml.plan.status import Looks, verdict
from finnyaml.plan.vocabulary import vocabulary
from finnyaml.plan.without_vivado import for_verification
from finnyaml.recipe.load import load_recipes
from finnyaml.recipe.matrix import Wanted
from finnyaml.steps.builtin import STEPS
from finnyaml.tools import registry


@dataclass
class Checked:
    """All that is said about one recipe; `finn` is None where there was none to check against."""

    recipe: Path
    finn: str | None = None
    problems: list[Problem] = field(default_factory=list)
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tasks that cannot run here, with the tools they lack."""
    repairs: dict[str, str] = field(default_factory=dict)
    """Steps that repair what was found, exactly, each with the step after which it belongs."""
    looked_at: int = 0
    """How many built graphs the rules looked at."""
    code: ExitCode = ExitCode.OK


def check(
    recipe: Path,
    sets: Sequence[str],
    store: Path | None,
    notice: Callable[[str], None],
    variants: Sequence[str] = (),
) -> Checked:
    """Check a recipe: its structure and files, then (where FINN is) its plan, then the tools of this machine.

    Of a recipe with a matrix, the variants that fit one of the patterns; all where there is none.
    """
    found = Checked(recipe)
    try:
        if identity.package_root("finn") is None:
            loaded = load_recipes(recipe, sets, os.environ, vocabulary(), Wanted(tuple(variants)))
            found.problems = list(dict.fromkeys(problem for _, warnings in loaded for problem in warnings))
            return found
        sessions = open_sessions(recipe, sets, store, 1, notice, wanted=Wanted(tuple(variants)))
        with contextlib.closing(sessions[0]):
            looks = Looks()
            for session in sessions:
                _look_at(session, found, looks)
    except RecipeError as error:
        found.problems += error.problems
    found.problems = list(dict.fromkeys(found.problems))
    if any(problem.severity == "error" for problem in found.problems):
        found.code = ExitCode.BAD_INPUT
    return found


def _look_at(session: Session, found: Checked, looks: Looks) -> None:
    found.finn = str(session.catalog)
    found.problems += session.warnings
    statuses = session.judge(looks=looks).survey(set(session.plan.tasks))
    built = {name: status.built for name, status in statuses.items() if status.built is not None}
    with session.store.session(), tempfile.TemporaryDirectory() as folder:
        found.problems += finn_checks.problems(session, Path(folder, "log"))
        seen = lints.findings(session.plan, built, session.store, session.pool, Path(folder, "log"))
    found.problems += [lints.problem(session.plan, task, finding) for task, finding in seen]
    for task, finding in seen:
        if finding.repair:
            found.repairs.setdefault(finding.repair, _place(session, finding.repair, task))
    found.looked_at += sum(session.plan.tasks[name].is_step for name in built)
    missing = {name: status.missing for name, status in statuses.items() if status.missing}
    variant = f"{session.recipe.variant}/" if session.recipe.variant else ""
    found.missing |= {f"{variant}{name}": tools for name, tools in missing.items()}
    found.code = max(found.code, verdict(statuses))
    # A flow puts all its tasks at one place: those that lack the same are one warning.
    groups: dict[tuple[Any, tuple[str, ...]], list[str]] = {}
    for name, tools in missing.items():
        groups.setdefault((session.recipe.at(session.plan.tasks[name].pointer), tools), []).append(name)
    for (where, tools), names in groups.items():
        verb = "need" if len(names) > 1 else "needs"
        be = "are" if len(tools) > 1 else "is"
        message = f"cannot run here: {', '.join(names)} {verb} {', '.join(tools)}, which {be} missing"
        plan = session.plan
        why = [for_verification(plan.tasks[name], tool, plan.catalog) for name in names for tool in tools]
        hint = "; ".join(dict.fromkeys([*(registry.tool(tool).hint for tool in tools), *filter(None, why)]))
        found.problems.append(Problem(message, where, hint, "warning"))


def _place(session: Session, repair: str, task: str) -> str:
    """Where a repair belongs ("after tidy_up"); that of a plug-in where its rule spoke first, after some step."""
    if repair in STEPS:
        return str(STEPS[repair].place)
    steps = [name for name, item in session.plan.tasks.items() if item.is_step and not item.declared.source]
    return f"after {task if task in steps else steps[0]}"


def repair(found: Checked) -> Iterator[fix.Proposal | fix.ByHand]:
    """Write the exact repairs into the recipe, one after the other; yields each edit, or why it is left to the user."""
    for step, place in found.repairs.items():
        try:
            proposed = fix.propose_for(found.recipe, step, place)
        except fix.ByHand as reason:
            yield reason
            continue
        proposed.path.write_text(proposed.after, encoding="utf-8", newline="")
        yield proposed
