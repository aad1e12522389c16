"""The structure of a recipe: the JSON Schema's verdict, in the user's words and at the place of the error."""

from __future__ import annotations

import re
from collections import ChainMap, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jsonschema import Draft202012Validator, validators

from finnyaml.errors import Problem, Where
from finnyaml.recipe.model import Pointer
from finnyaml.recipe.node import Node
from finnyaml.recipe.schema import strict_schema
from finnyaml.recipe.words import dotted, kind
from finnyaml.text import did_you_mean, either, nearest, quoted

Schema = dict[str, Any]

# A jsonschema.ValidationError. Its type stubs declare every attribute as possibly unset, which none is here.
_Error = Any

# JSON Schema takes 2.0 for an integer. In FINN's Python it is none.
_INTEGERS = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
_extend: Any = validators.extend
VALIDATOR: type[Draft202012Validator] = _extend(Draft202012Validator, type_checker=_INTEGERS)
"""What checks a document against a schema of ours."""

_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}


@dataclass(frozen=True)
class Fault:
    """A problem of structure.

    `culprit` points to the value to blame, or is None where something is missing. `suggests` is what an unknown
    key was likely meant to be, `missing` is what is not there though it must be.
    """

    problem: Problem
    culprit: Pointer | None = None
    suggests: Pointer | None = None
    missing: tuple[Pointer, ...] = ()


def structure(root: Node, finn_words: Mapping[str, str] | None = None, schema: Schema | None = None) -> list[Fault]:
    """All that is structurally wrong with the composed document `root`.

    `finn_words`: options of FINN, each with the place in a recipe that sets it. `schema`: default, that of a recipe.
    """
    schema = strict_schema() if schema is None else schema
    errors = VALIDATOR(schema).iter_errors(root.plain())
    faults = [fault for error in errors for fault in _explain(error, root, schema)]
    faults = [_at_home(fault, finn_words or {}) for fault in faults]
    meant = {fault.suggests for fault in faults}
    # `brevitsa:` is a misspelt key, not also a missing `brevitas:`.
    faults = [fault for fault in faults if not meant.intersection(fault.missing)]
    return list({fault.problem: fault for fault in faults}.values())


