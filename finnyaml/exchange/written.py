"""A draft of a recipe as text: short mappings in one line, remarks beside entries, what is left out at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from finnyaml.exchange.to_recipe import Draft
from finnyaml.recipe.scalars import written

WIDTH = 110


class WithVariables(str):
    """A text in which `${name}` is a variable of the recipe."""

    __slots__ = ()


def text(made: Draft, source: str) -> str:
    """The recipe; `source` is what it was imported from."""
    lines = [f"# Written by `finnyaml import {source}`.", "", f"name: {written(made.name)}"]
    for section, value in made.sections.items():
        if section in ("matrix", "model", "steps", "folding", "when", "verify", "output"):
            lines.append("")
        lines += _entry(section, value, (section,), made, 0)
    for section, (value, reason) in made.off.items():
        lines += ["", f"# Switched off: {reason}, and take the # away."]
        lines += [f"# {line}" for line in _entry(section, value, (section,), made, 0)]
    if made.dropped:
        lines += ["", "# Not in this recipe:"]
        lines += [f"#   {what}   ({why})" for what, why in made.dropped]
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any, at: tuple[str | int, ...], made: Draft, depth: int) -> Iterator[str]:
    """A key with its value, in one line where that is short and nothing is to be said inside."""
    indent = "  " * depth
    remark = f"  # {made.remarks[at]}" if at in made.remarks else ""
    inside = any(place[: len(at)] == at and len(place) > len(at) for place in made.remarks)
    flow = f"{indent}{written(key)}: {one_line(value)}"
    nested = isinstance(value, (dict, list)) and bool(value)
    if not nested or (not inside and len(flow) <= WIDTH and at != ("steps",) and key not in ("model", "verify")):
        yield flow + remark
        return
    yield f"{indent}{written(key)}:{remark}"
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _entry(str(name), item, (*at, str(name)), made, depth + 1)
        return
    for index, item in enumerate(value):
        note = f"  # {made.remarks[(*at, index)]}" if (*at, index) in made.remarks else ""
        flow = f"{indent}  - {one_line(item)}{note}"
        if len(flow) <= WIDTH or not isinstance(item, dict) or note:
            yield flow
            continue
        lines = [
            line for name, inner in item.items() for line in _entry(name, inner, (*at, index, name), made, depth + 2)
        ]
        yield f"{indent}  - {lines[0].lstrip()}"
        yield from lines[1:]


def one_line(value: Any) -> str:
    """A value as YAML in one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{written(key)}: {one_line(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(one_line, value))}]"
    if isinstance(value, WithVariables):
        return json.dumps(value, ensure_ascii=False)
    return written(value)
