"""The JSON Schema of bundle.json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_NAME = "bundle.schema.json"


def schema_path() -> Path:
    """The schema file: in the package (a wheel), else beside the package (a checkout).

    Raises FileNotFoundError when the installation is broken.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "schemas", package.parent / "schemas"):
        if (folder / _NAME).is_file():
            return folder / _NAME
    raise FileNotFoundError(f"finnyaml is installed without its {_NAME}")


def problems(data: Any) -> list[str]:
    """What is wrong with the data of a bundle.json, each with its place; empty where nothing is."""
    return [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(data)]


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema_path().read_text("utf-8")))
