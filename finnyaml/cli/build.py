"""`finnyaml build`: bring targets up to date, and tell what happened."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from finnyaml.cli.arguments import RECIPE, Force, Json, Only, Recipe, Sets, Start, Stop, StoreOption, Target, Targets

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
    from finnyaml import api
    from finnyaml.cli import plan, quick
    from finnyaml.cli.console import Console, show
    from finnyaml.cli.progress import watching

    if dry_run:
        plan.plan(recipe, targets, target, start, stop, only, force, sets, as_json, store)
    console = Console(quiet=as_json)
    with watching(console, verbose=verbose) as progress:
        try:
            result = api.Recipe(recipe, sets, store=store).build(
                *(targets or ()),
                *target,
                start=start,
                stop=stop,
                only=only,
                force=force,
                jobs=jobs,
                keep_going=keep_going,
                frozen=frozen,
                lock=lock,
                progress=progress,
            )
        except api.BuildFailed as failed:
            result = failed.result
    _tell(result.report, console)
    if as_json:
        show(result.report.record, ())
    quick.remember(result.report, sys.argv[1:])
    raise typer.Exit(result.exit_code)


def _tell(report: Report, console: Console) -> None:
    """Tell what failed and why, what to know beside it, and how it went."""
    from finnyaml.api import failures, loss, summary

    for lines in (*failures.of_steps(report), *loss.of_gates(report)):
        console.always(*lines, "")
    console.problems(report.warnings)
    if report.warnings:
        console.note("")
    for note in report.notes:
        console.note(f"note: {note}")
    console.out(*summary.lines(report.record, report.written))
