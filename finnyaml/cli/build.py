"""`finnyaml build`: bring targets up to date, and tell what happened."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from finnyaml.cli.arguments import RECIPE, Force, Json, Only, Recipe, Sets, Start, Stop, StoreOption, Target, Targets
from finnyaml.errors import ExitCode

if TYPE_CHECKING:
    from finnyaml.cli.console import Console
    from finnyaml.engine.report import Report


def build(
    recipe: Recipe = RECIPE,
    targets: Targets = None,
    target: Target = [],  # noqa: B006
    start: Start = None,
    stop: Stop = None,
    only: Only = [],  # noqa: B006
    force: Force = [],  # noqa: B006
    sets: Sets = [],  # noqa: B006
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            min=0,
            help="Branches to run at a time, each in its own worker (default: one per core, at most 4).",
            show_default=False,
        ),
    ] = 0,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", "-k", help="Build what can be built although something fails or cannot run here."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would run and why; run nothing.")] = False,
    lock: Annotated[
        bool, typer.Option("--lock", help="Write recipe.lock.yaml: digests of all inputs and results.")
    ] = False,
    frozen: Annotated[
        bool,
        typer.Option("--frozen", help="Give exactly what recipe.lock.yaml records, or refuse and say what differs."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what the steps print.")] = False,
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Build targets; take what is up to date from the store."""
    from finnyaml.cli import plan, quick
    from finnyaml.cli.console import Console, show
    from finnyaml.cli.progress import view
    from finnyaml.engine.build import Options
    from finnyaml.engine.build import build as run_build
    from finnyaml.engine.session import open_session
    from finnyaml.plan.select import select

    console = Console(quiet=as_json)
    jobs = jobs or min(os.cpu_count() or 1, 4)
    wanted = [*(targets or []), *target]
    session = open_session(recipe, sets, store, jobs, console.note, wanted)
    try:
        console.problems(session.warnings)
        selection = select(session.plan, wanted, start, stop, only, force)
        if dry_run:
            raise typer.Exit(plan.tell(session, selection, console, as_json))
        with view(quiet=as_json, verbose=verbose) as shown:
            report = run_build(session, selection, Options(jobs, keep_going, frozen, lock), shown.on_event)
        _tell(report, console)
        if as_json:
            show(report.record, ())
        if report.code is ExitCode.OK and not selection.partial:
            quick.remember(session, sys.argv[1:], report.outcome, report.record)
    finally:
        session.close()
    raise typer.Exit(report.code)


def _tell(report: Report, console: Console) -> None:
    """Tell what failed and why, what to know beside it, and how it went."""
    from finnyaml.cli import failures, loss
    from finnyaml.cli.summary import summary_lines

    session, outcome = report.session, report.outcome
    for name, failure in outcome.failed.items():
        if name not in outcome.verdicts:
            console.always(*failures.explain(session.plan.tasks[name], failure, session, report.folder), "")
    for lines in (*loss.unexplained(outcome), *(loss.lines(place, session, outcome) for place in report.localised)):
        console.always(*lines, "")
    console.problems(report.warnings)
    for note in report.notes:
        console.note(f"note: {note}")
    console.out(*summary_lines(report.record, report.written))
