"""The JSON Schema of the recipe: one file, for editors as it is, for finnyaml in its strict form."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_LATER = {"$ref": "#/$defs/later"}


def schema_path(name: str = "recipe.schema.json") -> Path:
    """A schema file of finnyaml: in the package (a wheel), else beside the package (a checkout).

    Raises FileNotFoundError when the installation is broken.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "schemas", package.parent / "schemas"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"finnyaml is installed without its {name}")


@cache
def schema() -> dict[str, Any]:
    """The schema for editors: it also accepts `${variables}` and null where another type will stand in the end.

    Do not change what it returns: it is kept.
    """
    loaded: dict[str, Any] = json.loads(schema_path().read_text("utf-8"))
    return loaded


@cache
def strict_schema() -> dict[str, Any]:
    """The schema for a composed recipe, in which every variable has its value. Do not change it either."""
    strict: dict[str, Any] = _strict(schema())
    return strict


def _strict(part: Any) -> Any:
    """`part` without the `later` branch of every anyOf; of an anyOf with one branch left, that branch in its place."""
    if isinstance(part, list):
        return [_strict(item) for item in part]
    if not isinstance(part, dict):
        return part
    result = {key: _strict(value) for key, value in part.items()}
    if _LATER in part.get("anyOf", ()):
        left = [branch for branch in result["anyOf"] if branch != _LATER]
        if len(left) == 1:
            del result["anyOf"]
            # The description of the key says more than that of a shared definition.
            return {**left[0], **result}
        result["anyOf"] = left
    return result
