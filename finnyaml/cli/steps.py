"""`finnyaml steps`: what the installed FINN has, in the recipe's words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from finnyaml.cli.arguments import Json, StoreOption
from finnyaml.cli.console import sentence, show, table, tell

steps_app = typer.Typer()


@steps_app.callback(invoke_without_command=True)
def steps(context: typer.Context, as_json: Json = False, store: StoreOption = None) -> None:
    """List what the installed FINN has: steps, options, boards.

    Without a command: `list`.
    """
    if context.invoked_subcommand is None:
        list_(as_json, store)


@steps_app.command("list")
def list_(as_json: Json = False, store: StoreOption = None) -> None:
    """List steps, flows and phases.

    Each step with what it does and the tools that it needs; also names of other FINN versions.
    """
    from finnyaml.engine import installed

    found = installed.steps(installed.open_catalog(store, tell))
    show(found if as_json else None, _steps(found))


@steps_app.command("show")
@steps_app.command("describe", hidden=True)
def show_(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A step (also by an older name), flow or phase; with --recipe, also the id of one of its steps.",
        ),
    ],
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe", metavar="RECIPE", help="Tell, too, what the step read when this recipe was last built."
        ),
    ] = None,
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Tell all about one step, flow or phase.

    What it does, its tools and flows; with --recipe, the options that it really read.
    """
    from finnyaml.engine import installed

    found = installed.describe(installed.open_catalog(store, tell), name, recipe)
    show(found if as_json else None, _described(found))


@steps_app.command("options")
def options(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="One option, by FINN's name or the recipe's (folding.target_fps)."),
    ] = None,
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """List FINN's build options, or tell all about one.

    Each with type, default, and what sets it in a recipe.
    """
    from finnyaml.engine import installed

    catalog = installed.open_catalog(store, tell)
    if name is None:
        found = installed.options(catalog)
        show(found if as_json else None, _options(found))
    else:
        found = installed.option(catalog, name)
        show(found if as_json else None, _option(found))


@steps_app.command("boards")
def boards(as_json: Json = False, store: StoreOption = None) -> None:
    """List the boards that FINN knows, with their FPGA parts."""
    from finnyaml.engine import installed

    found = installed.boards(installed.open_catalog(store, tell))
    show(found if as_json else None, _boards(found))


def _steps(found: Mapping[str, Any]) -> Iterator[str]:
    """Steps, flows and phases to read."""
    yield f"{found['finn']} has {len(found['steps'])} steps. A recipe names them under `steps:`."
    yield ""
    rows = [
        (name, _short(", ".join(step["tools"]) or "-", 18), sentence(step["doc"]))
        for name, step in found["steps"].items()
    ]
    yield from table(("STEP", "NEEDS", "WHAT IT DOES"), rows)
    flows = (f"  {name}: {', '.join(listed)}" for name, listed in found["flows"].items())
    yield from ("", "FLOWS: lists of steps with a name (`steps: estimate_only`)", *flows)
    columns = ("STEP", "WHAT IT DOES")
    head = "REPAIRS: steps of finnyaml itself; `finnyaml lint` says where one helps, `finnyaml lint --fix` inserts it"
    yield from ("", head, *table(columns, found["repairs"].items()))
    head = "RTL: steps of finnyaml itself, for hardware without Vivado (docs/rtl.md)"
    yield from ("", head, *table(columns, found["rtl"].items()))
    if rows := [
        (name, group.removesuffix("s").replace("_", " "), plugin["distribution"])
        for group, listed in found["plugins"].items()
        for name, plugin in listed.items()
    ]:
        head = "PLUG-INS of installed packages (docs/extending.md)"
        yield from ("", head, *table(("NAME", "WHAT IT IS", "PACKAGE"), rows))
    if found["phases"]:
        parts = (f"  {name}: {', '.join(phase['parts'])}" for name, phase in found["phases"].items())
        yield from ("", "PHASES: FINN's groups of steps; a recipe may name one like a step", *parts)
    if old := [f"{other} ({name})" for name, step in found["steps"].items() for other in step["aliases"]]:
        yield ""
        yield f"OTHER NAMES, of other FINN versions, that mean the step in brackets: {', '.join(old)}"
    yield ""
    yield "NEEDS is for FINN's default options and all its outputs: less is needed where a recipe asks for less."
    yield "`finnyaml steps show NAME` tells all of one; `steps options` and `steps boards` list those."


