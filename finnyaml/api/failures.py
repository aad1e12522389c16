"""What is told of failures.

Of a failed step: the cause, where its log is, how to try again, how to reproduce it alone. Of a failed gate: where
accuracy is lost, and what repairs it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from finnyaml.engine.outcome import Bisected, Report
from finnyaml.engine.session import Session, store_root
from finnyaml.files import reading
from finnyaml.lint import fix
from finnyaml.lint.catalogue import RULES
from finnyaml.plan.points import FOLDER
from finnyaml.plan.task import Task
from finnyaml.recipe.model import Recipe
from finnyaml.steps.builtin import STEPS
from finnyaml.text import Whole, relative, shortened
from finnyaml.worker.error_logs import SANDBOX
from finnyaml.worker.job import Failure

_TAIL = 1 << 16
"""In so many bytes at the end of a log its last line is looked for."""

REFERENCE = {"tree": f"{FOLDER}/source.npz", "name": "source"}
"""What points have that are compared with the model itself."""


def told(report: Report) -> list[list[str]]:
    """All that failed, each in a few lines: steps, then gates."""
    return [*of_steps(report), *of_gates(report)]


def of_steps(report: Report) -> Iterator[list[str]]:
    """Every step that failed, each in a few lines; gates are not among them."""
    for name, failure in report.outcome.failed.items():
        if name not in report.outcome.verdicts:
            yield explain(report.session.plan.tasks[name], failure, report.session, report.folder)


def explain(task: Task, failure: Failure, session: Session, run: Path) -> list[str]:
    """A few lines about one failed task, ending with commands to copy."""
    recipe = session.recipe.path
    log = run / "logs" / f"{task.id}.log"
    lines = [f"{task.id} ({task.uses}) failed: {_headline(failure)}", *_place(failure), *_evidence(failure, log)]
    if failure.hint:
        lines.append(f"  hint:      {failure.hint}")
    lines = [shortened(line, relative(run / "run.json")) for line in lines]
    if place := _user_frame(failure.traceback, recipe.parent):
        lines.append(f"  in your code: {place}")
    lines.append(f"  log:       {relative(log)}")
    sets = [word for item in session.sets for word in ("--set", item)]
    if session.recipe.variant is not None:
        sets += ["--variant", session.recipe.variant]
    if session.store.root != store_root(None, recipe.parent).resolve():
        sets += ["--store", str(session.store.root)]
    command = ["finnyaml"] if shutil.which("finnyaml") else [relative(Path(sys.executable)), "-m", "finnyaml"]
    again = shlex.join([*command, "build", relative(recipe), *sets, "--to", task.id])
    lines.append(Whole(f"  try again: {again}"))
    job = run / "failed" / f"{task.id}.json"
    if job.exists():
        python = relative(Path(sys.executable))
        lines.append(Whole(f"  alone:     {shlex.join([python, '-m', 'finnyaml.worker.rerun', relative(job)])}"))
        if SANDBOX in f"{failure.message} {failure.cause}":
            lines.append(f"  {SANDBOX}: was removed; `alone` makes it again, as rerun-{task.id}/")
    return lines


def _place(failure: Failure) -> list[str]:
    """Where in the graph it happened, and what is known of it."""
    where = [f"  where:     {failure.place}"] if failure.place else []
    return [*where, *([f"  known:     {failure.known}"] if failure.known else [])]


def _evidence(failure: Failure, log: Path) -> list[str]:
    """The first real error, the log of the tool that said it, or what a tool that failed without a word wrote last."""
    lines = []
    if failure.cause and failure.message not in failure.cause:
        lines.append(f"  cause:     {failure.cause}")
    if failure.cause_log and Path(failure.cause_log) != log:
        lines.append(f"  tool log:  {relative(Path(failure.cause_log))}")
    if failure.tool_log:
        path = Path(failure.tool_log)
        lines += [f"  tool log:  {relative(path)}", f"             ends with: {_last_line(path)}"]
    return lines


def _last_line(path: Path) -> str:
    try:
        with reading(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read(_TAIL).decode(errors="replace").split("\n")
    except OSError:
        return "(its log is gone)"
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "(its log is empty)")


_SENTENCES = re.compile(
    "StepFailed|NotFetched|ToolMissing|WorkerDied|UnreadSetting|NotSelected|VerificationFailed|StoreError|FinnUnusable"
    "|InvalidSettings|FINN.*"
)
"""Types of errors whose message says all; FINN's own errors are sentences, too."""


def _headline(failure: Failure) -> str:
    return failure.message if _SENTENCES.fullmatch(failure.type) else f"{failure.type}: {failure.message}"


def _user_frame(traceback: str, folder: Path) -> str | None:
    """The innermost line of the traceback that is in the recipe's folder."""
    found = re.findall(rf'^\s*File "({re.escape(str(folder))}[^"]*)", line (\d+)', traceback, re.MULTILINE)
    return f"{relative(Path(found[-1][0]))}:{found[-1][1]}" if found else None


def of_gates(report: Report) -> Iterator[list[str]]:
    """Every gate that stopped the build: first those where nothing is lost in accuracy, then where it is lost."""
    verdicts = report.outcome.verdicts
    for point, failure in report.outcome.failed.items():
        if point in verdicts and not verdicts[point].lost:
            yield [f"{point} failed: {failure.message}", *([f"  hint: {failure.hint}"] if failure.hint else [])]
    yield from (lost(place, report) for place in report.bisected)


def lost(found: Bisected, report: Report) -> list[str]:
    """The story of one failed point, ending with an edit of the recipe where there is an exact repair."""
    session, verdict = report.session, report.outcome.verdicts.get(found.point)
    head = [f"{found.point} {verdict.state}: {'; '.join(verdict.reasons)}"] if verdict and verdict.reasons else []
    if found.failure is not None:
        return [*head, f"  {found.step} could not be searched for the place: {found.failure.message}"]
    if found.found is None:
        if session.plan.tasks[found.point].params["reference"] != REFERENCE:
            return [*head, f"  the graph that {found.step} made is so before any step of FINN"]
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
    head = f"  exact repair, without retraining: the step {repair} {STEPS[repair].place}"
    if fix.has_step(recipe, repair):
        return []
    try:
        proposed = fix.propose_for(recipe.path, repair, str(STEPS[repair].place))
    except fix.ByHand as error:
        return [f"{head} ({error})"]
    return [
        f"{head} (`finnyaml lint --fix` writes it):",
        *(Whole(f"    {line}") for line in proposed.diff().splitlines()),
    ]
