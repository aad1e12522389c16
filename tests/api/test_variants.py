"""The variants of a recipe from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

import finnyaml

Load = Callable[..., finnyaml.Recipe]
Edit = Callable[[str, str], None]


def test_variants_are_recipes_by_name(load: Load, edit: Edit) -> None:
    edit("folding: {target_fps: 100}", "matrix: {fps: [100, 200, 300]}\nfolding: {target_fps: '${fps}'}")
    recipe = load()
    variants = recipe.variants()
    assert [*variants] == ["100", "200", "300"] and [*recipe.variants("[12]*")] == ["100", "200"]
    assert variants["200"].variant == "200" and "400" not in variants
    with pytest.raises(finnyaml.RecipeError, match="has 3 variants"):
        recipe.plan()

    plans = variants.plan()
    assert [names for task, names in plans.rows() if task == "report"] == [("100",), ("200",), ("300",)]
    assert [names for task, names in plans.rows() if task == "scale"] == [("100", "200", "300")]
    assert not plans["200"].up_to_date and plans["100"].up_to_date
    assert plans.exit_code is finnyaml.ExitCode.OK and [*plans.to_json()["variants"]] == [*variants]

    told: list[Mapping[str, Any]] = []
    results = recipe.variants("[12]*").build(progress=told.append)
    assert [result.ok for result in results.values()] == [True, True]
    assert [row["step"] for row in results["200"].rows() if row["state"] == "ran"] == ["report"]
    assert {event["variant"] for event in told} == {"100", "200"}
    assert results["200"].workspace == recipe.path.parent / "build/200"
    assert results["200"].files("report")["report/fps.txt"].read_text() == "200\n"
    assert finnyaml.load(recipe.path, store=recipe.store, variant="100").plan().up_to_date


def test_a_recipe_without_a_matrix_is_its_only_variant(load: Load) -> None:
    variants = load().variants()
    assert [*variants] == [""] and variants[""].variant is None
    assert str(variants.plan()) == str(load().plan())
