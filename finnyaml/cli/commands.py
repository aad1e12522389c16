"""The commands around building: look, check, write, tidy up. Thin: each imports what it needs when it is called."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from finnyaml.cli.arguments import Json, Recipe, Sets, StoreOption, opened_store, show
from finnyaml.cli.bundle import bundle_app
from finnyaml.cli.subcommands import cache_app, steps_app

LOOK, WRITE, TIDY = "Look at a build", "Write a recipe", "Machine and store"
"""Panels of `finnyaml --help`."""


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("graph", rich_help_panel=LOOK)(graph)
    app.command("log", rich_help_panel=LOOK)(log)
    app.command("bisect", rich_help_panel=LOOK)(bisect)
    app.add_typer(bundle_app, name="bundle", rich_help_panel=LOOK, help="Work on a deployment bundle that was built.")
    app.command("init", rich_help_panel=WRITE)(init)
    app.command("lint", rich_help_panel=WRITE)(lint)
    app.command("schema", rich_help_panel=WRITE)(schema)
    app.add_typer(
        steps_app,
        name="steps",
        rich_help_panel=WRITE,
        help="What the installed FINN has: steps, build options, boards.",
    )
    app.command("doctor", rich_help_panel=TIDY)(doctor)
    app.add_typer(
        cache_app, name="cache", rich_help_panel=TIDY, help="The store of results: list, measure, check, shrink."
    )
    app.command("clean", rich_help_panel=TIDY)(clean)


def graph(
    recipe: Recipe,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="text|mermaid|svg",
            help="What to draw (default: what the name after -o says, else text).",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file instead of standard output.")
    ] = None,
    sets: Sets = [],  # noqa: B006
    store: StoreOption = None,
) -> None:
    """Draw the steps of a recipe and what each needs, with their state.

    `text` is for terminals. `mermaid` pastes into Markdown on GitHub
    (a file named .mmd gets it without the fence). `svg` is a picture;
    hover over a box to read why it would run.
    """
    from finnyaml.cli.graph import form_of, picture, put
    from finnyaml.cli.render import Console
    from finnyaml.engine.session import open_session

    console = Console()
    form = form_of(form, output)
    session = open_session(recipe, sets, store, 1, console.note)
    try:
        console.problems(session.warnings)
        text = picture(session, form, fenced=output is None or output.suffix == ".md")
    finally:
        session.close()
    if output is None:
        print(text)
    else:
        put(text + "\n", output)


def log(
    recipe: Recipe,
    step: Annotated[
        str | None, typer.Argument(help="A step id or target; without one, how all steps went.", show_default=False)
    ] = None,
    run: Annotated[
        str,
        typer.Option(
            "--run",
            metavar="RUN",
            help="A run, or the start of its name (default: the newest that ran the step).",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Show what a step printed when it last ran; without a step, how all steps of the last build went."""
    from finnyaml.cli.log import History, listing, plain
    from finnyaml.recipe.load import load_recipe

    history = History(load_recipe(recipe)[0], opened_store(store), run)
    if step is None:
        show(plain(history, history.entries()) if as_json else None, listing(history))
        return
    entry = history.entry(step)
    text = history.text(entry)
    if as_json:
        show({**plain(history, [entry])["steps"][0], "log": text}, ())
    elif text.strip():
        print(text, end="" if text.endswith("\n") else "\n")
    else:
        print(f"{entry.step} printed nothing", file=sys.stderr)


