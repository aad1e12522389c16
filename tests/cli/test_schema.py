from __future__ import annotations

import json
from pathlib import Path

from finnyaml.recipe.schema import schema
from tests.cli.conftest import Command


def test_the_schema_is_printed(finnyaml: Command) -> None:
    assert finnyaml("schema").data == schema()


def test_the_schema_is_written(finnyaml: Command, tmp_path: Path) -> None:
    answer = finnyaml("schema", "--write", tmp_path / "recipe.schema.json")
    assert json.loads((tmp_path / "recipe.schema.json").read_text()) == schema()
    assert "# yaml-language-server: $schema=recipe.schema.json" in answer.out
    assert finnyaml("schema", "--write", tmp_path / "no" / "a.json").code == 1


def test_the_help_says_how_editors_use_it(finnyaml: Command) -> None:
    assert "# yaml-language-server: $schema=" in finnyaml("schema", "--help").out
