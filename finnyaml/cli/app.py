"""The command line: which commands there are. Exit codes are documented in `finnyaml.errors.ExitCode`."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from typing import Annotated

import typer
from typer.core import TyperArgument

from finnyaml import __version__
from finnyaml.cli import bisect, build, bundle, cache, clean, doctor, graph, init, lint, log, plan, schema, steps
from finnyaml.errors import ExitCode, FinnyamlError

# Typer puts the Python type of an argument after its name (`TARGET <list[str]>`); the name says enough.
TyperArgument.display_type_rich = lambda self, ctx: None  # type: ignore[method-assign]

app = typer.Typer(
    name="finnyaml",
    help="Declarative, incremental FPGA accelerator builds with FINN: one YAML recipe per experiment.",
    epilog=(
        "Exit codes: 0 built or up to date, 1 a step failed, 2 the recipe or the command line is wrong, "
        "3 a gate stopped the build, 4 a required tool is missing, 130 interrupted."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,  # plain text can be copied, and rich takes long to import
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


app.command("init")(init.init)
app.command("build")(build.build)
app.command("plan")(plan.plan)
app.command("graph")(graph.graph)
app.command("lint")(lint.lint)
app.command("log")(log.log)
app.command("bisect")(bisect.bisect)
app.command("clean")(clean.clean)
app.command("schema")(schema.schema)
app.command("doctor")(doctor.doctor)
app.add_typer(bundle.bundle_app, name="bundle")
app.add_typer(steps.steps_app, name="steps")
app.add_typer(cache.cache_app, name="cache")


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code; every expected error is printed without a traceback."""
    from finnyaml.cli.console import Console

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
        with contextlib.suppress(OSError):  # the terminal may have gone
            print("interrupted: what was finished is kept; the next build continues from there", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    except Exception as error:
        return _other(error, arguments)


def _other(error: Exception, arguments: list[str] | None) -> int:
    """A wrong command line (typer's own errors), or a defect of finnyaml."""
    show = getattr(error, "show", None)
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
