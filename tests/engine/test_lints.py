"""What is told of findings: not what a later stage has settled."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from finnyaml.engine import lints
from finnyaml.engine.lints import _first_of_each
from finnyaml.lint.catalogue import Finding

CHAIN = ("tidy_up", "represent_bipolar", "streamline", "convert_to_hw")


class Plan:
    """A chain of tasks."""

    tasks: ClassVar = {name: SimpleNamespace(uses=name) for name in CHAIN}

    def ancestors(self, names: Any) -> set[str]:
        return set(CHAIN[: CHAIN.index(names[0]) + 1])

    def descendants(self, names: Any) -> set[str]:
        return set(CHAIN[CHAIN.index(names[0]) :])


def told(found: dict[str, list[Finding]]) -> list[tuple[str, str]]:
    plan: Any = Plan()
    return [(task, item.rule) for task, item in _first_of_each(plan, found, ())]


def of(rule: str, **more: Any) -> Finding:
    return Finding(rule, "error", "m", "n", **more)


def test_a_finding_is_withdrawn_where_a_later_stage_does_not_have_it() -> None:
    rule = "float-in-dataflow"
    assert told({"tidy_up": [], "streamline": [of(rule)], "convert_to_hw": []}) == []
    assert told({"streamline": [of(rule)], "convert_to_hw": [of(rule)]}) == [("streamline", rule)]
    assert told({"streamline": [of(rule)]}) == [("streamline", rule)], "no later stage was built"


def test_a_rule_that_later_stages_do_not_repeat_stays() -> None:
    assert told({"streamline": [of("no-folding")], "convert_to_hw": []}) == [("streamline", "no-folding")]


def test_another_step_that_settles_it() -> None:
    rule = "padding-cannot-be-represented"
    assert told({"tidy_up": [of(rule, settled_by=("represent_bipolar",))]}) == []
    assert told({"tidy_up": [of(rule)]}) == [("tidy_up", rule)]


def test_what_follows_from_a_root_is_counted_and_not_told() -> None:
    plan: Any = Plan()
    found = {
        "tidy_up": [of("branches-not-streamlined")],
        "convert_to_hw": [of("branches-not-streamlined"), *[of("node-between-hardware-layers")] * 3, of("no-folding")],
    }
    told = _first_of_each(plan, found, ())
    assert [item.rule for _, item in told] == ["branches-not-streamlined", "no-folding"]
    assert told[0][1].message == "m (3 findings at later stages: told once this is settled)"


def stopped(monkeypatch: pytest.MonkeyPatch, task: str, found: list[tuple[str, Finding]]) -> str | None:
    """What keeps `task` of a chain, whose last two tasks call tools, from starting."""
    plan: Any = Plan()
    tasks = {name: SimpleNamespace(id=name, calls_tools=name in CHAIN[2:], checks=None) for name in CHAIN}
    monkeypatch.setattr(Plan, "tasks", tasks)
    nothing: Any = None
    monkeypatch.setattr(lints, "findings", lambda plan, built, *_: [item for item in found if item[0] in built])
    failure = lints.stopping(plan, plan.tasks[task], dict.fromkeys(CHAIN, nothing), nothing, nothing, Path("log"))
    return failure and failure.message


def test_an_error_before_it_keeps_the_first_task_with_tools_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = ("tidy_up", of("grouped-convolution"))
    told = stopped(monkeypatch, "streamline", [wrong, ("tidy_up", of("input-cannot-hold-data"))])
    assert told is not None and "2 errors (grouped-convolution, input-" in told
    assert stopped(monkeypatch, "represent_bipolar", [wrong]) is None, "it calls no tool"
    assert stopped(monkeypatch, "convert_to_hw", [wrong]) is None, "the one before it was not started"
    assert stopped(monkeypatch, "streamline", [("convert_to_hw", of("grouped-convolution"))]) is None
    assert stopped(monkeypatch, "streamline", [("tidy_up", Finding("no-folding", "warning", "m"))]) is None
