"""`objectives` and `search`, as far as they can be checked without FINN; which variants a search has."""

from __future__ import annotations

import json

import pytest

from finnyaml.errors import RecipeError
from finnyaml.recipe.load import load_recipes
from finnyaml.recipe.matrix import Wanted
from finnyaml.recipe.model import Objective, Recipe, Search
from tests.recipe.folder import MINIMAL, Folder

LARGE = "matrix: {a: &n [1, 2, 3, 4, 5, 6, 7, 8], b: *n, c: *n, d: *n, e: *n}\n"
SEARCH = "objectives: {fps: maximize, lut: minimize}\nsearch: {trials: 5, seed: 3}\n"


def loaded(folder: Folder, text: str, wanted: Wanted | None = None) -> list[Recipe]:
    path = folder.write("recipe.yaml", MINIMAL + text)
    return [recipe for recipe, _ in load_recipes(path, (), {}, wanted=wanted or Wanted())]


def test_what_they_say(folder: Folder) -> None:
    text = "objectives: {fps: maximize, lut: {goal: minimize, max: 3000, from: yosys}}\n"
    (recipe,) = loaded(folder, text)
    assert recipe.objectives == (Objective("fps", "maximize"), Objective("lut", "minimize", None, 3000, "yosys"))
    assert recipe.search is None and "objectives" not in recipe.resolved


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("objectives: {▶luts: minimize}\n", ["unknown key 'luts'", "did you mean 'lut'"]),
        ("objectives: {lut: ▶least}\n", ["objectives.lut"]),
        ("objectives: {lut: {goal: minimize, from: ▶rtlsim}}\n", ["does not come from 'rtlsim'", "yosys"]),
        ("objectives: {lut: {goal: minimize, min: ▶5, max: 4}}\n", ["at least 5 and at most 4"]),
        ("objectives: {accuracy: ▶maximize}\n", ["nothing measures accuracy", "verify"]),
        ("objectives: {fps: maximize}\nsearch: ▶{trials: 3}\n", ["nothing to search"]),
        ("matrix: {a: [1, 2]}\nsearch: ▶{trials: 3}\n", ["a search needs objectives"]),
        (f"{LARGE}objectives: {{fps: maximize}}\nsearch: {{trials: 3, objectives: [▶lut]}}\n", ["'lut' is not among"]),
        (f"{LARGE}{SEARCH}when: [{{if: {{a: 1}}, then: {{▶search: {{trials: 2}}}}}}]\n", ["cannot be laid over"]),
        (f"{LARGE.replace('}', ', include: [{▶a: 9}]}')}{SEARCH}", ["fits no combination", "into the list"]),
    ],
)
def test_errors(folder: Folder, text: str, words: list[str]) -> None:
    before, _, after = text.partition("▶")
    with pytest.raises(RecipeError) as refused:
        loaded(folder, before + after)
    (problem,) = refused.value.problems
    lines = (MINIMAL + before).split("\n")
    assert problem.where and (problem.where.line, problem.where.column) == (len(lines), len(lines[-1]) + 1)
    assert all(word in f"{problem.message} | {problem.hint}" for word in words), problem


def test_a_search_has_the_variants_that_it_tried(folder: Folder) -> None:
    text = f"{LARGE.replace('}', ', exclude: [{a: 1}], include: [{a: 2, f: 6}]}')}{SEARCH}"
    (first,) = loaded(folder, text)
    assert first.search == Search(5, 3, ("fps", "lut"))
    assert first.variant == "2-2-2-2-2" and first.lists["a"] == (1, 2, 3, 4, 5, 6, 7, 8)

    one, other, excluded, gone = (dict.fromkeys("abcde", value) for value in (2, 3, 1, 9))
    trials = [{"values": values} for values in (one, other, excluded, gone)]
    folder.write("build/search.json", json.dumps({"trials": trials}))
    found = loaded(folder, text)
    assert [recipe.values for recipe in found] == [one, other]
    assert [recipe.resolved["vars"].get("f") for recipe in found] == [6, None]
    assert [recipe.variant for recipe in loaded(folder, text, Wanted(("3-*",)))] == ["3-3-3-3-3"]
    assert [recipe.values for recipe in loaded(folder, text, Wanted(tried=(other,)))] == [other]
    folder.write("build/search.json", "{")
    assert [recipe.variant for recipe in loaded(folder, text)] == ["2-2-2-2-2"]
