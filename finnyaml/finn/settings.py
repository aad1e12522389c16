"""From the recipe's settings to FINN's build configuration.

The recipe has a structured word for the settings that everyone needs; every other field of `DataflowBuildConfig` is
reached under `finn:` by FINN's own name. What this FINN does not know is an error, never ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finnyaml import files
from finnyaml.errors import Problem
from finnyaml.finn.catalog import Catalog, Field
from finnyaml.finn.entries import apply_renames, fifo_file, is_fifo, split
from finnyaml.recipe.model import Download, Pointer, Recipe, Settings
from finnyaml.recipe.paths import is_file
from finnyaml.recipe.settings_files import read_settings
from finnyaml.text import counted, did_you_mean

STRUCTURED: Mapping[tuple[str, str], str] = {
    ("folding", "target_fps"): "target_fps",
    ("folding", "mvau_wwidth_max"): "mvau_wwidth_max",
    ("folding", "two_pass_relaxation"): "folding_two_pass_relaxation",
    ("fifo", "auto"): "auto_fifo_depths",
    ("fifo", "strategy"): "auto_fifo_strategy",
    ("fifo", "large_mem_style"): "large_fifo_mem_style",
    ("target", "board"): "board",
    ("target", "part"): "fpga_part",
    ("target", "clock_ns"): "synth_clk_period_ns",
    ("target", "hls_clock_ns"): "hls_clk_period_ns",
    ("target", "shell"): "shell_flow_type",
    ("target", "vitis_platform"): "vitis_platform",
}
"""Recipe word to the configuration field it sets."""

CONFIG_FILES = {
    "folding": "folding_config_file",
    "specialize": "specialize_layers_config_file",
    "fifo": "fifo_config_file",
}
"""Sections that become a JSON file for FINN."""

FILE_KEYS = frozenset(("file", "nodes", "defaults", "depths", "rename", "unknown"))
"""The keys of those sections whose content goes into the file, or that say how it is read."""

LENIENT = ".lenient"
"""In the name of a staged file: entries for nodes that are not there are left out, not refused."""

OURS = {
    "steps": "`steps:`",
    "output_dir": "`output:`",
    "start_step": "`finnyaml build --from STEP`",
    "stop_step": "`finnyaml build --to STEP`",
    "inject_steps_before": "`steps: {flow: ..., insert: [{before: ..., steps: ...}]}`",
    "inject_steps_after": "`steps: {flow: ..., insert: [{after: ..., steps: ...}]}`",
    "model_path": "`model: {onnx: ...}`",
    "config_path": "nothing: paths are relative to the recipe",
}
"""Fields that finnyaml sets or replaces, and what says it instead."""


@dataclass(frozen=True)
class Staged:
    """A file laid into the sandbox: made from the recipe (`data`), copied from `source`, or fetched (`download`)."""

    data: bytes | None = None
    source: Path | None = None
    download: Download | None = None


@dataclass(frozen=True)
class FinnConfig:
    """Configuration fields in the recipe's words, staged files by name, and where in the recipe each field was set."""

    values: Mapping[str, Any] = field(default_factory=dict)
    staged: Mapping[str, Staged] = field(default_factory=dict)
    pointers: Mapping[str, Pointer] = field(default_factory=dict)