def bisect(
    recipe: Recipe,
    step: Annotated[
        str | None,
        typer.Argument(help="The step to search; default: the first whose gate fails.", show_default=False),
    ] = None,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Find where accuracy is lost: the step, the transformation in it, the first wrong tensor, and the cause.

    Builds what it needs. The recipe says in `verify:` on which data.

    Exit code 3: something is lost; 0: nothing is.
    """
    from finnyaml.cli import bisect as bisection
    from finnyaml.cli.render import Console
    from finnyaml.engine.bisect import JOBS, search
    from finnyaml.engine.session import open_session

    console = Console(quiet=as_json)
    session = open_session(recipe, sets, store, JOBS, console.note)
    try:
        console.problems(session.warnings)
        with console.progress() as view:
            found = search(session, step, view.on_event)
        bisection.tell(found, console)
    finally:
        session.close()
    if as_json:
        show(bisection.plain(found), ())
    raise typer.Exit(found.code)


def init(
    source: Annotated[str, typer.Argument(help="model.onnx, model.py or model.py:function.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The recipe to write.")] = Path("recipe.yaml"),
    shape: Annotated[
        str | None,
        typer.Option(
            "--shape",
            metavar="1,3,32,32",
            help="The network's input, the batch first. Needed for a Python file; an .onnx file knows its own.",
        ),
    ] = None,
    board: Annotated[
        str | None, typer.Option("--board", help="The board to build for: `finnyaml steps boards` lists them.")
    ] = None,
    clock: Annotated[
        float | None, typer.Option("--clock", metavar="NS", min=0.1, help="The clock period in nanoseconds.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
) -> None:
    """Write a commented recipe for a network: an ONNX file, or a Python function that returns a Brevitas module.

    The Python file is only read, never run. What cannot be known is marked TODO.
    """
    from finnyaml.cli.graph import put
    from finnyaml.cli.init import examine, recipe_text
    from finnyaml.errors import Problem, RecipeError
    from finnyaml.text import relative

    if output.exists() and not force:
        raise RecipeError([Problem(f"{output} exists", hint="-o names another file, --force writes over this one")])
    found = examine(source, output.absolute().parent, shape)
    text = recipe_text(found, board, clock)
    put(text, output)
    print(f"wrote {relative(output)}")
    todo = [str(number) for number, line in enumerate(text.splitlines(), 1) if "TODO" in line]
    first = f"fill in line {' and '.join(todo)}, then " if todo else ""
    print(f"next: {first}finnyaml lint {relative(output)}")


def lint(
    recipe: Recipe,
    fix: Annotated[bool, typer.Option("--fix", help="Put exact repairs of what is found into the recipe.")] = False,
    sets: Sets = [],  # noqa: B006
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Say everything that is wrong with a recipe, with line and column; nothing is built.

    The rules for graphs (docs/lints) look at every stage that an earlier build left in the store.
    Works without FINN, too, and then checks what can be checked.

    Exit code 2: there are errors; 4: a step needs a tool that is missing here;
    0: neither (other warnings are fine).
    """
    from finnyaml.cli import lint as linter
    from finnyaml.cli.render import Console

    console = Console(quiet=as_json)
    found = linter.lint(recipe, sets, store, console)
    if fix and found.repairs:
        linter.repair(found, console)
        found = linter.lint(recipe, sets, store, console)  # what is left
    if as_json:
        show(linter.plain(found), ())
    else:
        linter.show(found, console)
    raise typer.Exit(found.code)


def schema(
    write: Annotated[Path | None, typer.Option("--write", metavar="FILE", help="Write it to this file.")] = None,
) -> None:
    """Print the JSON Schema of recipes (draft 2020-12), for editors that complete and check YAML.

    VS Code (with the extension "YAML" of Red Hat), Neovim and others that use
    yaml-language-server: run `finnyaml schema --write recipe.schema.json`
    and put this line first in the recipe:

        # yaml-language-server: $schema=recipe.schema.json

    JetBrains: Settings, Languages & Frameworks, Schemas and DTDs, JSON Schema Mappings.
    """
    from finnyaml.cli.graph import put
    from finnyaml.recipe.schema import schema_path

    text = schema_path().read_text("utf-8")
    if write is None:
        print(text, end="")
        return
    put(text, write)
    print(f"wrote {write}; first line of a recipe beside it:\n# yaml-language-server: $schema={write.name}")


def doctor(as_json: Json = False, store: StoreOption = None) -> None:
    """Look at this machine: Python, FINN, Vivado, Vitis HLS, licences, the store.

    Says what each enables, and what to do where one is missing.
    Exit code 4 where nothing can be built: no FINN, or a store that cannot be written.
    """
    from finnyaml.cli import doctor
    from finnyaml.engine.session import store_root
    from finnyaml.tools.doctor import examine

    report = examine(store_root(store), os.environ)
    show(report.to_json() if as_json else None, doctor.lines(report))
    raise typer.Exit(doctor.verdict(report))


def clean(recipe: Recipe) -> None:
    """Remove what builds wrote into the recipe's output folder, and their records.

    Files that finnyaml did not write stay, and so does the store: the next build fills the folder again at once.
    """
    from finnyaml.engine import workspace
    from finnyaml.recipe.load import load_recipe
    from finnyaml.text import relative

    folder = load_recipe(recipe)[0].workspace
    count = workspace.clean(folder)
    print(
        f"removed {count} files from {relative(folder)}" if count else f"nothing of finnyaml's is in {relative(folder)}"
    )
    if count and folder.is_dir():
        print("what finnyaml did not write is still there")
