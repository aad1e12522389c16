"""The command line: parse, call, print. Exit codes are set here and documented in `finnyaml.errors.ExitCode`."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any, Optional

import typer

from finnyaml import __version__
from finnyaml.cli import commands
from finnyaml.cli.arguments import Json, Recipe, Sets, StoreOption
from finnyaml.errors import ExitCode, FinnyamlError

app = typer.Typer(
    name="finnyaml",
    help="Declarative, incremental FPGA accelerator builds with FINN: one YAML recipe per experiment.",
    epilog=(
        "Exit codes: 0 built or up to date, 1 a step failed, 2 the recipe or the command line is wrong, "
        "3 a gate stopped the build, 4 a required tool is missing, 130 interrupted."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Targets = Annotated[
    list[str] | None, typer.Argument(help="Targets or step ids, or `bundle`; default: all targets.", show_default=False)
]
Target = Annotated[
    list[str],
    typer.Option("--target", "-t", metavar="TARGET", help="A target or step id, as an option. Repeatable."),
]
Start = Annotated[
    str | None,
    typer.Option("--from", metavar="STEP", help="Run from this step on; what is before it must be up to date."),
]
Stop = Annotated[Optional[str], typer.Option("--to", metavar="STEP", help="Build up to and including this step.")]  # noqa: UP045
Only = Annotated[
    list[str],
    typer.Option("--only", metavar="STEP", help="Run only this step; what it needs must be up to date. Repeatable."),
]
Force = Annotated[
    list[str], typer.Option("--force", metavar="STEP", help="Run this step even if it is up to date. Repeatable.")
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"finnyaml {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with every error.")] = False,
) -> None:
    """Options of all commands."""
    if debug:
        os.environ["FINNYAML_DEBUG"] = "1"


@app.command("build")
def build_command(
    recipe: Recipe,
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
    """Build the targets of a recipe; what is up to date is taken from the store."""
    from finnyaml.cli import build, plan_view, quick
    from finnyaml.cli.render import Console
    from finnyaml.cli.session import open_session
    from finnyaml.plan.select import select

    console = Console(quiet=as_json)
    jobs = jobs or min(os.cpu_count() or 1, 4)
    wanted = [*(targets or []), *target]
    session = open_session(recipe, sets, store, jobs, console.note, wanted)
    try:
        console.problems(session.warnings)
        selection = select(session.plan, wanted, start, stop, only, force)
        if dry_run:
            raise typer.Exit(plan_view.show(session, selection, console, as_json))
        chosen = build.Options(jobs, keep_going, frozen, lock, verbose)
        code, result, outcome = build.build(session, selection, chosen, console)
        if as_json:
            print(json.dumps(result, indent=1, default=str))
        if code is ExitCode.OK and not selection.partial:
            quick.remember(session, sys.argv[1:], outcome, result)
    finally:
        session.close()
    raise typer.Exit(code)


@app.command("plan")
def plan_command(
    recipe: Recipe,
    targets: Targets = None,
    target: Target = [],  # noqa: B006
    start: Start = None,
    stop: Stop = None,
    only: Only = [],  # noqa: B006
    force: Force = [],  # noqa: B006
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Say what a build would run, and why: which value, file or code changed."""
    from finnyaml.cli import plan_view
    from finnyaml.cli.render import Console
    from finnyaml.cli.session import open_session
    from finnyaml.plan.select import select

    console = Console(quiet=as_json)
    wanted = [*(targets or []), *target]
    session = open_session(recipe, sets, store, 1, console.note, wanted)
    try:
        console.problems(session.warnings)
        selection = select(session.plan, wanted, start, stop, only, force)
        code = plan_view.show(session, selection, console, as_json)
    finally:
        session.close()
    raise typer.Exit(code)


commands.register(app)


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code; every expected error is printed without a traceback."""
    from finnyaml.cli.render import Console

    try:
        result = app(args=arguments, standalone_mode=False)
        code = int(result) if isinstance(result, int) else 0
        if code == ExitCode.INTERRUPTED:  # typer turns Ctrl-C into this code
            raise KeyboardInterrupt
        return code
    except FinnyamlError as error:
        if _debug(arguments):
            traceback.print_exc()
        Console().error(error)
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted: what was finished is kept; the next build continues from there", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    except Exception as error:
        return _other(error, arguments)


def _other(error: Exception, arguments: list[str] | None) -> int:
    """A wrong command line (typer's own errors), or a defect of finnyaml."""
    show: Callable[[], Any] | None = getattr(error, "show", None)
    if show is not None:
        show()
        return int(ExitCode.BAD_INPUT)
    if isinstance(error, BrokenPipeError):  # the reader has seen enough; a build must not pass for a success by it
        return int(ExitCode.STEP_FAILED) if "build" in (sys.argv if arguments is None else arguments) else 0
    if _debug(arguments):
        traceback.print_exc()
    else:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        print("  hint: this is a defect of finnyaml; `finnyaml --debug ...` shows where", file=sys.stderr)
    return int(ExitCode.STEP_FAILED)


def _debug(arguments: list[str] | None) -> bool:
    return "--debug" in (sys.argv if arguments is None else arguments) or bool(os.environ.get("FINNYAML_DEBUG"))
