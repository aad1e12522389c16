"""`finnyaml steps`: what the installed FINN has, asked from it, in the recipe's words."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finnyaml.cli.session import installed_catalog, store_root
from finnyaml.cli.table import clipped, sentence, table
from finnyaml.engine import record
from finnyaml.engine.pool import Pool
from finnyaml.errors import Problem, RecipeError, ToolMissing
from finnyaml.finn import aliases, identity, settings
from finnyaml.finn.catalog import Catalog, Field
from finnyaml.plan.steps import near
from finnyaml.recipe.load import load_recipe
from finnyaml.recipe.words import did_you_mean
from finnyaml.steps import own
from finnyaml.store import Store
from finnyaml.tools.needs import needs

WIDTH = 100


def open_catalog(store_option: Path | None, notice: Callable[[str], None]) -> Catalog:
    """The catalog of the installed FINN. ToolMissing where there is none."""
    if identity.package_root("finn") is None:
        hint = "pip install 'finnyaml[finn]', or run finnyaml where FINN is"
        raise ToolMissing("FINN is not installed in this Python environment, so it cannot be asked", hint=hint)
    store = Store.open(store_root(store_option))
    installation = identity.find(store.memo, store.put_memo)
    if installation is None:
        raise ToolMissing("qonnx, which FINN stands on, is not installed in this Python environment")
    pool = Pool(store, 1)
    try:
        return installed_catalog(store, installation, pool, notice)
    finally:
        pool.close()


# -- steps ------------------------------------------------------------------------------------------------------------


def steps(catalog: Catalog) -> dict[str, Any]:
    """Steps, flows and phases as data."""
    return {
        "finn": str(catalog),
        "steps": {aliases.short(name): _step(catalog, name) for name in sorted(catalog.steps)},
        "flows": {name: [aliases.short(step) for step in listed] for name, listed in sorted(catalog.flows.items())},
        "phases": {name: {"doc": phase.doc, "parts": _parts(catalog, name)} for name, phase in catalog.phases.items()},
        "repairs": dict(own.STEPS),
    }


def steps_lines(catalog: Catalog) -> Iterator[str]:
    """The same to read."""
    found = steps(catalog)
    yield f"{catalog} has {len(found['steps'])} steps. A recipe names them under `steps:`."
    yield ""
    rows = [
        (name, _short(", ".join(step["tools"]) or "-", 30), sentence(step["doc"]))
        for name, step in found["steps"].items()
    ]
    yield from map(clipped, table(("STEP", "NEEDS", "WHAT IT DOES"), rows))
    yield ""
    yield "FLOWS: lists of steps with a name (`steps: estimate_only`)"
    for name, listed in found["flows"].items():
        yield from _wrapped(f"  {name}: ", ", ".join(listed))
    yield ""
    yield "REPAIRS: steps of finnyaml itself; `finnyaml lint` says where one helps, `finnyaml lint --fix` inserts it"
    yield from map(clipped, table(("STEP", "WHAT IT DOES"), list(found["repairs"].items())))
    if found["phases"]:
        yield ""
        yield "PHASES: FINN's groups of steps; a recipe may name one like a step"
        for name, phase in found["phases"].items():
            yield from _wrapped(f"  {name}: ", ", ".join(phase["parts"]))
    old = [f"{other} ({name})" for name, step in found["steps"].items() for other in step["aliases"]]
    if old:
        yield ""
        yield from _wrapped(
            "OTHER NAMES, of other FINN versions, that mean the step in brackets: ", ", ".join(old), "  "
        )
    yield ""
    yield "NEEDS is for FINN's default options and all its outputs: less is needed where a recipe asks for less."
    yield "`finnyaml steps describe NAME` tells all of one; `steps options` and `steps boards` list those."


def describe(catalog: Catalog, name: str, recipe: Path | None) -> dict[str, Any]:
    """All of one step, flow or phase. RecipeError where there is none of this name."""
    if name in catalog.flows:
        return {"flow": name, "steps": [aliases.short(step) for step in catalog.flows[name]]}
    for phase in (name, f"phase_{name}"):
        if phase in catalog.phases:
            found = catalog.phases[phase]
            return {"phase": phase, "doc": found.doc, "module": found.module, "parts": _parts(catalog, phase)}
    if name in own.STEPS:
        return {"repair": name, "doc": own.STEPS[name]}
    last = record.last_build(load_recipe(recipe)[0].workspace) if recipe else {}
    uses = last[name]["parts"]["step"][1] if name in last else name
    real = aliases.resolve(uses, catalog.steps)
    if real is None and name not in last:
        known = [*map(aliases.short, catalog.steps), *catalog.phases, *catalog.flows, *last]
        raise RecipeError([Problem(f"{catalog} has no step, flow or phase {name!r}", hint=near(name, known))])
    described = {"step": aliases.short(real), **_step(catalog, real)} if real else {"step": name, "runs": uses}
    return described | {"reads": _reads(name, real, last)} if recipe else described


def describe_lines(described: Mapping[str, Any]) -> Iterator[str]:
    """The same to read."""
    kind = next(kind for kind in ("step", "flow", "phase", "repair") if kind in described)
    yield f"{described[kind]} ({kind})"
    if described.get("doc"):
        yield ""
        yield from _wrapped("", described["doc"])
    yield ""
    rows = []
    for key, word in (
        ("steps", "steps"),
        ("parts", "parts"),
        ("runs", "runs"),
        ("module", "module"),
        ("tools", "needs"),
        ("flows", "in the flows"),
    ):
        value = described.get(key)
        if value is not None:
            rows.append((word, value if isinstance(value, str) else ", ".join(value) or "-"))
    if described.get("aliases"):
        rows.append(("other names", ", ".join(described["aliases"])))
    for word, text in rows:
        yield from _wrapped(f"{word}:".ljust(14), text)
    for task, kinds in described.get("reads", {}).items():
        yield ""
        yield f"What {task} read in the last build, beside its model: it runs again when one of these changes."
        listed = [
            (_WORDS.get(kind, kind), name, _value(kind, value))
            for kind, names in kinds.items()
            for name, value in names.items()
        ]
        yield from (clipped(f"  {line}") for line in table((), listed or [("nothing", "", "")]))


_WORDS = {"config": "option", "tree": "from a step before", "env": "variable", "dir": "folder"}


def _value(kind: str, value: Any) -> str:
    """A value that a step read: of files the start of the digest; what was not there shows as a dash."""
    if kind == "config":
        return json.dumps(value)
    return "-" if value is None else str(value)[:12] if kind in ("file", "text", "tree", "dir") else str(value)


def _step(catalog: Catalog, name: str) -> dict[str, Any]:
    step = catalog.steps[name]
    defaults = {field.name: field.default for field in catalog.fields.values()}
    return {
        "doc": step.doc,
        "module": step.module,
        "tools": list(needs(name, defaults, distribution=catalog.distribution)),
        "flows": [flow for flow, listed in catalog.flows.items() if name in listed],
        "aliases": [aliases.short(other) for row in aliases.SYNONYMS if name in row for other in row if other != name],
    }


def _parts(catalog: Catalog, phase: str) -> list[str]:
    short = phase.removeprefix("phase_")
    return [
        aliases.short(value) if kind == "step" else f"{short}.{value}" for kind, value in catalog.phases[phase].parts
    ]


def _reads(name: str, step: str | None, last: Mapping[str, Any]) -> dict[str, Any]:
    """What the task `name`, else each task of the step, read in the last build. RecipeError where there was none."""
    tasks = [name] if name in last else [task for task, built in last.items() if built["parts"]["step"][1] == step]
    if not tasks:
        hint = f"it built {', '.join(last)}" if last else "it was never built here"
        raise RecipeError([Problem(f"the last build of the recipe has no step {name!r}", hint=hint)])
    return {task: last[task]["reads"] for task in tasks}


# -- options ----------------------------------------------------------------------------------------------------------


def word_of(name: str) -> str:
    """What sets this field of FINN's configuration in a recipe."""
    for (section, key), field in settings.STRUCTURED.items():
        if field == name:
            return f"{section}.{key}"
    for section, field in settings.CONFIG_FILES.items():
        if field == name:
            return f"{section}.file, {section}.{'depths' if section == 'fifo' else 'nodes'}"
    if name == "generate_outputs":
        return "outputs"
    return settings.OURS[name].strip("`") if name in settings.OURS else f"finn.{name}"