def _described(described: Mapping[str, Any]) -> Iterator[str]:
    """One step, flow or phase to read."""
    kind = next(kind for kind in ("step", "flow", "phase", "repair", "rtl", "plug-in") if kind in described)
    yield f"{described[kind]} ({kind})"
    if described.get("doc"):
        yield from ("", described["doc"])
    yield ""
    words = {"distribution": "package", "tools": "needs", "flows": "flows", "aliases": "other names"}
    for key in ("steps", "parts", "runs", "module", "group", "function", *words, "settings"):
        value = described.get(key)
        if value or (value is not None and key != "aliases"):
            yield f"{words.get(key, key)}:".ljust(14) + (value if isinstance(value, str) else ", ".join(value) or "-")
    for task, kinds in described.get("reads", {}).items():
        yield ""
        yield f"What {task} read in the last build, beside its model: it runs again when one of these changes."
        listed = [
            (_WORDS.get(kind, kind), name, _value(kind, value))
            for kind, names in kinds.items()
            for name, value in names.items()
        ]
        yield from table((), listed or [("nothing", "", "")], indent=2)


_WORDS = {
    "config": "option",
    "tree": "from a step before",
    "env": "variable",
    "environment": "all variables",
    "dir": "folder",
    "stat": "whether it is there",
    "link": "whether it is there",
    "looks": "all in a folder",
}
_DIGESTS = ("file", "text", "tree", "dir", "stat", "link", "looks", "environment")


def _value(kind: str, value: Any) -> str:
    """A value that a step read: of files the start of the digest; what was not there shows as a dash."""
    if kind == "config":
        return json.dumps(value)
    return "-" if value is None else str(value)[:12] if kind in _DIGESTS else str(value)


def _options(found: Mapping[str, Any]) -> Iterator[str]:
    """All options, one per line."""
    yield f"Build options of {found['finn']}, and what sets them in a recipe; `finnyaml steps options NAME` tells all."
    yield ""
    ours = [option for option in found["options"].values() if option["ours"]]
    rows = [
        (
            option["recipe"],
            _short(_type(option), 18),
            _short(json.dumps(option["default"]), 14),
            "" if option["recipe"].endswith(option["name"]) else option["name"],
            sentence(option["doc"]),
        )
        for option in found["options"].values()
        if not option["ours"]
    ]
    yield from table(("RECIPE", "TYPE", "DEFAULT", "FINN'S NAME", "WHAT IT DOES"), sorted(rows))
    yield ""
    if ours:
        yield "Set or replaced by finnyaml:"
        yield from table((), [(option["name"], option["recipe"]) for option in ours], indent=2)


def _option(found: Mapping[str, Any]) -> Iterator[str]:
    """One option."""
    yield found["name"]
    if found["doc"]:
        yield from ("", found["doc"])
    yield ""
    yield f"recipe:   {found['recipe']}"
    yield f"type:     {_type({**found, 'choices': ()})}{', or null' if found['optional'] else ''}"
    if found["choices"]:
        yield f"choices:  {', '.join(found['shown'])}"
    yield f"default:  {json.dumps(found['default'])}"


def _type(option: Mapping[str, Any]) -> str:
    """Its choices or its kind; of a list, of its items."""
    word = "|".join(option["choices"]) or (option["item"] if option["kind"] == "list" else option["kind"])
    return f"list of {word}" if option["kind"] == "list" and word else str(word or "list")


def _boards(found: Mapping[str, Any]) -> Iterable[str]:
    """Boards and parts to read."""
    yield from table(("BOARD", "FPGA PART"), sorted(found["boards"].items(), key=lambda item: item[0].lower()))
    yield ""
    yield "A recipe says `target: {board: ...}`, or `target: {part: ...}` for any other FPGA."


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
