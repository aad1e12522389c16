"""Which tasks a command line is about: targets, `--from`, `--to`, `--only`, `--force`."""

from __future__ import annotations

import pytest

from finnyaml.errors import RecipeError
from finnyaml.plan.doubts import IMPURE, doubts
from finnyaml.plan.graph import Plan
from finnyaml.plan.reasons import Reason
from finnyaml.plan.select import select
from finnyaml.plan.status import Status
from finnyaml.store import Trace
from tests.plan.catalog import Maker

# model - tidy_up - streamline -+- left - hw_codegen
#                               +- right - report
TWO = """
steps:
  - tidy_up
  - streamline
  - {uses: convert_to_hw, id: left}
  - hw_codegen
  - {uses: convert_to_hw, id: right, needs: streamline}
  - {uses: "own.py:lean", id: report}
targets: {hardware: hw_codegen, metrics: report, half: left}
"""
COMMON = {"model", "tidy_up", "streamline"}


@pytest.fixture
def plan(maker: Maker) -> Plan:
    return maker.plan(TWO)


def refusal(plan: Plan, **options: object) -> str:
    with pytest.raises(RecipeError) as refused:
        select(plan, **options)  # type: ignore[arg-type]
    (problem,) = refused.value.problems
    return f"{problem.message} | {problem.hint}"


def test_without_a_word_all_targets_are_meant(plan: Plan) -> None:
    chosen = select(plan)
    assert chosen.tasks == set(plan.tasks) == chosen.runnable
    assert chosen.targets == {"hardware", "metrics", "half"}
    assert not chosen.partial
    assert chosen.ends(plan) == dict(plan.targets)


def test_a_target_is_all_that_it_needs(plan: Plan) -> None:
    chosen = select(plan, ["metrics"])
    assert chosen.tasks == {*COMMON, "right", "report"}
    assert chosen.ends(plan) == {"metrics": "report"}
    assert not chosen.partial


def test_a_target_on_the_way_is_complete_too(plan: Plan) -> None:
    assert select(plan, ["hardware"]).ends(plan) == {"hardware": "hw_codegen", "half": "left"}


def test_a_step_is_a_partial_target(plan: Plan) -> None:
    chosen = select(plan, ["right"])
    assert chosen.tasks == {*COMMON, "right"}
    assert chosen.partial
    assert chosen.ends(plan) == {"metrics": "right"}


def test_a_step_behind_the_end_of_a_smaller_target_is_still_built_for_the_larger(plan: Plan) -> None:
    """`half` is complete on the way to hw_codegen's ids; what was asked for must not be lost over it."""
    longer = select(plan, ["right", "left"])
    assert longer.targets == {"half"}
    assert longer.partial
    assert longer.ends(plan) == {"hardware": "left", "metrics": "right", "half": "left"}


def test_to_stops_and_counts_for_every_target_it_leads_to(plan: Plan) -> None:
    chosen = select(plan, stop="streamline")
    assert chosen.tasks == COMMON
    assert chosen.ends(plan) == {"hardware": "streamline", "metrics": "streamline", "half": "streamline"}


def test_from_leaves_what_comes_before_to_the_store(plan: Plan) -> None:
    chosen = select(plan, start="left")
    assert chosen.tasks == set(plan.tasks)
    assert chosen.runnable == {"left", "hw_codegen"}
    within = select(plan, start="tidy_up", stop="left")
    assert within.runnable == {"tidy_up", "streamline", "left"}


def test_only_runs_these_and_nothing_else(plan: Plan) -> None:
    chosen = select(plan, only=["right", "tidy_up"])
    assert chosen.runnable == {"right", "tidy_up"}
    assert chosen.tasks == {*COMMON, "right"}
    assert chosen.ends(plan) == {"hardware": "tidy_up", "metrics": "right", "half": "tidy_up"}


def test_forced_steps_must_be_among_the_selected(plan: Plan) -> None:
    assert select(plan, ["hardware"], force=["left"]).forced == {"left"}
    assert refusal(plan, targets=["hardware"], force=["right"]).startswith("--force right: it is not among")


def test_names_may_be_targets_ids_or_steps(plan: Plan) -> None:
    assert select(plan, stop="half").tasks == {*COMMON, "left"}
    assert select(plan, stop="step_streamline").tasks == COMMON
    assert select(plan, stop="hls_codegen").tasks == {*COMMON, "left", "hw_codegen"}


def test_near_misses(plan: Plan) -> None:
    assert (
        refusal(plan, targets=["hardwar"])
        == "'hardwar' is neither a target nor a step of this recipe | did you mean 'hardware'?"
    )
    assert "did you mean 'streamline'" in refusal(plan, start="streamlin")
    # convert_to_hw stands twice under other ids: which of them is meant?
    assert "'convert_to_hw' is neither a target nor a step" in refusal(plan, stop="convert_to_hw")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": ["left"], "start": "left"}, "--only already says which steps"),
        ({"only": ["left"], "stop": "left"}, "--only already says which steps"),
        ({"start": "right", "stop": "left"}, "--from right: it is not among the selected steps"),
        ({"targets": ["metrics"], "stop": "left"}, "--to left: it is not among the selected steps"),
        ({"targets": ["metrics"], "only": ["left"]}, "--only left: it is not among the selected steps"),
    ],
)
def test_words_that_exclude_each_other(plan: Plan, options: dict[str, object], message: str) -> None:
    assert refusal(plan, **options).startswith(message)


def test_what_comes_before_the_selection_has_to_be_up_to_date(plan: Plan) -> None:
    chosen = select(plan, start="left", stop="hw_codegen")
    states = {name: Status("cached") for name in COMMON} | {"left": Status("stale"), "hw_codegen": Status("waiting")}
    chosen.check(states)
    states["tidy_up"] = Status("stale", (Reason("new", "tidy_up"),))
    states["streamline"] = Status("waiting")
    states["model"] = Status("blocked", tuple(Reason("waits", letter) for letter in "abcd"))
    with pytest.raises(RecipeError) as refused:
        chosen.check(states)
    before = "comes before what was selected and is not up to date"
    assert {problem.message for problem in refused.value.problems} == {
        f"tidy_up {before}: never built with this store",
        f"model {before}: a runs first; b runs first; c runs first",
    }


def test_what_the_recipe_runs_always_is_forced_where_it_may_run(maker: Maker) -> None:
    plan = maker.plan(TWO.replace("{uses: convert_to_hw, id: left}", "{uses: convert_to_hw, id: left, always: true}"))
    assert select(plan).forced == {"left"}
    assert select(plan, force=["report"]).forced == {"left", "report"}
    assert select(plan, ["metrics"]).forced == set()
    assert select(plan, only=["hw_codegen"]).forced == set()  # what it needs is taken as it is


def test_what_the_recipe_answers_for_may_be_a_step_of_finn(maker: Maker) -> None:
    trace = Trace("", {}, 1.0, 1, "", 0.0, {"differs": ["the time"]})
    for said, doubt in (("false", (IMPURE, "the time")), ("true", ())):
        plan = maker.plan(TWO.replace("id: left}", f"id: left, pure: {said}}}"))
        assert plan.tasks["left"].kind == "finn"
        assert doubts(plan.tasks["left"], trace) == doubt


def test_distrust_is_of_all_that_may_run(plan: Plan) -> None:
    assert select(plan).distrusted == set()
    assert select(plan, distrust=True).distrusted == set(plan.tasks)
    assert select(plan, start="right", distrust=True).distrusted == {"right", "report"}
