"""`finnyaml lint`: everything that is wrong with a recipe, without building anything."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnyaml.cli.render import Console
from finnyaml.engine import lints
from finnyaml.engine.session import Session, open_session
from finnyaml.errors import ExitCode, Problem, RecipeError
from finnyaml.finn import identity
from finnyaml.lint import fix
from finnyaml.plan.status import verdict
from finnyaml.plan.vocabulary import vocabulary
from finnyaml.recipe.load import load_recipe
from finnyaml.steps.builtin import STEPS
from finnyaml.text import relative
from finnyaml.tools import registry

WITHOUT_FINN = (
    "FINN is not installed here: names of steps, flows, boards and build options were not checked, "
    "nor which tools the steps need"
)


@dataclass
class Report:
    """All that is said about one recipe; `finn` is None where there was none to check against."""

    recipe: Path
    finn: str | None = None
    problems: list[Problem] = field(default_factory=list)
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tasks that cannot run here, with the tools they lack."""
    repairs: list[str] = field(default_factory=list)
    """Steps that repair what was found, exactly."""
    looked_at: int = 0
    """How many built graphs the rules looked at."""
    code: ExitCode = ExitCode.OK


def lint(recipe: Path, sets: Sequence[str], store: Path | None, console: Console) -> Report:
    """Check a recipe: its structure and files, then (where FINN is) its plan, then the tools of this machine."""
    found = Report(recipe)
    try:
        _, warnings = load_recipe(recipe, sets, os.environ, vocabulary())
        found.problems += warnings
        if identity.package_root("finn") is not None:
            session = open_session(recipe, sets, store, 1, console.note)
            try:
                _look_at(session, found)
            finally:
                session.close()
    except RecipeError as error:
        found.problems += error.problems
    found.problems = list(dict.fromkeys(found.problems))
    if any(problem.severity == "error" for problem in found.problems):
        found.code = ExitCode.BAD_INPUT
    return found


def _look_at(session: Session, found: Report) -> None:
    found.finn = str(session.catalog)
    found.problems += session.warnings
    statuses = session.judge().survey(set(session.plan.tasks))
    built = {name: status.built for name, status in statuses.items() if status.built is not None}
    with session.store.session(), tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        seen = lints.findings(session.plan, built, session.store, session.pool, log)
    found.problems += [lints.problem(session.plan, task, finding) for task, finding in seen]
    found.repairs = list(dict.fromkeys(finding.repair for _, finding in seen if finding.repair))
    found.looked_at = sum(session.plan.tasks[name].is_step for name in built)
    found.missing = {name: status.missing for name, status in statuses.items() if status.missing}
    found.code = verdict(statuses)
    # A flow puts all its tasks at one place: those that lack the same are one warning.
    groups: dict[tuple[Any, tuple[str, ...]], list[str]] = {}
    for name, tools in found.missing.items():
        groups.setdefault((session.recipe.at(session.plan.tasks[name].pointer), tools), []).append(name)
    for (where, tools), names in groups.items():
        verb = "need" if len(names) > 1 else "needs"
        be = "are" if len(tools) > 1 else "is"
        message = f"cannot run here: {', '.join(names)} {verb} {', '.join(tools)}, which {be} missing"
        found.problems.append(Problem(message, where, _hints(tools), "warning"))


def _hints(tools: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(registry.tool(tool).hint for tool in tools))


def show(found: Report, console: Console) -> None:
    """Print what was found, and the verdict."""
    console.problems(found.problems)
    if found.problems:
        console.note("")
    errors = sum(problem.severity == "error" for problem in found.problems)
    warnings = len(found.problems) - errors
    told = ", ".join(
        f"{count} {word}{'s' if count > 1 else ''}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    )
    console.out(f"{relative(found.recipe)}: {told or 'no problems'}" + (f" ({found.finn})" if found.finn else ""))
    if found.finn is not None and not found.looked_at:
        console.note("note: no graph of this recipe is in the store yet; build it, and lint looks at every stage")
    if found.repairs:
        steps = ", ".join(found.repairs)
        console.note(f"note: there are exact repairs ({steps}): `finnyaml lint --fix` puts them into the recipe")
    if found.finn is None and not errors:
        console.note(f"note: {WITHOUT_FINN}")


def repair(found: Report, console: Console) -> None:
    """Put the exact repairs into the recipe, and show the edit as a diff."""
    for step in found.repairs:
        try:
            proposed = fix.propose_for(found.recipe, step, str(STEPS[step].after))
        except fix.ByHand as error:
            console.always(str(error))
            continue
        console.out(proposed.diff().rstrip())
        proposed.path.write_text(proposed.after, encoding="utf-8", newline="")


def plain(found: Report) -> Mapping[str, Any]:
    """The JSON form."""
    return {
        "recipe": str(found.recipe),
        "finn": found.finn,
        "exit_code": int(found.code),
        "problems": [
            {
                "severity": problem.severity,
                "message": problem.message,
                "hint": problem.hint,
                "file": str(problem.where.file) if problem.where else None,
                "line": problem.where.line if problem.where else None,
                "column": problem.where.column if problem.where else None,
            }
            for problem in found.problems
        ],
        "missing": {name: list(tools) for name, tools in found.missing.items()},
    }
