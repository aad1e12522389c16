"""The commands around building: look, check, write, tidy up. Thin: each imports what it needs when it is called."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from finnyaml.cli.arguments import Json, Recipe, Sets, StoreOption

LOOK, WRITE, TIDY = "Look at a build", "Write a recipe", "Machine and store"
"""Panels of `finnyaml --help`."""

steps_app = typer.Typer(no_args_is_help=False)
cache_app = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("graph", rich_help_panel=LOOK)(graph)
    app.command("log", rich_help_panel=LOOK)(log)
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
    from finnyaml.cli.session import open_session

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
    from finnyaml.cli.session import store_root
    from finnyaml.recipe.load import load_recipe
    from finnyaml.store import Store

    history = History(load_recipe(recipe)[0], Store.open(store_root(store)), run)
    if step is None:
        _show(plain(history, history.entries()) if as_json else None, listing(history))
        return
    entry = history.entry(step)
    text = history.text(entry)
    if as_json:
        _show({**plain(history, [entry])["steps"][0], "log": text}, ())
    elif text.strip():
        print(text, end="" if text.endswith("\n") else "\n")
    else:
        print(f"{entry.step} printed nothing", file=sys.stderr)


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
    from finnyaml.cli.render import relative
    from finnyaml.errors import Problem, RecipeError

    if output.exists() and not force:
        raise RecipeError([Problem(f"{output} exists", hint="-o names another file, --force writes over this one")])
    found = examine(source, output.absolute().parent, shape)
    text = recipe_text(found, board, clock)
    put(text, output)
    todo = [number for number, line in enumerate(text.splitlines(), 1) if "TODO" in line]
    print(
        f"wrote {relative(output)}: "
        + (
            f"line {', '.join(map(str, todo))} still {'wait' if len(todo) > 1 else 'waits'} for you"
            if todo
            else f"next, `finnyaml lint {relative(output)}`"
        )
    )


def lint(recipe: Recipe, sets: Sets = [], as_json: Json = False, store: StoreOption = None) -> None:  # noqa: B006
    """Say everything that is wrong with a recipe, with line and column; nothing is built.

    Works without FINN, too, and then checks what can be checked.

    Exit code 2: there are errors; 4: a step needs a tool that is missing here;
    0: neither (other warnings are fine).
    """
    from finnyaml.cli import lint as linter
    from finnyaml.cli.render import Console

    console = Console(quiet=as_json)
    found = linter.lint(recipe, sets, store, console)
    if as_json:
        _show(linter.plain(found), ())
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


@steps_app.callback(invoke_without_command=True)
def steps(context: typer.Context, as_json: Json = False, store: StoreOption = None) -> None:
    """What the installed FINN has: steps, flows and phases (without a command: `list`), build options, boards."""
    if context.invoked_subcommand is None:
        steps_list(as_json, store)


@steps_app.command("list")
def steps_list(as_json: Json = False, store: StoreOption = None) -> None:
    """List the steps with what they do and the tools they need, the named flows, and names of other FINN versions."""
    from finnyaml.cli import reference

    catalog = reference.open_catalog(store, _note)
    _show(reference.steps(catalog) if as_json else None, reference.steps_lines(catalog))


@steps_app.command("describe")
def steps_describe(
    name: Annotated[str, typer.Argument(help="A step (also by an older name), flow or phase.", show_default=False)],
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="Tell, too, what the step read when this recipe was last built.")
    ] = None,
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Tell all about one step: what it does, its tools and flows; with --recipe, the options that it really read."""
    from finnyaml.cli import reference

    found = reference.describe(reference.open_catalog(store, _note), name, recipe)
    _show(found if as_json else None, reference.describe_lines(found))


@steps_app.command("options")
def steps_options(
    name: Annotated[
        str | None,
        typer.Argument(help="One option, by FINN's name or the recipe's (folding.target_fps).", show_default=False),
    ] = None,
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """List FINN's build options with type, default and what sets them in a recipe; or tell all about one."""
    from finnyaml.cli import reference

    catalog = reference.open_catalog(store, _note)
    if name is None:
        _show(reference.options(catalog) if as_json else None, reference.options_lines(catalog))
    else:
        found = reference.option(catalog, name)
        _show(found if as_json else None, reference.option_lines(found))


@steps_app.command("boards")
def steps_boards(as_json: Json = False, store: StoreOption = None) -> None:
    """List the boards that FINN knows, with their FPGA parts."""
    from finnyaml.cli import reference

    catalog = reference.open_catalog(store, _note)
    _show(reference.boards(catalog) if as_json else None, reference.boards_lines(catalog))


def doctor(as_json: Json = False, store: StoreOption = None) -> None:
    """Look at this machine: Python, FINN, Vivado, Vitis HLS, licences, the store.

    Says what each enables, and what to do where one is missing.
    Exit code 4 where nothing can be built: no FINN, or a store that cannot be written.
    """
    from finnyaml.cli import health
    from finnyaml.cli.session import store_root
    from finnyaml.tools.doctor import examine

    report = examine(store_root(store), os.environ)
    _show(report.to_json() if as_json else None, health.lines(report))
    raise typer.Exit(health.verdict(report))


@cache_app.command("ls")
def cache_ls(as_json: Json = False, store: StoreOption = None) -> None:
    """List all results in the store, those used last first: task, age, size, and the time it took to make them."""
    from finnyaml.cli import cache

    opened = _store(store)
    _show(cache.traces(opened) if as_json else None, cache.traces_lines(opened))


@cache_app.command("du")
def cache_du(as_json: Json = False, store: StoreOption = None) -> None:
    """Say how much the store holds."""
    from finnyaml.cli import cache

    found = cache.usage(_store(store))
    _show(found if as_json else None, cache.usage_lines(found))


@cache_app.command("verify")
def cache_verify(as_json: Json = False, store: StoreOption = None) -> None:
    """Read everything in the store and drop what is damaged; the next build makes it again.

    Safe while builds are running. Exit code 1 where something was damaged.
    """
    from finnyaml.cli import cache

    code, found = cache.verify(_store(store))
    _show(found if as_json else None, cache.verify_lines(found))
    raise typer.Exit(code)


@cache_app.command("gc")
def cache_gc(
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="30d", help="Drop results that no build used for so long (h, d, w)."),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="10GB", help="Then drop those least recently used until the store fits."),
    ] = None,
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Drop what nobody needs. Without options: leftovers of killed builds only, no results."""
    from finnyaml.cli import cache

    found = cache.collect(_store(store), older_than, max_size)
    _show(found if as_json else None, cache.collect_lines(found))


def clean(recipe: Recipe) -> None:
    """Remove what builds wrote into the recipe's output folder, and their records.

    Files that finnyaml did not write stay, and so does the store: the next build fills the folder again at once.
    """
    from finnyaml.cli.render import relative
    from finnyaml.engine import workspace
    from finnyaml.recipe.load import load_recipe

    folder = load_recipe(recipe)[0].workspace
    count = workspace.clean(folder)
    print(
        f"removed {count} files from {relative(folder)}" if count else f"nothing of finnyaml's is in {relative(folder)}"
    )
    if count and folder.is_dir():
        print("what finnyaml did not write is still there")


def _store(option: Path | None) -> Any:
    from finnyaml.cli.session import store_root
    from finnyaml.store import Store

    return Store.open(store_root(option))


def _show(data: Any, lines: Iterable[str]) -> None:
    """Print data as JSON where there is some, else the lines."""
    if data is not None:
        print(json.dumps(data, indent=1, default=str))
        return
    for line in lines:
        print(line)


def _note(text: str) -> None:
    print(text, file=sys.stderr)
