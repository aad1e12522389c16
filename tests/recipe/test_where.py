"""`--where`: variants by what they say."""

from __future__ import annotations

import pytest

from finnyaml.errors import RecipeError
from finnyaml.recipe.load import load_recipes
from finnyaml.recipe.matrix import Wanted
from tests.recipe.folder import MINIMAL, Folder

TEXT = """
matrix: {fps: [100, 1000, 2000], board: [ZCU102, Pynq-Z1]}
folding: {target_fps: "${fps}"}
target: {board: "${board}"}
when: [{if: {fps: 2000}, then: {target: {clock_ns: 5.0}}}]
"""


def names(folder: Folder, *where: str) -> list[str | None]:
    found = load_recipes(folder.write("recipe.yaml", MINIMAL + TEXT), (), {}, wanted=Wanted(where=where))
    return [recipe.variant for recipe, _ in found]


@pytest.mark.parametrize(
    ("where", "fitting"),
    [
        ("folding.target_fps>1000", ["2000-ZCU102", "2000-Pynq-Z1"]),
        ("folding.target_fps >= 1000", ["1000-ZCU102", "1000-Pynq-Z1", "2000-ZCU102", "2000-Pynq-Z1"]),
        ("fps<1e3", ["100-ZCU102", "100-Pynq-Z1"]),
        ("vars.fps<=100", ["100-ZCU102", "100-Pynq-Z1"]),
        ("target.board==Pynq-Z1", ["100-Pynq-Z1", "1000-Pynq-Z1", "2000-Pynq-Z1"]),
        ("board!='Pynq-Z1'", ["100-ZCU102", "1000-ZCU102", "2000-ZCU102"]),
        # No condition holds of a value that is not there.
        ("target.clock_ns!=4", ["2000-ZCU102", "2000-Pynq-Z1"]),
        ("target.clock_ns=5", ["2000-ZCU102", "2000-Pynq-Z1"]),
    ],
)
def test_conditions(folder: Folder, where: str, fitting: list[str]) -> None:
    assert names(folder, where) == fitting


def test_all_have_to_hold(folder: Folder) -> None:
    assert names(folder, "fps>100", "fps<2000", "board=ZCU102") == ["1000-ZCU102"]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("folding.target_fsp>1", ["no variant has 'folding.target_fsp'", "'folding.target_fps'"]),
        ("folding.target_fps", ["path>value", "in quotes"]),
        ("board>3", ["the text 'ZCU102' has no order"]),
        ("fps>x", ["the text 'x' has no order"]),
        ("fps>5000", ["no variant has 'fps>5000'"]),
        ("objectives.fps=1", ["no variant has 'objectives.fps'"]),
    ],
)
def test_errors(folder: Folder, where: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as refused:
        names(folder, where)
    (problem,) = refused.value.problems
    assert all(word in f"{problem.message} | {problem.hint}" for word in words), problem


def test_a_recipe_without_a_matrix_has_no_variants(folder: Folder) -> None:
    with pytest.raises(RecipeError, match="no `matrix:`"):
        load_recipes(folder.write("recipe.yaml", MINIMAL), (), {}, wanted=Wanted(where=("name=x",)))
