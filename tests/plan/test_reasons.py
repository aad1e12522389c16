"""Why a task has to run, in words: the entry that differs, and no more of its value than one can read."""

from __future__ import annotations

import pytest

from finnyaml.plan.reasons import LONGEST, Reason, of_parts


def told(old: object, new: object) -> list[str]:
    before, now = (
        {"step": None, "implementation": {}, "params": {"recipe": value}, "inputs": []} for value in (old, new)
    )
    return [str(reason) for reason in of_parts(before, now, ())]


def test_of_nested_values_the_entry_that_differs_is_named() -> None:
    assert told({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == ["parameter recipe.a.c: 2 → 3"]
    assert told({"a": 1}, {"a": 1, "b": {"c": 2}}) == ['parameter recipe.b: nothing → {"c": 2}']


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason("config", "target_fps", None, 5), "target_fps: nothing → 5"),
        (Reason("config", "board", "a", None), 'board: "a" → nothing'),
        (Reason("config", "fifo_config_file", "@inputs/a.json", "@inputs/b.json"), "fifo_config_file: a file → a file"),
        (Reason("params", "by", True, "wörd"), 'parameter by: true → "wörd"'),
        (Reason("implementation", "finn", None, "1.6"), "finn changed: nothing → 1.6"),
        (Reason("tool", "vivado", "2022.2", None), "vivado changed: 2022.2 → nothing"),
        (Reason("env", "FINN_X", None, ""), '$FINN_X: nothing → ""'),
        (
            Reason("environment", "", "0", "1"),
            "one of the environment's variables changed: the step looks at all",
        ),
        (
            Reason("environment", "FINN_", "0", "1"),
            "one of the variables FINN_* changed: FINN looks at all",
        ),
        (
            Reason("module", "@recipe/lib/helper", None, ".py"),
            "lib/helper.py appeared: `import` finds another module",
        ),
        (
            Reason("module", "/x/helper", ".py", "/__init__.py"),
            "/x/helper/__init__.py appeared: `import` finds another module",
        ),
        (Reason("module", "/x/helper", ".py", None), "/x/helper.py is gone: `import` finds another module"),
        (Reason("package", "scipy", "1.0", "2.0"), "scipy changed: 1.0 → 2.0"),
        (Reason("package", "scipy", "1.0", None), "scipy changed: 1.0 → nothing"),
        (Reason("package", "@recipe/env/made_up", "0", "1"), "the package env/made_up changed"),
        (Reason("input", "streamline"), "the model from streamline changed"),
        (Reason("file", "@recipe/own.py", "0", "1"), "own.py changed"),
        (Reason("file", "@recipe/own.py", "0", None), "own.py is gone"),
        (Reason("dir", "/data/images", None, "1"), "/data/images appeared"),
        (Reason("tree", "out/a.json", "0", "1"), "out/a.json changed"),
        (Reason("file", "@inputs/folding.json", "0", "1"), "the recipe's folding changed"),
        (Reason("new", "a"), "never built with this store"),
        (Reason("forgotten", "a"), "the store no longer has its result"),
        (Reason("damaged", "out/a.json"), "its stored result is damaged (out/a.json)"),
        (Reason("forced", "a"), "forced with --force"),
        (Reason("step", "step_b"), "it runs another step: step_b"),
        (Reason("pinned", "build/sim"), "build/sim was made for a store at another path"),
        (Reason("waits", "a"), "a runs first"),
        (Reason("blocked", "a"), "a cannot run here"),
    ],
    ids=str,
)
def test_each_reason_in_words(reason: Reason, text: str) -> None:
    assert str(reason) == text


def test_parts_that_only_one_side_has_count() -> None:
    before = {"step": ["finn", "a"], "params": {"x": 1, "y": 2}, "inputs": ["0"]}
    now = {
        "step": ["finn", "b"],
        "implementation": {"finn": "1"},
        "params": {"y": 2, "z": 3},
        "inputs": ["0", "1", "2"],
    }
    assert [str(reason) for reason in of_parts(before, now, ("m", "n", "o"))] == [
        "it runs another step: b",
        "finn changed: nothing → 1",
        "parameter x: 1 → nothing",
        "parameter z: nothing → 3",
        "the model from n changed",
        "the model from o changed",
    ]
    assert of_parts(now, now, ("m", "n", "o")) == []


def test_long_values_are_cut() -> None:
    (reason,) = told("x" * 500, "short")
    assert told("x" * (LONGEST - 2), None) == [f'parameter recipe: "{"x" * (LONGEST - 2)}" → nothing']
    assert reason.startswith('parameter recipe: "' + "x" * (LONGEST - 4) + "... → ")
    assert len(reason) < 2 * LONGEST and '..." → "short"' not in reason and "... → " in reason


def test_of_code_that_a_key_did_not_cover_before_no_room_is_named() -> None:
    parts = {"step": None, "params": {}, "inputs": []}
    before = {**parts, "implementation": {"finnyaml/verify": "0", "finnyaml/lint": "1"}}
    now = {**parts, "implementation": {"finnyaml/verify": "2", "finnyaml/__init__": "3", "finnyaml/text": "4"}}
    changed = ["finnyaml's own code for this kind of task changed", "finnyaml/verify changed: 0 → 2"]
    assert [str(reason) for reason in of_parts(before, now, ())] == changed
