"""Conditions that choose variants by what they say: `folding.target_fps>1000` on the command line."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from finnyaml.errors import Problem, RecipeError
from finnyaml.recipe.scalars import resolve
from finnyaml.recipe.words import kind
from finnyaml.text import did_you_mean, quoted

OPTION = "--where"

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"\s*([^<>=!]+?)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*", re.DOTALL)
_ABSENT = object()


def fitting(conditions: Sequence[str], documents: Sequence[Mapping[str, Any]]) -> list[int]:
    """The positions of the documents for which every condition holds; no condition holds of a value that is not there.

    A name is the path of a value, as after `--set`, or a variable.

    Raises:
        RecipeError: one is not a condition, names what no document has, or compares what has no order; or none fits.
    """
    left = [*range(len(documents))]
    for condition in conditions:
        name, sign, value = _parsed(condition)
        values = [_value(document, name) for document in documents]
        if all(found is _ABSENT for found in values):
            known = sorted({path for document in documents[:1] for path in _paths(document)})
            variables = {str(path) for document in documents[:1] for path in document.get("vars") or ()}
            hint = did_you_mean(name, [*variables, *known], 3, few=8)
            raise _refused(condition, f"no variant has {quoted(name)}", hint)
        left = [at for at in left if values[at] is not _ABSENT and _holds(condition, values[at], sign, value)]
    if conditions and not left:
        shown = " and ".join(map(quoted, conditions))
        raise RecipeError([Problem(f"{OPTION}: no variant has {shown}", hint="`finnyaml plan` lists the variants")])
    return left


def _parsed(condition: str) -> tuple[str, str, Any]:
    found = _CONDITION.fullmatch(condition)
    if not found:
        hint = f"for example {OPTION} 'folding.target_fps>1000', in quotes, as the shell takes < and > for itself"
        raise _refused(condition, "it is not of the form path>value (or <, <=, >=, ==, !=)", hint)
    text = found[3]
    if text[:1] in "'\"" and text[-1:] == text[:1] and len(text) > 1:
        return found[1], found[2], text[1:-1]
    try:
        return found[1], found[2], resolve(text)
    except ValueError as error:
        raise _refused(condition, str(error), None) from None


def _holds(condition: str, found: Any, sign: str, value: Any) -> bool:
    if sign not in ("==", "=", "!="):
        if not (_is_number(found) and _is_number(value)):
            other = value if _is_number(found) else found
            raise _refused(condition, f"{kind(other)} has no order", "use == or !=, or compare numbers")
    elif isinstance(found, bool) != isinstance(value, bool):
        return sign == "!="  # in Python, 1 == True
    return _COMPARISONS[sign](found, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(document: Mapping[str, Any], name: str) -> Any:
    found: Any = document
    for part in name.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return (document.get("vars") or {}).get(name, _ABSENT)
    return found


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """The path of every single value."""
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _paths(child, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _paths(child, f"{path}.{index}")
    else:
        yield path


def _refused(condition: str, why: str, hint: str | None) -> RecipeError:
    return RecipeError([Problem(f"{OPTION} {quoted(condition)}: {why}", hint=hint)])
