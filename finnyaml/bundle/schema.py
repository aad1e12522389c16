"""The JSON Schema of bundle.json."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from finnyaml.recipe.schema import schema_path


def problems(data: Any) -> list[str]:
    """What is wrong with the data of a bundle.json, each with its place; empty where nothing is."""
    return [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(data)]


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema_path("bundle.schema.json").read_text("utf-8")))