def usable(document: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """What is left of `document` without its faults: every section in it is structurally valid.

    So the rest can be checked too, and the user sees all errors at once.
    """
    for fault in faults:
        if fault.culprit:
            document = _without(document, fault.culprit)
    known = strict_schema()["properties"]
    sections = VALIDATOR({"properties": known, "$defs": strict_schema()["$defs"]})
    wrong = {error.absolute_path[0] for error in sections.iter_errors(document)}
    return {name: value for name, value in document.items() if name in known and name not in wrong}


def _without(value: Any, pointer: Pointer) -> Any:
    """`value` without the key at `pointer`. Items of lists stay, so that no other pointer changes."""
    head, rest = pointer[0], pointer[1:]
    if isinstance(value, dict) and head in value:
        if not rest:
            return {key: child for key, child in value.items() if key != head}
        return {**value, head: _without(value[head], rest)}
    if isinstance(value, list) and rest:
        return [_without(child, rest) if index == head else child for index, child in enumerate(value)]
    return value


def _explain(error: _Error, root: Node, schema: Schema) -> Iterator[Fault]:
    """The faults behind one error of the validator."""
    pointer: Pointer = tuple(error.absolute_path)
    if error.validator in ("anyOf", "oneOf"):
        yield from _explain_branches(error, pointer, root, schema)
    elif error.validator == "additionalProperties":
        yield from _unknown_keys(error, pointer, root, schema)
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield _missing((*pointer, name), root, schema)
    elif error.validator == "dependentRequired":
        yield from _lonely_keys(error, pointer, root)
    elif error.validator == "uniqueItems":
        yield from _repeated(error.instance, pointer, root)
    elif "propertyNames" in list(error.relative_schema_path)[-2:]:
        at = (*pointer, error.instance)
        message = f"{quoted(error.instance)} cannot be a name in {dotted(pointer)}"
        yield Fault(Problem(message, _key_place(root, at), "use letters, digits and _, and begin with a letter"), at)
    else:
        problem = Problem(_verdict(error, pointer), root.nearest(pointer).place, _hint(error, pointer, schema))
        yield Fault(problem, pointer)


def _explain_branches(error: _Error, pointer: Pointer, root: Node, schema: Schema) -> Iterator[Fault]:
    """Of several alternatives, report what is wrong with the one that was most likely meant."""
    if all("required" in branch for branch in error.validator_value):
        yield from _not_exactly_one(error, pointer, root)
        return
    branches: defaultdict[int, list[_Error]] = defaultdict(list)
    for sub in error.context or ():
        branches[int(sub.schema_path[0])].append(sub)
    every = branches.values()
    right_kind = [subs for subs in every if all(sub.validator != "type" or sub.relative_path for sub in subs)]
    if right_kind:
        for sub in min(right_kind, key=len):
            yield from _explain(sub, root, schema)
        return
    names = [_name_of(branch, schema) for branch in error.validator_value]
    message = f"{dotted(pointer)} must be {either(names)}, not {kind(error.instance)}"
    yield Fault(Problem(message, root.nearest(pointer).place, _hint(error, pointer, schema)), pointer)


def _name_of(branch: Schema, schema: Schema) -> str:
    """What a value of this alternative is called."""
    told = ChainMap(*_flat(branch, schema))
    title: str = told.get("title") or _KINDS[told["type"]]
    return title


def _not_exactly_one(error: _Error, pointer: Pointer, root: Node) -> Iterator[Fault]:
    if not isinstance(error.instance, dict):
        return  # that is an error of its own
    names = [branch["required"][0] for branch in error.validator_value]
    given = [name for name in error.instance if name in names]
    place = f" in {dotted(pointer)}" if pointer else ""
    if given:
        where = _key_place(root, (*pointer, given[-1]))
        message = f"only one of {either(names)} may stand{place}, but here are {' and '.join(given)}"
        yield Fault(Problem(message, where, "keep one of them"))
    else:
        where = root.nearest(pointer).place
        missing = tuple((*pointer, name) for name in names)
        yield Fault(Problem(f"one of {either(names)} is missing{place}", where), missing=missing)


def _unknown_keys(error: _Error, pointer: Pointer, root: Node, schema: Schema) -> Iterator[Fault]:
    known = error.schema["properties"]
    outermost = not pointer or pointer[-1] == "with"
    for name in error.instance:
        if name in known:
            continue
        home = _home_of(name, schema) if outermost else None
        near = nearest(name, known)
        hint = f"it belongs under `{home}:`" if home else did_you_mean(name, known)
        if not pointer and not home and not near and "_" in name and "finn" in known:
            hint = f"an option of FINN stands under `finn: {{{name}: ...}}`"
        place = f" in {dotted(pointer)}" if pointer else ""
        problem = Problem(f"unknown key {quoted(name)}{place}", _key_place(root, (*pointer, name)), hint)
        yield Fault(problem, (*pointer, name), (*pointer, near) if near else None)


def _at_home(fault: Fault, finn_words: Mapping[str, str]) -> Fault:
    """A fault whose unknown key beside the sections is one of FINN's options, with the place of that here."""
    name = fault.culprit[-1] if fault.culprit and fault.problem.message.startswith("unknown key") else None
    if (
        fault.culprit is None
        or len(fault.culprit) != 1
        or str(name) not in finn_words
        or _home_of(str(name), strict_schema())
    ):
        return fault
    message = f"{name} is FINN's word: a recipe has a place of its own for it"
    problem = replace(fault.problem, message=message, hint=f"write {finn_words[str(name)]}")
    return Fault(problem, fault.culprit)


def _home_of(name: str, schema: Schema) -> str | None:
    """The section that has the key `name`, which somebody wrote beside the sections."""
    sections = ("model", "steps", "folding", "specialize", "fifo", "target", "verify")
    return next((section for section in sections if _schema_at((section, name), schema)), None)


def _lonely_keys(error: _Error, pointer: Pointer, root: Node) -> Iterator[Fault]:
    for name, needed in error.validator_value.items():
        missing = [other for other in needed if name in error.instance and other not in error.instance]
        if missing:
            where = _key_place(root, (*pointer, name))
            message = f"{dotted((*pointer, name))} only goes together with {' and '.join(missing)}"
            problem = Problem(message, where, "remove it, or add what it belongs to")
            yield Fault(problem, missing=tuple((*pointer, other) for other in missing))


def _missing(pointer: Pointer, root: Node, schema: Schema) -> Fault:
    found = _schema_at(pointer, schema)
    hint = found.get("description", "")
    if examples := found.get("examples"):
        hint += f" For example `{pointer[-1]}: {_flow(examples[0])}`"
    problem = Problem(f"{dotted(pointer)} is missing", root.nearest(pointer).place, hint or None)
    return Fault(problem, missing=(pointer,))


def _repeated(items: list[Any], pointer: Pointer, root: Node) -> Iterator[Fault]:
    for index, item in enumerate(items):
        if item in items[:index]:
            where = root.nearest((*pointer, index)).place
            yield Fault(Problem(f"{dotted(pointer)} has {kind(item)} twice", where, "remove one of them"), pointer)


def _verdict(error: _Error, pointer: Pointer) -> str:
    """What is wrong with one value."""
    name, value, limit = dotted(pointer), kind(error.instance), error.validator_value
    if error.validator == "type":
        types = [limit] if isinstance(limit, str) else limit
        return f"{name} must be {either(_KINDS[one] for one in types)}, not {value}"
    if error.validator == "enum":
        return f"{name} must be {either(map(str, limit))}, not {value}"
    if error.validator == "pattern":
        what = error.schema.get("title", "").lower()
        return f"{name}: {quoted(error.instance)} cannot be the {what}" if what else f"{name} cannot be {value}"
    if error.validator in ("minLength", "minItems") and not error.instance:
        return f"{name} must not be empty"
    if error.validator == "minItems":
        return f"{name} needs at least {limit} entries, but has {len(error.instance)}"
    words = _LIMITS.get(error.validator, "cannot be {value}")
    return f"{name} {words.format(limit=limit, value=value, instance=error.instance)}"


_LIMITS = {
    "const": "must be {limit}, not {value}",
    "minimum": "must be at least {limit}, not {instance}",
    "maximum": "must be at most {limit}, not {instance}",
    "exclusiveMinimum": "must be greater than {limit}, not {instance}",
    "maxItems": "is too long: at most {limit} entries",
    "maxLength": "is too long: at most {limit} characters",
}
"""The keywords of the schema that have no case of their own."""


def _hint(error: _Error, pointer: Pointer, schema: Schema) -> str | None:
    """What to write instead."""
    value = error.instance
    if error.validator in ("enum", "const"):
        choices = error.validator_value if error.validator == "enum" else [error.validator_value]
        return did_you_mean(str(value), map(str, choices))
    if error.validator == "pattern" and re.search(error.validator_value, value.upper()):
        return f"did you mean {quoted(value.upper())}?"
    if value is None:
        return "write a value, or remove the key"
    if isinstance(value, str) and error.validator == "type":
        if re.fullmatch(r"[0-9][0-9_,' ]*", value):
            return f"write {re.sub('[^0-9]', '', value)}"
        if error.validator_value == "boolean" and value.lower() in ("yes", "no", "on", "off", "y", "n"):
            return f"write {'true' if value.lower() in ('yes', 'on', 'y') else 'false'}"
    examples = _schema_at(pointer, schema).get("examples")
    if not examples:
        return None
    key = "-" if isinstance(pointer[-1], int) else f"{pointer[-1]}:"
    return f"for example `{key} {_flow(examples[0])}`"


def _schema_at(pointer: Pointer, whole: Schema) -> Schema:
    """The part of the schema that speaks about `pointer`; empty if none does."""
    found: list[Schema] = _flat(whole, whole)
    for part in pointer:
        inner = []
        for schema in found:
            known = schema.get("properties", {})
            extra = schema.get("additionalProperties")
            inner += [known[part]] if part in known else [extra] if isinstance(extra, dict) and extra else []
            inner += [schema["items"]] if "items" in schema and isinstance(part, int) else []
        found = [flat for schema in inner for flat in _flat(schema, whole)]
    # What stands nearer to the key is more telling than what it refers to.
    return dict(ChainMap(*found))


def _flat(schema: Schema, whole: Schema) -> list[Schema]:
    """`schema`, then what it refers to and its alternatives."""
    found = [schema]
    if "$ref" in schema:
        found += _flat(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    return found + [flat for branch in schema.get("anyOf", ()) for flat in _flat(branch, whole)]


def _flow(value: Any) -> str:
    """`value` as YAML in one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flow(item) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _key_place(root: Node, pointer: Pointer) -> Where:
    node = root.nearest(pointer)
    return node.key or node.place
