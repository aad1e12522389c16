"""Why a task has to run, in words: the entry that differs, and no more of its value than one can read."""

from __future__ import annotations

from finnyaml.plan.reasons import LONGEST, of_parts


def told(old: object, new: object) -> list[str]:
    before, now = (
        {"step": None, "implementation": {}, "params": {"recipe": value}, "inputs": []} for value in (old, new)
    )
    return [str(reason) for reason in of_parts(before, now, ())]


def test_of_nested_values_the_entry_that_differs_is_named() -> None:
    assert told({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == ["parameter recipe.a.c: 2 → 3"]
    assert told({"a": 1}, {"a": 1, "b": {"c": 2}}) == ['parameter recipe.b: nothing → {"c": 2}']


def test_long_values_are_cut() -> None:
    (reason,) = told("x" * 500, "short")
    assert len(reason) < 2 * LONGEST and '..." → "short"' not in reason and "... → " in reason
