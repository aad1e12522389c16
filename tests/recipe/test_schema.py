"""The schema itself, for editors and for finnyaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from finnyaml.recipe.schema import schema, schema_path, strict_schema
from finnyaml.recipe.validate import VALIDATOR


def test_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(schema())
    Draft202012Validator.check_schema(strict_schema())


def test_is_found_in_a_wheel_too(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "finnyaml"
    (package / "recipe").mkdir(parents=True)
    (package / "schemas").mkdir()
    (package / "schemas/recipe.schema.json").write_text("{}")
    monkeypatch.setattr("finnyaml.recipe.schema.__file__", str(package / "recipe/schema.py"))
    assert schema_path() == package / "schemas/recipe.schema.json"
    (package / "schemas/recipe.schema.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"recipe\.schema\.json"):
        schema_path()


def keys(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every documented key: what stands in `properties` of an object, but not in its conditions."""
    if isinstance(part, list):
        for index, item in enumerate(part):
            yield from keys(item, f"{path}/{index}")
    elif isinstance(part, dict):
        for name, value in part.items():
            if name == "properties" and part.get("type") == "object":
                yield from ((f"{path}/{key}", found) for key, found in value.items())
            yield from keys(value, f"{path}/{name}")


@pytest.mark.parametrize(("path", "found"), [pytest.param(*item, id=item[0]) for item in keys(schema())])
def test_every_key_is_documented(path: str, found: dict[str, Any]) -> None:
    assert found.get("title")
    assert found.get("description", "").endswith(".") or "${." in found["description"]
    assert "examples" in found or "default" in found or "enum" in found
    assert not set("*#") & set(found["description"]), "no markdown"


@pytest.mark.parametrize(("path", "found"), [pytest.param(*item, id=item[0]) for item in keys(schema())])
def test_examples_and_defaults_fit(path: str, found: dict[str, Any]) -> None:
    for value in [*found.get("examples", ()), *([found["default"]] if "default" in found else [])]:
        assert VALIDATOR({**found, "$defs": schema()["$defs"]}).is_valid(value)


def test_objects_are_closed() -> None:
    def objects(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict):
            if part.get("type") == "object" and "properties" in part:
                yield part
            part = list(part.values())
        if isinstance(part, list):
            for item in part:
                yield from objects(item)

    found = list(objects(schema()))
    assert len(found) > 10
    # Nodes and FIFOs take any attribute of FINN; everything else knows its keys.
    open_ones = [item for item in found if item["additionalProperties"] is not False]
    assert {frozenset(item["properties"]) & {"PE", "depth"} for item in open_ones} == {
        frozenset({"PE"}),
        frozenset({"depth"}),
    }


@pytest.mark.parametrize(
    ("document", "editor", "strict"),
    [
        ({"model": {"onnx": "m"}, "steps": "f"}, True, True),
        ({"model": {"onnx": "m"}, "steps": "f", "folding": {"target_fps": "${fps}"}}, True, False),
        ({"extends": "b.yaml", "folding": {"target_fps": None}}, True, True),
        ({"extends": "b.yaml", "folding": {"target_fps": "fast"}}, False, False),
        ({"extends": "b.yaml", "postprocess": None}, True, False),
        ({"extends": "b.yaml", "model": {"weights": "w"}}, True, True),
        ({"model": {"weights": "w"}, "steps": "f"}, False, False),
        ({"model": {"onnx": "m"}}, False, False),
        ({"model": {"onnx": "m"}, "steps": [{"uses": "c.py:f", "with": {"any": 1}}]}, True, True),
        ({"model": {"onnx": "m"}, "steps": [{"uses": "streamline", "with": {"any": 1}}]}, False, False),
        ({"model": {"onnx": "m"}, "steps": "f", "folding": {"target_fps": 2.0}}, False, False),
        ({"model": {"onnx": "m"}, "steps": "f", "fifo": {"auto": 1}}, False, False),
        ({"model": {"onnx": "m"}, "steps": "f", "verify": {"data": "${data}", "points": "${p}"}}, True, False),
        ({"extends": "b.yaml", "verify": {"data": {"npz": None, "inputs": "x.npy"}}}, True, False),
        ({"extends": "b.yaml", "verify": {"data": {"limit": 3}, "points": ["a", {"after": "b"}]}}, True, True),
        ({"model": {"onnx": "m"}, "steps": "f", "verify": {"data": {"limit": 3}}}, False, False),
        ({"model": {"onnx": "m"}, "steps": "f", "verify": {"metric": "mse"}}, False, False),
    ],
)
def test_editors_know_variables(document: dict[str, Any], editor: bool, strict: bool) -> None:
    # null in an extending recipe is gone once it is merged, so what the strict form says of it does not matter.
    assert VALIDATOR(schema()).is_valid(document) is editor
    if "target_fps" not in document.get("folding", {}) or document["folding"]["target_fps"] is not None:
        assert VALIDATOR(strict_schema()).is_valid(document) is strict