def options(catalog: Catalog) -> dict[str, Any]:
    """FINN's build options as data."""
    listed = {name: asdict(field) | {"recipe": word_of(name)} for name, field in catalog.fields.items()}
    return {"finn": str(catalog), "options": listed}


def option(catalog: Catalog, name: str) -> dict[str, Any]:
    """One build option, by FINN's name or the recipe's word. RecipeError where there is none."""
    words = {word: field for field in catalog.fields for word in (field, *word_of(field).split(", "))}
    if name not in words:
        hint = did_you_mean(name, words) or "`finnyaml steps options` lists them"
        raise RecipeError([Problem(f"{catalog} has no build option {name!r}", hint=hint)])
    found: dict[str, Any] = options(catalog)["options"][words[name]]
    return found


def options_lines(catalog: Catalog) -> Iterator[str]:
    """All options, one per line."""
    yield f"Build options of {catalog}, and what sets them in a recipe; `finnyaml steps options NAME` tells all of one."
    yield ""
    rows = [
        (
            word_of(name),
            _type(field),
            json.dumps(field.default),
            name if not word_of(name).endswith(name) else "",
            sentence(field.doc),
        )
        for name, field in catalog.fields.items()
        if name not in settings.OURS
    ]
    rows = [(word, _short(kind, 24), _short(default, 20), name, doc) for word, kind, default, name, doc in sorted(rows)]
    yield from map(clipped, table(("RECIPE", "TYPE", "DEFAULT", "FINN'S NAME", "WHAT IT DOES"), rows))
    yield ""
    replaced = [(name, word_of(name)) for name in settings.OURS if name in catalog.fields]
    if replaced:
        yield "Set or replaced by finnyaml:"
        yield from (f"  {line}" for line in table((), replaced))