def resolve(
    recipe: Recipe, catalog: Catalog, overlay: Mapping[str, Any] | None = None, at: Pointer = ()
) -> tuple[FinnConfig, list[Problem]]:
    """The build configuration of a recipe, or of one task whose `with:` lays `overlay` (found `at`) over it."""
    settings = recipe.settings
    prefixes: dict[str, Pointer] = {}
    for section, content in (overlay or {}).items():
        merged: Any = _merged(getattr(settings, section), content) if isinstance(content, Mapping) else tuple(content)
        settings = replace(settings, **{section: merged})
        if isinstance(content, Mapping) and FILE_KEYS.intersection(content):
            prefixes[section] = at
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    staged: dict[str, Staged] = {}
    pointers: dict[str, Pointer] = {}
    for name, value, pointer in _entries(settings, overlay, at):
        found = catalog.fields.get(name)
        if name in OURS and pointer[-2:-1] == ("finn",):
            problems.append(Problem(f"`finn: {name}` is set by finnyaml", recipe.at(pointer), f"use {OURS[name]}"))
        elif found is None:
            problems.append(_unknown(name, catalog, recipe, pointer))
        elif pointer[-2:-1] == ("finn",) and name in _structured_fields():
            hint = f"write `{_structured_fields()[name]}` instead"
            problems.append(Problem(f"`finn: {name}` has a word of its own", recipe.at(pointer), hint))
        else:
            value = _by_value(found, value)
            problem = check(found, value, catalog)
            if problem is not None:
                problems.append(replace(problem, where=recipe.at(pointer)))
            elif found.kind == "path" and value is not None and name not in CONFIG_FILES.values():
                # relative to the file that wrote the name, which may be a base recipe elsewhere
                where = recipe.at(pointer)
                source = (where.file.parent if where else recipe.directory) / str(value)
                file = f"{name}{Path(str(value)).suffix}"
                staged[file], values[name] = Staged(source=source), f"@inputs/{file}"
                if not is_file(source):
                    there = files.kind_of(source)
                    what = f"{value} is {there}, not a file" if there else f"there is no file {value}"
                    problems.append(Problem(f"`finn: {name}`: {what}", recipe.at(pointer)))
            else:
                values[name] = value
            pointers[name] = pointer
    fifos: dict[str, Any] = {}
    for section, name in CONFIG_FILES.items():
        content = getattr(settings, section)
        if section == "fifo" and fifos and content.get("auto") is False and not FILE_KEYS & content.keys():
            content = {**content, "in_folding": fifos}
        data, section_problems = _config_file(section, content, recipe, prefixes.get(section, ()), fifos)
        problems += section_problems
        if data is None:
            continue
        pointers[name] = (*prefixes.get(section, ()), section)
        if name not in catalog.fields:
            problems.append(_unknown(name, catalog, recipe, pointers[name]))
            continue
        file = f"{name}{LENIENT if content.get('unknown') == 'warn' else ''}.json"
        staged[file], values[name] = Staged(data=data), f"@inputs/{file}"
        if section == "fifo" and "auto" not in settings.fifo:
            values["auto_fifo_depths"] = False
            pointers["auto_fifo_depths"] = pointers[name]
    if settings.fifo.get("auto") and (settings.fifo.get("file") or settings.fifo.get("depths")):
        message = "`fifo: {auto: true}` sizes the FIFOs, so the depths given beside it would be ignored"
        problems.append(Problem(message, recipe.at(("fifo", "auto")), "leave out `auto`, or the depths"))
    return FinnConfig(values, staged, pointers), problems


_TYPES: Mapping[str, Any] = {
    "bool": bool,
    "int": int,
    "float": (int, float),
    "str": str,
    "path": (str, Path),
    "list": (list, tuple),
    "dict": Mapping,
}
"""The Python types of a field's kind."""


def check(found: Field, value: Any, catalog: Catalog) -> Problem | None:
    """What is wrong with `value` for a configuration field; None where it fits."""
    if value is None:
        return None if found.optional else Problem(f"{found.name} cannot be null in {catalog}")
    if found.name == "board" and value not in catalog.boards:
        return Problem(f"{catalog} knows no board {value!r}", hint=did_you_mean(str(value), catalog.boards, 3))
    expected = _TYPES.get(found.kind)
    if expected and (not isinstance(value, expected) or (isinstance(value, bool) and found.kind != "bool")):
        kind = f"an {found.kind}" if found.kind == "int" else f"a {found.kind}"
        return Problem(f"{found.name} takes {kind}, not {value!r} ({catalog})", hint=found.doc or None)
    if not found.choices:
        return None
    for item in value if found.kind == "list" else [value]:
        if str(item) not in found.choices:
            message = f"{item!r} is not a value of {found.name} in {catalog}"
            other = [name for name in found.names if name.lower() not in found.choices]
            words = did_you_mean(str(item), (*found.choices, *other), 3, else_="")
            return Problem(message, hint=words if words and words.startswith("did") else f"it has {_choices(found)}")
    return None


