"""The command line: which commands there are. Exit codes are documented in `finnyaml.errors.ExitCode`."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from typing import Annotated

import typer
from typer.core import TyperArgument

from finnyaml import __version__
from finnyaml.cli import (
    bisect,
    build,
    bundle,
    cache,
    clean,
    doctor,
    export,
    graph,
    importing,
    init,
    jobs,
    lint,
    log,
    plan,
    schema,
    steps,
    table,
)
from finnyaml.cli.console import failed, tell
from finnyaml.errors import ExitCode, FinnyamlError

# Typer puts the Python type of an argument after its name (`TARGET <list[str]>`); the name says enough.
TyperArgument.display_type_rich = lambda self, ctx: None  # type: ignore[method-assign]

_OF_THE_MACHINE = {
    errno.ENOSPC: "free some space; `finnyaml cache gc` drops what is no longer needed",
    errno.EDQUOT: "your disk quota is used up: free some space; `finnyaml cache gc` drops what is no longer needed",
    errno.EFBIG: "a file would be larger than allowed here: see `ulimit -f`",
    errno.EROFS: "work in a folder on a disk that can be written",
    errno.EIO: "look at the disk (the kernel's log tells more), then run `finnyaml cache verify`",
    errno.EMFILE: "too many files are open: see `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENOMEM: "close other programs, or build on a machine with more memory",
}
"""What to do about errors that can come at any place, and are not of the recipe or of finnyaml."""

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
app.command("import")(importing.import_)
app.command("export")(export.export)
app.command("build")(build.build)
app.command("plan")(plan.plan)
app.command("table")(table.table)
app.command("graph")(graph.graph)
app.command("lint")(lint.lint)
app.command("log")(log.log)
app.command("jobs")(jobs.jobs)
app.command("bisect")(bisect.bisect)
app.command("clean")(clean.clean)
app.command("schema")(schema.schema)
app.command("doctor")(doctor.doctor)
app.add_typer(bundle.bundle_app, name="bundle")
app.add_typer(steps.steps_app, name="steps")
app.add_typer(cache.cache_app, name="cache")


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code; every expected error is printed without a traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words or bool(os.environ.get("FINNYAML_DEBUG"))
    try:
        result = app(args=arguments, standalone_mode=False)
        if result == ExitCode.INTERRUPTED:  # typer turns Ctrl-C into this code
            raise KeyboardInterrupt
        return int(result or 0)
    except FinnyamlError as error:
        if debug:
            tell(*traceback.format_exc().splitlines())
        failed(error)
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        with contextlib.suppress(OSError):  # the terminal may have gone
            tell("interrupted: what was finished is kept; the next build continues from there")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the reader has seen enough; a build must not pass for a success by it
        return int(ExitCode.STEP_FAILED) if "build" in words else 0
    except Exception as error:
        if hasattr(error, "show"):  # typer's own errors: the command line is wrong
            error.show()
            return int(ExitCode.BAD_INPUT)
        if debug:
            tell(*traceback.format_exc().splitlines())
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            place = f" ({error.filename})" if error.filename else ""
            failed(FinnyamlError(f"{error.strerror}{place}", hint=_OF_THE_MACHINE[error.errno]))
        elif not debug:
            hint = "this is a defect of finnyaml; `finnyaml --debug ...` shows where"
            failed(FinnyamlError(f"{type(error).__name__}: {error}", hint=hint))
        return int(ExitCode.STEP_FAILED)
