"""`matrix` and `when`: variants of one recipe."""

from __future__ import annotations

from typing import Any

import pytest

from finnyaml.errors import RecipeError
from finnyaml.recipe.load import load_recipe, load_recipes
from finnyaml.recipe.matrix import Wanted
from finnyaml.recipe.model import Recipe
from tests.recipe.folder import MINIMAL, Folder


def variants(folder: Folder, text: str, *wanted: str, **environ: str) -> dict[str, Recipe]:
    found = load_recipes(folder.write("recipe.yaml", MINIMAL + text), (), environ, wanted=Wanted(tuple(wanted)))
    return {str(recipe.variant): recipe for recipe, _ in found}


def values(folder: Folder, text: str) -> list[dict[str, Any]]:
    return [dict(recipe.resolved["vars"]) for recipe in variants(folder, text).values()]


def test_the_example_of_github_actions(folder: Folder) -> None:
    """From the documentation of `include` there, with the result that it gives."""
    matrix = """
matrix:
  fruit: [apple, pear]
  animal: [cat, dog]
  include:
    - color: green
    - {color: pink, animal: cat}
    - {fruit: apple, shape: circle}
    - fruit: banana
    - {fruit: banana, animal: cat}
"""
    assert values(folder, matrix) == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]
    assert [*variants(folder, matrix)] == ["apple-cat", "apple-dog", "pear-cat", "pear-dog", "banana", "banana-cat"]


def test_exclude_comes_before_include_and_fits_in_part(folder: Folder) -> None:
    matrix = "matrix: {a: [1, 2], b: [x, y], exclude: [{a: 1}, {a: 2, b: y}], include: [{a: 1, b: x}]}\n"
    assert values(folder, matrix) == [{"a": 2, "b": "x"}, {"a": 1, "b": "x"}]


def test_only_include(folder: Folder) -> None:
    assert values(folder, "matrix: {include: [{a: 1}, {a: 2}]}\n") == [{"a": 1}, {"a": 2}]


def test_a_value_keeps_its_type(folder: Folder) -> None:
    matrix = (
        "matrix: {a: [1, true, '1'], exclude: [{a: true}], name: 'x${a}-${b}', include: [{b: q}, {a: '1', b: z}]}\n"
    )
    assert [recipe.resolved["vars"]["a"] for recipe in variants(folder, matrix).values()] == [1, "1"]


def test_each_variant_has_a_name_a_workspace_and_settings_of_its_own(folder: Folder) -> None:
    text = """
name: net
output: out
vars: {fps: 5, file: weights.pth}
matrix:
  fps: [100, 200]
  data: [{n: 1}]
  name: f${fps}
  include: [{fps: 300, data: {n: 2}, name: big one}]
folding: {target_fps: "${fps}"}
targets: {all: estimate_reports}
"""
    found = variants(folder, text)
    assert [*found] == ["f100", "f200", "big-one"]
    assert [recipe.name for recipe in found.values()] == ["net-f100", "net-f200", "net-big-one"]
    assert [recipe.workspace for recipe in found.values()] == [folder.path / "out" / name for name in found]
    assert [recipe.settings.folding["target_fps"] for recipe in found.values()] == [100, 200, 300]
    big = found["big-one"]
    assert big.output == folder.path / "out"
    assert big.resolved["vars"] == {"fps": 300, "file": "weights.pth", "data": {"n": 2}}
    assert "matrix" not in big.resolved


def test_when_lays_over_what_it_holds_for(folder: Folder) -> None:
    text = """
vars: {shell: none}
matrix: {board: [A, B, C]}
target: {clock_ns: 10.0, shell: "${shell}"}
folding: {target_fps: 5}
when:
  - {if: {board: [A, B]}, then: {vars: {shell: zynq}, target: {clock_ns: 5.0}}}
  - {if: {shell: zynq, board: B}, then: {folding: null, target: {part: "x-${board}"}}}
"""
    found = variants(folder, text)
    assert [dict(recipe.settings.target) for recipe in found.values()] == [
        {"clock_ns": 5.0, "shell": "zynq"},
        {"clock_ns": 5.0, "shell": "zynq", "part": "x-B"},
        {"clock_ns": 10.0, "shell": "none"},
    ]
    assert ["target_fps" in recipe.settings.folding for recipe in found.values()] == [True, False, True]
    assert all("when" not in recipe.resolved for recipe in found.values())


def test_when_needs_no_matrix(folder: Folder) -> None:
    text = "vars: {fast: false}\nwhen: [{if: {fast: true}, then: {folding: {target_fps: 9}}}]\n"
    assert folder.load(MINIMAL + text)[1] == ()
    assert folder.recipe(MINIMAL + text, ["vars.fast=true"]).settings.folding == {"target_fps": 9}