def _choices(found: Field) -> str:
    return ", ".join(found.shown_choices)


def _by_value(found: Field, value: Any) -> Any:
    """A value of an enum by its value, where the recipe has its name: PERFORMANCE_BEST is "3"."""
    if not found.names:
        return value
    if isinstance(value, list):
        return [item if str(item) in found.choices else found.choice(item) or item for item in value]
    return value if str(value) in found.choices else found.choice(value) or value


def _entries(settings: Settings, overlay: Mapping[str, Any] | None, at: Pointer) -> Iterator[tuple[str, Any, Pointer]]:
    """(configuration field, value, place in the recipe) of everything that sets a field directly."""

    def place(section: str, key: str) -> Pointer:
        written_here = isinstance((overlay or {}).get(section), Mapping) and key in (overlay or {})[section]
        return (*at, section, key) if written_here else (section, key)

    for (section, key), name in STRUCTURED.items():
        content = getattr(settings, section)
        if key in content:
            yield name, content[key], place(section, key)
    if "target_fps" in (optimize := settings.folding.get("optimize") or {}):
        yield "target_fps", optimize["target_fps"], (*place("folding", "optimize"), "target_fps")
    if settings.outputs is not None:
        pointer = (*at, "outputs") if "outputs" in (overlay or {}) else ("outputs",)
        yield "generate_outputs", list(settings.outputs), pointer
    for name, value in settings.finn.items():
        yield name, value, place("finn", name)


def words() -> dict[str, str]:
    """FINN's options that have a word of their own in a recipe, each with that."""
    verified = dict.fromkeys(("verify_input_npy", "verify_expected_output_npy"), "verify: {data: ..., reference: ...}")
    ours = {name: word for name, word in OURS.items() if name != "steps"}
    return {**ours, **{name: f"`{word}`" for name, word in {**_structured_fields(), **verified}.items()}}


def _structured_fields() -> dict[str, str]:
    words = {name: f"{section}: {{{key}: ...}}" for (section, key), name in STRUCTURED.items()}
    words.update({name: f"{section}: {{file: ...}}" for section, name in CONFIG_FILES.items()})
    return words | {"generate_outputs": "outputs: [...]"}


def _config_file(
    section: str, content: Mapping[str, Any], recipe: Recipe, at: Pointer, fifos: dict[str, Any]
) -> tuple[bytes | None, list[Problem]]:
    """The JSON file that FINN reads for a section; None where the recipe gives no per-node settings.

    Entries of a folding file that are for FIFOs go to `fifos`.
    """
    if not any(content.get(key) for key in (FILE_KEYS | {"in_folding"}) - {"unknown", "rename"}):
        return None, []
    entries: dict[str, Any] = dict(content.get("in_folding") or {})
    placed: list[_Placed] = []
    if content.get("file"):
        path = Path(content["file"])
        try:
            entries = dict(read_settings(path))
        except (OSError, ValueError, TypeError) as error:
            return None, [Problem(f"{path} is not a JSON file: {error}", recipe.at((*at, section, "file")))]
        entries, unused = apply_renames(entries, content.get("rename") or {})
        for name in unused:
            hint = did_you_mean(name, entries, 2, else_="it has")
            placed.append((("rename", name), Problem(f"{path.name} has no entry {name}", hint=hint)))
        if section == "folding":
            entries, found, converters = split(entries)
            fifos.update(found)
            problem = _of_other_files(path.name, found, converters, recipe)
            placed += [(("file",), problem)] if problem else []
    if section == "fifo" and any(map(is_fifo, entries)):
        entries = fifo_file(entries)
    merge = {"folding": _merge_folding, "specialize": _merge_specialize, "fifo": _merge_fifo}
    placed += merge[section](entries, content)
    problems = [replace(problem, where=recipe.at((*at, section, *place))) for place, problem in placed]
    return json.dumps(entries, indent=2, sort_keys=True).encode(), problems


