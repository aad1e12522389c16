from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from finnyaml.recipe.schema import schema
from tests.cli.conftest import Command
from tests.project import ROOT


def test_the_schema_is_printed(finnyaml: Command) -> None:
    assert finnyaml("schema").data == schema()


def test_the_schema_is_written(finnyaml: Command, tmp_path: Path) -> None:
    answer = finnyaml("schema", "--write", tmp_path / "recipe.schema.json")
    assert json.loads((tmp_path / "recipe.schema.json").read_text()) == schema()
    assert "# yaml-language-server: $schema=recipe.schema.json" in answer.out
    assert finnyaml("schema", "--write", tmp_path / "no" / "a.json").code == 1


def test_the_help_says_how_editors_use_it(finnyaml: Command) -> None:
    assert "# yaml-language-server: $schema=" in finnyaml("schema", "--help").out


@pytest.fixture
def installed(finnyaml: Command) -> Any:
    """The schema with the names of the installed FINN."""
    whole = finnyaml("schema", "--installed").data
    Draft202012Validator.check_schema(whole)
    return whole


def test_names_of_the_installed_finn_are_offered(installed: Any) -> None:
    parts = installed["$defs"]
    steps = parts["step_name"]["anyOf"][0]["enum"]
    assert {"streamline", "step_streamline", "convert_to_hls", "represent_padding", "rtl.stitch"} <= set(steps)
    assert "hw_codegen" in parts["flow_name"]["enum"]
    assert "Pynq-Z2" in parts["target"]["properties"]["board"]["anyOf"][0]["enum"]
    assert "stitched_ip" in parts["outputs"]["items"]["anyOf"][0]["enum"]
    assert parts["finn"]["properties"]["standalone_thresholds"]["anyOf"][0] == {"type": "boolean"}
    assert "target_fps" not in parts["finn"]["properties"]


def test_it_takes_every_recipe_here(installed: Any) -> None:
    validator = Draft202012Validator(installed)
    recipes = sorted(ROOT.glob("recipes/*/recipe.yaml"))
    assert len(recipes) >= 5
    for recipe in recipes:
        assert [error.message for error in validator.iter_errors(yaml.safe_load(recipe.read_text()))] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": "hw_codgen"},
        {"steps": ["streamlin"]},
        {"steps": [{"uses": "streamlin"}]},
        {"target": {"board": "Pynq-Z9"}},
        {"target": {"shell": "vivado"}},
        {"outputs": ["estimates"]},
        {"finn": {"standalone_threshold": True}},
        {"finn": {"standalone_thresholds": 1}},
        {"lint": {"ignore": ["no-foldin"]}},
    ],
    ids=json.dumps,
)
def test_it_refuses_what_the_installed_finn_does_not_have(installed: Any, wrong: dict[str, Any]) -> None:
    recipe = {"model": {"onnx": "a.onnx"}, "steps": ["mine.py:step", "streamline"]}
    assert list(Draft202012Validator(installed).iter_errors(recipe)) == []
    assert list(Draft202012Validator(schema()).iter_errors(recipe | wrong)) == []
    assert list(Draft202012Validator(installed).iter_errors(recipe | wrong))
