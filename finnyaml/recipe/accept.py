"""Whether a document fits a JSON Schema: yes or no, and quickly.

Importing `jsonschema` takes longer than everything else that a build with nothing to do needs. So it is imported
only to say what is wrong with a document that this small checker refused. It knows the keywords that the recipe schema
uses and raises on any other, so that a change of the schema cannot be overlooked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    # JSON Schema takes 2.0 for an integer. In FINN's Python it is none.
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}

# A schema keyword: whether the value fits, given the keyword's value, the schema beside it and the whole schema.
_Check = Callable[[Any, Any, Mapping[str, Any], Mapping[str, Any]], bool]


def accepts(value: Any, schema: Any, whole: Mapping[str, Any]) -> bool:
    """Whether `value` fits `schema`, a part of the schema `whole`. Raises KeyError for a keyword it does not know."""
    if isinstance(schema, bool):
        return schema
    return all(_KEYWORDS[keyword](value, wanted, schema, whole) for keyword, wanted in schema.items())


def _always(value: Any, wanted: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return True


def _type(value: Any, wanted: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return any(_TYPES[name](value) for name in ([wanted] if isinstance(wanted, str) else wanted))


def _enum(value: Any, wanted: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return any(_same(value, choice) for choice in wanted)


def _properties(value: Any, wanted: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    return all(accepts(value[name], part, whole) for name, part in wanted.items() if name in value)


def _additional(value: Any, wanted: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    if not isinstance(value, dict):
        return True
    known = schema.get("properties", {})
    return all(accepts(item, wanted, whole) for name, item in value.items() if name not in known)


def _if(value: Any, wanted: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return accepts(value, schema.get("then" if accepts(value, wanted, whole) else "else", True), whole)


def _unique(value: Any, wanted: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return not isinstance(value, list) or len({repr(item) for item in value}) == len(value)


def _when(kind: str, fits: Callable[[Any, Any], bool]) -> _Check:
    """A keyword that only speaks about values of one type."""
    return lambda value, wanted, schema, whole: not _TYPES[kind](value) or fits(value, wanted)


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


_KEYWORDS: dict[str, _Check] = {
    **dict.fromkeys(("$schema", "$defs", "title", "description", "default", "examples", "then", "else"), _always),
    "type": _type,
    "enum": _enum,
    "const": lambda value, wanted, schema, whole: _same(value, wanted),
    "$ref": lambda value, wanted, schema, whole: accepts(value, whole["$defs"][wanted.rpartition("/")[2]], whole),
    "anyOf": lambda value, wanted, schema, whole: any(accepts(value, branch, whole) for branch in wanted),
    "oneOf": lambda value, wanted, schema, whole: sum(accepts(value, branch, whole) for branch in wanted) == 1,
    "not": lambda value, wanted, schema, whole: not accepts(value, wanted, whole),
    "if": _if,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": lambda value, wanted, schema, whole: (
        not isinstance(value, dict) or all(accepts(name, wanted, whole) for name in value)
    ),
    "dependentSchemas": lambda value, wanted, schema, whole: (
        not isinstance(value, dict)
        or all(accepts(value, part, whole) for name, part in wanted.items() if name in value)
    ),
    "dependentRequired": _when(
        "object",
        lambda value, wanted: all(value.keys() >= set(needed) for name, needed in wanted.items() if name in value),
    ),
    "required": _when("object", lambda value, wanted: value.keys() >= set(wanted)),
    "items": lambda value, wanted, schema, whole: (
        not isinstance(value, list) or all(accepts(item, wanted, whole) for item in value)
    ),
    "uniqueItems": _unique,
    "minItems": _when("array", lambda value, wanted: len(value) >= wanted),
    "maxItems": _when("array", lambda value, wanted: len(value) <= wanted),
    "minLength": _when("string", lambda value, wanted: len(value) >= wanted),
    "maxLength": _when("string", lambda value, wanted: len(value) <= wanted),
    "pattern": _when("string", lambda value, wanted: re.search(wanted, value) is not None),
    "minimum": _when("number", lambda value, wanted: value >= wanted),
    "maximum": _when("number", lambda value, wanted: value <= wanted),
    "exclusiveMinimum": _when("number", lambda value, wanted: value > wanted),
}