def _of_other_files(file: str, fifos: Mapping[str, Any], converters: Sequence[str], recipe: Recipe) -> Problem | None:
    """What happens to entries of a folding file for what FINN inserts behind folding."""
    taken = recipe.settings.fifo.get("auto") is False and not FILE_KEYS & recipe.settings.fifo.keys()
    ignored = [*([] if taken else fifos), *converters]
    if not ignored:
        return None
    kinds = [
        counted(len(listed), word) for listed, word in ((fifos, "FIFO"), (converters, "width converter")) if listed
    ]
    message = f"{file} has entries for {' and '.join(kinds)}, which FINN inserts behind folding: they are left out"
    hint = "`fifo: {auto: false}` takes the depths of the FIFOs from there" if fifos and not taken else None
    return Problem(message, hint=hint or "FINN chooses its converters itself", severity="warning")


def _merged(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`overlay` laid over a section: its per-node mappings add to those of the section."""
    merged = {**base, **overlay}
    for key, value in overlay.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            merged[key] = {**base[key], **value}
    return merged


_Placed = tuple[tuple[str, ...], Problem]
"""What is wrong, and its place inside the section."""


def _merge_folding(entries: dict[str, Any], content: Mapping[str, Any]) -> Iterator[_Placed]:
    for node, attributes in (content.get("nodes") or {}).items():
        if attributes is None:
            yield from _removed(entries, node)
        else:
            entries[node] = {**entries.get(node, {}), **attributes}
    if content.get("defaults"):
        entries["Defaults"] = {**entries.get("Defaults", {}), **content["defaults"]}
    entries.setdefault("Defaults", {})


def _removed(entries: dict[str, Any], node: str) -> Iterator[_Placed]:
    """Take the entry of a node out."""
    if entries.pop(node, None) is None:
        hint = did_you_mean(node, entries, 2, else_="it has")
        yield ("nodes", node), Problem(f"null takes {node} out of the file, which has no such entry", hint=hint)


def _merge_specialize(entries: dict[str, Any], content: Mapping[str, Any]) -> Iterator[_Placed]:
    for node, style in (content.get("nodes") or {}).items():
        if style is None:
            yield from _removed(entries, node)
            continue
        entries[node] = {**entries.get(node, {}), "preferred_impl_style": style}
    defaults = content.get("defaults") or {}
    in_file = entries.setdefault("Defaults", {}).get("preferred_impl_style", [])
    pairs = [] if "all" in defaults else list(in_file)
    for op_type, style in defaults.items():
        pairs += [style, "all" if op_type == "all" else [op_type]]
    if pairs:
        entries["Defaults"]["preferred_impl_style"] = pairs
    if "all" in pairs[1::2] and len(pairs) > 2:
        message = "FINN takes one default for all layers or defaults by op type, not both"
        yield ("defaults",), Problem(message, hint="name every op type, or only `all`; `nodes:` may always differ")


_FIFO_KEYS = (("fifo_depths", "depth", None), ("impl_style", "impl_style", "rtl"), ("ram_style", "ram_style", "auto"))
"""For each section of FINN's file: the recipe's key, and the default."""


def _merge_fifo(entries: dict[str, Any], content: Mapping[str, Any]) -> Iterator[_Placed]:
    for name, _, _ in _FIFO_KEYS:
        entries.setdefault(name, {})
    for node, depth in (content.get("depths") or {}).items():
        attributes = depth if isinstance(depth, Mapping) else {"depth": depth}
        for unknown in attributes.keys() - {"depth", "impl_style", "ram_style"}:
            hint = "it takes depth, impl_style and ram_style"
            yield ("depths", node, unknown), Problem(f"FINN's FIFO configuration has no {unknown!r}", hint=hint)
        if "depth" not in attributes and node not in entries["fifo_depths"]:
            yield ("depths", node), Problem(f"{node} has no depth", hint="give it one: {depth: ...}")
        for name, key, default in _FIFO_KEYS:
            entries[name][node] = attributes.get(key, entries[name].get(node, default))


def _unknown(name: str, catalog: Catalog, recipe: Recipe, pointer: Pointer) -> Problem:
    return Problem(f"{catalog} has no build option {name!r}", recipe.at(pointer), did_you_mean(name, catalog.fields, 3))
