"""What a search asks for: other variants each time, the same for the same seed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from finnyaml.api.search import Suggestions
from finnyaml.api.table import Row
from finnyaml.errors import ExitCode, ToolMissing
from finnyaml.recipe.model import Objective

OBJECTIVES = (Objective("fps", "maximize", min=20), Objective("lut", "minimize"))
LISTS = {"a": [1, 2, 3, 4, 5, 6], "b": ["x", True, 1, 1.5, [1, 2], {"c": None}]}


def rows(asked: Sequence[Mapping[str, Any]]) -> list[Row]:
    """What the variants gave; one fails, and one is excluded."""
    found = []
    for values in asked:
        fps = None if values["a"] == 3 and values["b"] == "x" else 10.0 * values["a"]
        if values != {"a": 2, "b": "x"}:
            found.append(Row("", values, {"fps": fps, "lut": 5.0 * values["a"] + len(str(values["b"]))}, ()))
    return found


def trials(count: int, seed: int, at_once: int = 4) -> list[Mapping[str, Any]]:
    suggestions, found = Suggestions(LISTS, OBJECTIVES, seed), list[Mapping[str, Any]]()
    while len(found) < count and (asked := suggestions.ask(min(at_once, count - len(found)))):
        found += asked
        suggestions.tell(rows(found))
    return found


def test_no_variant_is_tried_twice_and_a_small_space_is_tried_whole() -> None:
    found = trials(100, 0)
    assert len(found) == 36 == len({str(values) for values in found})


def test_the_same_seed_gives_the_same_trials() -> None:
    assert trials(14, 7) == trials(14, 7) != trials(14, 8)
    assert trials(22, 7)[:14] == trials(14, 7)  # a search that is to have more trials goes on


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match="optuna") as refused:
        Suggestions(LISTS, OBJECTIVES, 0)
    assert refused.value.hint == "pip install 'finnyaml[search]'" and refused.value.exit_code is ExitCode.TOOL_MISSING
