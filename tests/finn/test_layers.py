"""Layers that were made once are laid in, and are what FINN would have made: with the real FINN."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.project import Project

ONE_LAYER = ("--set", "folding.nodes={MVAU_hls_1: {PE: 4}}")


def layers(project: Project, step: str = "hw_codegen") -> dict[str, Any]:
    """How many layers the last run of a step found and made."""
    tasks = json.loads((project.folder / "build/.finnyaml/last.json").read_text())["tasks"]
    return tasks[step]["metrics"]["layers"]  # type: ignore[no-any-return]


def test_the_first_build_makes_all_layers(built_digits: Project) -> None:
    assert layers(built_digits)["there"] == 0
    assert layers(built_digits)["made"] > 10


@pytest.mark.long
def test_what_was_laid_in_is_what_finn_makes(digits: Project, built_digits: Project) -> None:
    """Of a network in which one layer is folded in another way; FINN then makes all of it once more, for comparison."""
    digits.build(*ONE_LAYER)
    assert layers(digits)["there"] > layers(digits)["made"] > 0
    again = digits.run("build", "recipe.yaml", "--check", "hw_codegen", *ONE_LAYER)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 layer" not in again.stdout
