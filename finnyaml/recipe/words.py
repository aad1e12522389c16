"""How the errors of a recipe name places and kinds of values."""

from __future__ import annotations

from typing import Any

from finnyaml.recipe.model import Pointer
from finnyaml.text import printable, quoted


def dotted(pointer: Pointer) -> str:
    """`pointer` as the user would write it after `--set`: steps.0.uses."""
    return printable(".".join(str(part) for part in pointer)) or "the recipe"


def kind(value: Any) -> str:
    """What `value` is, in the user's words, with the value itself where it is short."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    return "a list" if isinstance(value, list | tuple) else "a mapping"
