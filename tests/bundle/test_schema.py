from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from finnyaml.bundle.write import ORDER, problems
from finnyaml.recipe.schema import schema_path
from tests.bundle.built import built
from tests.bundle.sample import read_json

OPEN = {("recipe", "resolved"), ("templates", "vars")}
"""Where any keys are allowed: these are the user's."""
NAMED = {"packages", "tools", "artifacts", "files"}
"""Mappings by name."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return read_json(built(tmp_path_factory.mktemp("schema"), weights=True))


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(schema_path("bundle.schema.json").read_text()))


def test_a_bundle_fits_and_its_keys_are_in_order(data: dict[str, Any]) -> None:
    assert problems(data) == []
    assert tuple(data) == ORDER


def test_bundle_json_is_canonical(tmp_path: Path) -> None:
    text = (built(tmp_path) / "bundle.json").read_text("utf-8")
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def test_every_key_is_needed_and_no_other_is_allowed(data: dict[str, Any]) -> None:
    seen = 0
    for path, mapping in _mappings(data, ()):
        if path in OPEN or any(path[: len(known)] == known for known in OPEN):
            continue
        if path and path[-1] not in NAMED:
            assert problems(_changed(data, path, {**mapping, "surplus": {}})), path
        optional = path[-1:] in (("estimated",), ("synthesised",)) and path[0] == "resources"
        for key in () if optional or (path and path[-1] in NAMED) else mapping:
            assert problems(_changed(data, path, {k: v for k, v in mapping.items() if k != key})), (*path, key)
            seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), 1),
        (("driver", "bitfile"), "../x.bit"),
        (("driver", "bitfile"), "/x.bit"),
        (("golden", "file"), "a\\b"),
        (("files", "a/../../b"), {"sha256": "0" * 64, "bytes": 1}),
        (("files", "README.md", "sha256"), "0"),
        (("contract", "head"), {"kind": "pickle", "file": "x"}),
        (("contract", "head"), {"kind": "numpy"}),
        (("contract", "hardware"), {"kind": "missing"}),
        (("attached",), {"to": "0"}),
        (("attached",), {}),
        (("contract", "output", "meaning"), "luck"),
        (("target", "clock", "requested_mhz"), 0),
        (("accuracy", "final", "value"), "inf"),
    ],
)
def test_what_is_refused(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    assert problems(_changed(data, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("accuracy",), None),
        (("performance", "estimated"), None),
        (("contract", "head"), {"kind": "none"}),
        (("contract", "hardware"), {"kind": "missing", "why": "Shuffle has no form in ONNX"}),
        (("attached",), {"to": "0" * 64}),
        (("target", "clock", "slack_ns"), -0.25),
        (("contract", "input", "scale"), [[0.5, 1.0]]),
        (("recipe", "resolved", "x"), {"any": [1]}),
        (("missing",), []),
    ],
)
def test_what_is_allowed(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    assert problems(_changed(data, path, value)) == []


def _changed(data: dict[str, Any], path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    result = copy.deepcopy(data)
    place: Any = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return result


def _mappings(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _mappings(item, (*path, key))