def option_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """One option."""
    yield found["name"]
    if found["doc"]:
        yield ""
        yield from _wrapped("", found["doc"])
    yield ""
    field = Field(**{key: value for key, value in found.items() if key != "recipe"})
    yield f"recipe:   {found['recipe']}"
    kind = f"list of {field.item}" if field.kind == "list" and field.item else field.kind
    yield f"type:     {kind}{', or null' if field.optional else ''}"
    if found["choices"]:
        yield from _wrapped("choices:  ", ", ".join(found["choices"]))
    yield from _wrapped("default:  ", json.dumps(found["default"]))


def _type(field: Field) -> str:
    if field.choices:
        return f"list of {'|'.join(field.choices)}" if field.kind == "list" else "|".join(field.choices)
    return f"list of {field.item}" if field.kind == "list" and field.item else field.kind


# -- boards -----------------------------------------------------------------------------------------------------------


def boards(catalog: Catalog) -> dict[str, Any]:
    """Boards and their FPGA parts as data."""
    return {"finn": str(catalog), "boards": dict(catalog.boards)}


def boards_lines(catalog: Catalog) -> Iterable[str]:
    """The same to read."""
    rows = sorted(catalog.boards.items(), key=lambda item: item[0].lower())
    return [
        *table(("BOARD", "FPGA PART"), rows),
        "",
        "A recipe says `target: {board: ...}`, or `target: {part: ...}` for any other FPGA.",
    ]


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _wrapped(head: str, text: str, indent: str | None = None) -> list[str]:
    hanging = " " * len(head) if indent is None else indent
    return textwrap.wrap(head + text, WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)
