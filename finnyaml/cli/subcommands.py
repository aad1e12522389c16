"""The commands that have commands of their own: `steps` and `cache`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finnyaml.cli.arguments import Json, StoreOption, note, opened_store, show

steps_app = typer.Typer(no_args_is_help=False)
cache_app = typer.Typer(no_args_is_help=True)


@steps_app.callback(invoke_without_command=True)
def steps(context: typer.Context, as_json: Json = False, store: StoreOption = None) -> None:
    """What the installed FINN has: steps, flows and phases (without a command: `list`), build options, boards."""
    if context.invoked_subcommand is None:
        steps_list(as_json, store)


@steps_app.command("list")
def steps_list(as_json: Json = False, store: StoreOption = None) -> None:
    """List the steps with what they do and the tools they need, the named flows, and names of other FINN versions."""
    from finnyaml.cli import steps

    catalog = steps.open_catalog(store, note)
    show(steps.steps(catalog) if as_json else None, steps.steps_lines(catalog))


@steps_app.command("describe")
def steps_describe(
    name: Annotated[
        str,
        typer.Argument(
            help="A step (also by an older name), flow or phase; with --recipe, also the id of one of its steps.",
            show_default=False,
        ),
    ],
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="Tell, too, what the step read when this recipe was last built.")
    ] = None,
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Tell all about one step: what it does, its tools and flows; with --recipe, the options that it really read."""
    from finnyaml.cli import steps

    found = steps.describe(steps.open_catalog(store, note), name, recipe)
    show(found if as_json else None, steps.describe_lines(found))


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
    from finnyaml.cli import steps

    catalog = steps.open_catalog(store, note)
    if name is None:
        show(steps.options(catalog) if as_json else None, steps.options_lines(catalog))
    else:
        found = steps.option(catalog, name)
        show(found if as_json else None, steps.option_lines(found))


@steps_app.command("boards")
def steps_boards(as_json: Json = False, store: StoreOption = None) -> None:
    """List the boards that FINN knows, with their FPGA parts."""
    from finnyaml.cli import steps

    catalog = steps.open_catalog(store, note)
    show(steps.boards(catalog) if as_json else None, steps.boards_lines(catalog))


@cache_app.command("ls")
def cache_ls(as_json: Json = False, store: StoreOption = None) -> None:
    """List all results in the store, those used last first: task, age, size, and the time it took to make them."""
    from finnyaml.cli import cache

    opened = opened_store(store)
    show(cache.traces(opened) if as_json else None, cache.traces_lines(opened))


@cache_app.command("du")
def cache_du(as_json: Json = False, store: StoreOption = None) -> None:
    """Say how much the store holds."""
    from finnyaml.cli import cache

    found = cache.usage(opened_store(store))
    show(found if as_json else None, cache.usage_lines(found))


@cache_app.command("verify")
def cache_verify(as_json: Json = False, store: StoreOption = None) -> None:
    """Read everything in the store and drop what is damaged; the next build makes it again.

    Safe while builds are running. Exit code 1 where something was damaged.
    """
    from finnyaml.cli import cache

    code, found = cache.verify(opened_store(store))
    show(found if as_json else None, cache.verify_lines(found))
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

    found = cache.collect(opened_store(store), older_than, max_size)
    show(found if as_json else None, cache.collect_lines(found))
