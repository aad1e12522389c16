"""The JSON Schema of recipes, completed with the names that the installed FINN has: for editors, which then offer them.

What it says is no more than the catalog says; a recipe is still checked by `finnyaml lint`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from finnyaml import plugins
from finnyaml.finn import aliases, settings
from finnyaml.finn.catalog import Catalog, Field
from finnyaml.lint.catalogue import rule_ids
from finnyaml.recipe.schema import schema
from finnyaml.steps import builtin, open_rtl

LATER = {"$ref": "#/$defs/later"}
TYPES = {
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "str": "string",
    "path": "string",
    "enum": "string",
    "list": "array",
    "dict": "object",
}
"""Kinds of fields of FINN's configuration, as JSON Schema calls them; others may be anything."""


def completed(catalog: Catalog) -> dict[str, Any]:
    """The schema with steps, flows, phases, repairs, build options, outputs, boards, lint rules, plug-ins by name."""
    whole = copy.deepcopy(schema())
    parts = whole["$defs"]
    code = {"title": "a Python function", "type": "string", "pattern": ":"}
    parts["step_name"] |= {"anyOf": [_names(_steps(catalog)), code]}
    parts["flow_name"] |= _names(catalog.flows)
    parts["target"]["properties"]["board"]["anyOf"] = [_names(catalog.boards), LATER]
    outputs = catalog.fields.get("generate_outputs")
    if outputs is not None and outputs.choices:
        parts["outputs"]["items"]["anyOf"] = [_names((*outputs.choices, *outputs.names)), LATER]
    for (section, key), name in settings.STRUCTURED.items():
        field = catalog.fields.get(name)
        if field is not None and field.choices:
            parts[section]["properties"][key]["anyOf"] = [_names((*field.choices, *field.names)), LATER]
    parts["finn"] |= {"properties": dict(_options(catalog)), "additionalProperties": False}
    parts["ignored"]["anyOf"][0] |= _names(rule_ids())
    parts["metric"]["anyOf"][0]["enum"] += plugins.installed("metrics")
    parts["metric"]["anyOf"][-1] = code
    parts["data"]["properties"]["python"]["examples"] += plugins.installed("data_sources")
    whole["title"] += f", with what {catalog} has"
    return whole


def _names(names: Iterable[str]) -> dict[str, Any]:
    return {"type": "string", "enum": sorted(set(names))}


def _steps(catalog: Catalog) -> Iterable[str]:
    """Every name that a recipe may list, long or short, old or new."""
    others = {other for row in aliases.SYNONYMS if not catalog.steps.keys().isdisjoint(row) for other in row}
    for name in (*catalog.steps, *others, *catalog.phases):
        yield from (name, name.removeprefix("step_"), name.removeprefix("phase_"))
    yield from (*builtin.STEPS, *open_rtl.STEPS, *plugins.installed("steps"), *plugins.installed("repairs"))


def _options(catalog: Catalog) -> Iterable[tuple[str, Any]]:
    """The fields that a recipe sets under `finn:`."""
    elsewhere = {*settings.STRUCTURED.values(), *settings.CONFIG_FILES.values(), *settings.OURS, "generate_outputs"}
    for name, field in catalog.fields.items():
        if name not in elsewhere:
            yield name, {"description": field.doc, "default": field.default, "anyOf": [_type(field), LATER]}


def _type(field: Field) -> dict[str, Any]:
    kind = TYPES.get(field.kind)
    if kind == "array":
        return {"type": kind, **({"items": _names((*field.choices, *field.names))} if field.choices else {})}
    return _names((*field.choices, *field.names)) if field.choices else {"type": kind} if kind else {}
