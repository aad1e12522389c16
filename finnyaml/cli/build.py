"""`finnyaml build`: bring targets up to date, and tell what happened."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from finnyaml.cli.arguments import (
    RECIPE,
    Distrust,
    Force,
    Json,
    Only,
    Recipe,
    RemoteOption,
    Sets,
    Start,
    Stop,
    StoreOption,
    Target,
    Targets,
    Variants,
    WhereOption,
)
from finnyaml.cli.console import problems, show, tell


def build(
    recipe: Recipe = RECIPE,
    targets: Targets = None,
    target: Target = [],  # noqa: B006
    start: Start = None,
    stop: Stop = None,
    only: Only = [],  # noqa: B006
    force: Force = [],  # noqa: B006
    distrust: Distrust = False,
    sets: Sets = [],  # noqa: B006
    variants: Variants = [],  # noqa: B006
    where: WhereOption = [],  # noqa: B006
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
    fail_fast: Annotated[
        bool,
        typer.Option(
            "--fail-fast", help="Start nothing more of any variant once one has failed; default: others go on."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would run and why; run nothing.")] = False,
    lock: Annotated[
        bool, typer.Option("--lock", help="Write recipe.lock.yaml: digests of all inputs and results.")
    ] = False,
    frozen: Annotated[
        bool,
        typer.Option("--frozen", help="Give exactly what recipe.lock.yaml records, or refuse and say what differs."),
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch no files from the network; use what the store has of them.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave the jobs of a cluster alone when this build is interrupted.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Run steps a second time and say what differs; default: those with code of your own. Keeps nothing.",
        ),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what the steps print.")] = False,
    as_json: Json = False,
    store: StoreOption = None,
    remote: RemoteOption = None,
) -> None:
    """Build targets; take what is up to date from the store."""
    from finnyaml import api
    from finnyaml.api import failures, summary
    from finnyaml.api.table import of_reports
    from finnyaml.cli import plan, quick, repeat
    from finnyaml.cli.progress import watching
    from finnyaml.errors import Problem, RecipeError

    if check:
        others = {"--from": start, "--to": stop, "--only": only, "--force": force, "--distrust": distrust}
        others |= {
            "--where": where,
            "--fail-fast": fail_fast,
            "--keep-going": keep_going,
            "--dry-run": dry_run,
            "--lock": lock,
            "--frozen": frozen,
        }
        if unfit := [option for option, given in others.items() if given]:
            raise RecipeError([Problem(f"--check does not go with {unfit[0]}", hint="it takes names of steps")])
        repeat.repeat(recipe, (*(targets or ()), *target), sets, variants, jobs, verbose, as_json, store)
    if dry_run:
        plan.plan(
            recipe, targets, target, start, stop, only, force, distrust, sets, variants, where, as_json, store, remote
        )
    with watching(quiet=as_json, verbose=verbose) as progress:
        results = (
            api.Recipe(recipe, sets, store=store, remote=remote)
            .variants(*variants, where=where)
            .build(
                *(targets or ()),
                *target,
                start=start,
                stop=stop,
                only=only,
                force=force,
                distrust=distrust,
                jobs=jobs,
                keep_going=keep_going,
                fail_fast=fail_fast,
                frozen=frozen,
                lock=lock,
                offline=offline,
                detach=detach,
                progress=progress,
            )
        )
    reports = [result.report for result in results.values()]
    for report in reports:
        for lines in failures.told(report):
            tell(*lines, "")
    warnings = tuple(dict.fromkeys(problem for report in reports for problem in report.warnings))
    problems(warnings)
    if not as_json:
        notes = dict.fromkeys(note for report in reports for note in report.notes)
        tell(*([""] if warnings else []), *(f"note: {note}" for note in notes))
    code = summary.worst(report.code for report in reports)
    table = of_reports(reports)
    shown = {"table": table.to_json()} if table is not None else {}
    lines = [*summary.all_lines(reports), *(table.lines() if table is not None else ())]
    show({**summary.data(reports), **shown} if as_json else None, lines, hang=2)
    quick.remember(reports, sys.argv[1:])
    raise typer.Exit(code)