def test_what_is_extended_brings_its_matrix(folder: Folder) -> None:
    folder.write("base.yaml", MINIMAL + "matrix: {a: [1, 2], b: [3]}\nfolding: {target_fps: '${a}'}\n")
    path = folder.write("recipe.yaml", "extends: base.yaml\nmatrix: {a: [7]}\n")
    ((recipe, _),) = load_recipes(path, environ={})
    assert (recipe.variant, recipe.settings.folding["target_fps"]) == ("7-3", 7)


def test_values_may_be_variables(folder: Folder) -> None:
    text = "env: [ROOT]\nmatrix: {a: ['${env.ROOT}', y]}\nfolding: {target_fps: 3}\n"
    assert [*variants(folder, text, ROOT="x/y z")] == ["x-y-z", "y"]


def test_variants_are_chosen_by_patterns(folder: Folder) -> None:
    text = "matrix: {net: [cnv, tfc], bits: [1, 2]}\n"
    assert [*variants(folder, text, "cnv-*", "tfc-2")] == ["cnv-1", "cnv-2", "tfc-2"]
    with pytest.raises(RecipeError, match="there is no such variant") as refused:
        variants(folder, text, "cmv-1")
    assert "cnv-1" in str(refused.value.hint)
    with pytest.raises(RecipeError, match="no `matrix:`"):
        variants(folder, "", "x")


def test_one_has_to_be_named_where_one_is_meant(folder: Folder) -> None:
    path = folder.write("recipe.yaml", MINIMAL + "matrix: {a: [1, 2]}\n")
    with pytest.raises(RecipeError, match="has 2 variants") as refused:
        load_recipe(path, (), {})
    assert refused.value.hint == "name it: `--variant 1`"
    assert load_recipe(path, (), {}, variant="2")[0].variant == "2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("matrix: {a: [1], exclude: [{▶c: 1}]}\n", ["the matrix has no list 'c'"]),
        ("matrix: ▶{a: [1], exclude: [{a: 1}]}\n", ["the matrix has no variants"]),
        ("matrix: {a: ▶[]}\n", ["matrix.a must not be empty"]),
        ("matrix: {a: ▶x}\n", ["matrix.a must be a list"]),
        ("matrix: {a: ▶x}\nfolding: {target_fps: '${a}'}\n", ["matrix.a must be a list"]),
        ("matrix: ▶{a: [1], exclude: [{a: 1}]}\nfolding: {target_fps: '${a}'}\n", ["the matrix has no variants"]),
        ("matrix: {▶1a: [1]}\n", ["'1a' cannot be a name"]),
        ("matrix: ▶{a: [x y, x-y]}\n", ["two variants are called 'x-y'", "`name:`"]),
        ("matrix: ▶{a: ['..']}\n", ["a variant cannot be called '..'"]),
        ("matrix: {a: [▶{b: 1}]}\n", ["cannot be part of the name", "${board}"]),
        ("matrix: {a: [1], name: ▶'${b}'}\n", ["there is no variable 'b'"]),
        ("matrix: {a: [1, 2]}\nwhen: [{if: {a: 2}, then: {folding: {▶fps: 1}}}]\n", ["variant 2: unknown key 'fps'"]),
        ("matrix: {a: [1]}\nwhen: [{if: {▶aa: 2}, then: {steps: x}}]\n", ["no variable 'aa'", "did you mean 'a'"]),
        ("matrix: {a: [1]}\nwhen: [{if: {a: 1}, then: {▶output: x}}]\n", ["`output` cannot be laid over"]),
        ("matrix: ▶{a: &n [1, 2, 3, 4, 5, 6], b: *n, c: *n, d: *n}\n", ["more than 1024", "search: {trials: 100}"]),
    ],
)
def test_errors(folder: Folder, text: str, words: list[str]) -> None:
    before, _, after = text.partition("▶")
    with pytest.raises(RecipeError) as refused:
        variants(folder, before + after)
    (problem,) = refused.value.problems
    line = (MINIMAL + before).split("\n")
    assert problem.where and (problem.where.line, problem.where.column) == (len(line), len(line[-1]) + 1)
    assert all(word in f"{problem.message} | {problem.hint}" for word in words), problem


def test_what_does_nothing_is_said(folder: Folder) -> None:
    text = "matrix: {a: [1, 2], exclude: [{a: 3}]}\nwhen: [{if: {a: [4, 5]}, then: {steps: x}}]\n"
    found = load_recipes(folder.write("recipe.yaml", MINIMAL + text), (), {})
    told = [problem.message for problem in found[0][1]]
    assert told == [
        "`exclude` leaves out nothing: no combination has these values",
        "this holds for no variant: none has a = 4 or 5",
    ]


def test_an_option_cannot_set_what_the_matrix_sets(folder: Folder) -> None:
    path = folder.write("recipe.yaml", MINIMAL + "matrix: {a: [1]}\nfolding: {target_fps: '${a}'}\n")
    with pytest.raises(RecipeError, match="`matrix` gives `a` its values"):
        load_recipes(path, ["vars.a=2"], {})
    ((recipe, _),) = load_recipes(path, ["matrix.a=[2]"], {})
    assert recipe.settings.folding["target_fps"] == 2
