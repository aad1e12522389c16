"""From a recipe to its DAG: flows, lists, needs, targets, and everything that is refused on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.errors import Problem
from tests.plan.catalog import Maker

LIST = """
steps:
  - tidy_up
  - streamline
  - {uses: convert_to_hw, id: left, needs: streamline}
  - {uses: "own.py:lean", id: right, needs: streamline}
  - {uses: hw_codegen, needs: [left, right]}
"""


def shown(problem: Problem) -> str:
    """Place, message and hint in one line."""
    place = f"{problem.where.line}:{problem.where.column}" if problem.where else "nowhere"
    return f"{place} {problem.message} | {problem.hint}"


def test_a_flow_is_its_steps_one_after_the_other(maker: Maker) -> None:
    plan = maker.plan("steps: short")
    assert list(plan.tasks) == ["model", "qonnx_to_finn", "tidy_up", "streamline", "convert_to_hw"]
    assert [task.needs for task in plan.tasks.values()] == [
        (),
        ("model",),
        ("qonnx_to_finn",),
        ("tidy_up",),
        ("streamline",),
    ]
    assert {task.kind for task in plan.tasks.values()} == {"onnx", "finn"}
    assert plan.tasks["tidy_up"].uses == "step_tidy_up"


def test_processing_stands_between_the_model_and_the_first_step(maker: Maker) -> None:
    plan = maker.plan("preprocess: [to_tensor]\npostprocess: [{top_k: 1}]\nsteps: [tidy_up]")
    assert {name: task.needs for name, task in plan.tasks.items()} == {
        "model": (),
        "preprocess": ("model",),
        "postprocess": ("preprocess",),
        "tidy_up": ("postprocess",),
    }


def test_a_list_branches_and_joins_as_it_says(maker: Maker) -> None:
    plan = maker.plan(LIST)
    assert plan.tasks["right"].needs == plan.tasks["left"].needs == ("streamline",)
    assert plan.tasks["hw_codegen"].needs == ("left", "right")
    assert plan.tasks["right"].kind == "code"
    assert sorted(plan.graph.edges) == sorted((need, task.id) for task in plan.tasks.values() for need in task.needs)
    assert plan.graph.nodes["right"]["task"] is plan.tasks["right"]
    assert plan.ancestors(["left"]) == {"model", "tidy_up", "streamline", "left"}
    assert plan.descendants(["left"]) == {"left", "hw_codegen"}


def test_tasks_stand_in_the_order_of_the_recipe_as_far_as_needs_allow(maker: Maker) -> None:
    plan = maker.plan(
        "steps:\n- {uses: tidy_up, needs: streamline}\n- {uses: streamline, needs: model}\n- convert_to_hw"
    )
    assert list(plan.tasks) == ["model", "streamline", "tidy_up", "convert_to_hw"]


@pytest.mark.parametrize(
    ("edit", "steps"),
    [
        ("insert: [{before: tidy_up, steps: 'own.py:lean'}]", "qonnx_to_finn lean tidy_up streamline convert_to_hw"),
        (
            "insert: [{after: tidy_up, steps: ['own.py:lean', 'own.py:wide']}]",
            "qonnx_to_finn tidy_up lean wide streamline convert_to_hw",
        ),
        (
            "insert: [{after: convert_to_hw, steps: hw_codegen}]",
            "qonnx_to_finn tidy_up streamline convert_to_hw hw_codegen",
        ),
        ("replace: [{step: streamline, by: 'own.py:lean'}]", "qonnx_to_finn tidy_up lean convert_to_hw"),
        (
            "replace: [{step: step_streamline, by: ['own.py:lean', 'own.py:wide']}]",
            "qonnx_to_finn tidy_up lean wide convert_to_hw",
        ),
        ("remove: [qonnx_to_finn, convert_to_hw]", "tidy_up streamline"),
        ("remove: [convert_to_hls]", "qonnx_to_finn tidy_up streamline"),
        # Edits are made in the order of the recipe: a later one sees what an earlier one made.
        (
            "insert: [{after: tidy_up, steps: 'own.py:lean'}, {before: lean, steps: 'own.py:wide'}]",
            "qonnx_to_finn tidy_up wide lean streamline convert_to_hw",
        ),
        # The step of that id, not all that run the same.
        (
            "insert: [{after: tidy_up, steps: {uses: streamline, id: again}}]\n  remove: [streamline]",
            "qonnx_to_finn tidy_up again convert_to_hw",
        ),
        (
            "insert: [{after: tidy_up, steps: {uses: streamline, id: again}}]\n  remove: [again]",
            "qonnx_to_finn tidy_up streamline convert_to_hw",
        ),
    ],
)
def test_edits_of_a_flow(maker: Maker, edit: str, steps: str) -> None:
    plan = maker.plan(f"steps:\n  flow: short\n  {edit}")
    assert list(plan.tasks) == ["model", *steps.split()]
    listed = list(plan.tasks.values())
    assert [task.needs for task in listed[1:]] == [(task.id,) for task in listed[:-1]]


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (
            "insert: [{before: tidyup, steps: 'own.py:lean'}]",
            "4:21 `insert` matches nothing: the flow has no step 'tidyup' | did you mean 'tidy_up'?",
        ),
        (
            "replace: [{step: hw_codegen, by: 'own.py:lean'}]",
            "4:20 `replace` matches nothing: the flow has no step 'hw_codegen'",
        ),
        (
            "remove: [streamlin]",
            "4:12 `remove` matches nothing: the flow has no step 'streamlin' | did you mean 'streamline'?",
        ),
        (
            "remove: [streamline, step_streamline]",
            "4:24 `remove` matches nothing: the flow has no step 'step_streamline'",
        ),
        ("remove: [phase_build]", "4:12 `remove` matches nothing"),
    ],
)
def test_an_edit_that_matches_nothing_is_an_error(maker: Maker, edit: str, problem: str) -> None:
    (told,) = maker.refused(f"steps:\n  flow: short\n  {edit}")
    assert shown(told).startswith(problem)


def test_unknown_flows_and_steps_name_this_finn_and_what_is_near(maker: Maker) -> None:
    (flow,) = maker.refused("steps: defalt")
    assert shown(flow) == "2:8 finn 0.99 has no flow 'defalt' | did you mean 'default'?"
    first, second = maker.refused("steps: [streamlin, xyzzy]")
    assert shown(first) == "2:9 finn 0.99 has no step 'streamlin' | did you mean 'streamline' or 'streamline_branches'?"
    assert "known here: absorb_activations, absorb_splits, " in shown(second)


def test_an_old_name_runs_the_step_of_today_with_a_notice(maker: Maker) -> None:
    plan, (notice,) = maker.planned("steps: [step_convert_to_hls, {uses: hw_codegen, needs: convert_to_hls}]")
    assert plan.tasks["convert_to_hls"].uses == "step_convert_to_hw"
    assert plan.tasks["hw_codegen"].needs == ("convert_to_hls",)
    assert notice.severity == "warning"
    assert shown(notice).startswith("2:9 step_convert_to_hls is called convert_to_hw in finn 0.99")


def test_a_step_that_a_later_one_does_again_is_left_out_with_a_notice(maker: Maker) -> None:
    plan, (notice,) = maker.planned("steps: [tidy_up, minimize_bit_width_initial, streamline]")
    assert list(plan.tasks) == ["model", "tidy_up", "streamline"] and plan.tasks["streamline"].needs == ("tidy_up",)
    assert notice.severity == "warning"
    assert shown(notice).startswith(
        "2:18 finn 0.99 has no step minimize_bit_width_initial, which a later one does again"
    )


def test_the_name_of_today_with_or_without_prefix_needs_no_notice(maker: Maker) -> None:
    plan, notices = maker.planned("steps: [step_tidy_up, streamline]")
    assert list(plan.tasks) == ["model", "tidy_up", "streamline"]
    assert not notices


def test_a_phase_becomes_its_steps_and_segments(maker: Maker) -> None:
    plan = maker.plan("steps: [phase_prepare, {uses: build, timeout: 5}]")
    assert [(task.id, task.kind, task.uses) for task in plan.tasks.values()][1:] == [
        ("qonnx_to_finn", "finn", "step_qonnx_to_finn"),
        ("tidy_up", "finn", "step_tidy_up"),
        ("build.0", "segment", "build.0"),
        ("hw_codegen", "finn", "step_hw_codegen"),
        ("build.2", "segment", "build.2"),
    ]
    assert plan.tasks["build.2"].params == {"phase": "phase_build", "index": "2"}
    assert plan.tasks["build.2"].timeout == 5


def test_a_phase_can_be_needed_named_and_used_twice(maker: Maker) -> None:
    plan = maker.plan(
        "steps:\n- phase_prepare\n- {uses: 'own.py:lean', needs: model}\n"
        "- {uses: 'own.py:wide', needs: [phase_prepare, lean]}\n- {uses: prepare, id: again, needs: wide}\n"
    )
    assert plan.tasks["wide"].needs == ("tidy_up", "lean")
    assert plan.tasks["again.qonnx_to_finn"].needs == ("wide",)
    assert plan.tasks["again"].uses == "step_tidy_up"
    assert plan.tasks["again"].needs == ("again.qonnx_to_finn",)


def test_a_phase_of_a_flow_can_be_edited_as_a_whole(maker: Maker) -> None:
    plan = maker.plan("steps: {flow: phased, replace: [{step: phase_prepare, by: 'own.py:lean'}], remove: [build]}")
    assert list(plan.tasks) == ["model", "lean", "streamline"]


def test_settings_for_a_whole_phase_have_no_place(maker: Maker) -> None:
    (told,) = maker.refused("steps: [{uses: phase_prepare, with: {finn: {standalone_thresholds: true}}}]")
    assert shown(told).startswith(
        "2:37 phase_prepare is 2 steps, and `with:` is for one | list its steps (qonnx_to_finn, tidy_up)"
    )
    plan = maker.plan("steps: [{uses: phase_single, with: {finn: {standalone_thresholds: true}}}]")
    assert plan.tasks["single.all"].own_settings == {"standalone_thresholds"}


@pytest.mark.parametrize("section", ["model", "preprocess", "postprocess"])
def test_ids_of_the_sections_are_taken(maker: Maker, section: str) -> None:
    stages = "preprocess: [to_tensor]\npostprocess: [{top_k: 1}]\n"
    (told,) = maker.refused(f"{stages}steps: [{{uses: tidy_up, id: {section}}}]")
    assert f"the id {section!r} is taken by the recipe's own section" in told.message


def test_ids_of_sections_that_a_recipe_lacks_are_free(maker: Maker) -> None:
    assert "preprocess" in maker.plan("steps: [{uses: tidy_up, id: preprocess}]").tasks


def test_an_inserted_step_may_not_have_the_id_of_one_in_the_flow(maker: Maker) -> None:
    told = maker.refused("steps: {flow: short, insert: [{after: streamline, steps: tidy_up}]}")
    assert "duplicate step id 'tidy_up': line 2 has it already" in told[0].message
    assert "{uses: tidy_up, id: ...}" in str(told[0].hint)


def test_needs_of_a_flow_that_do_not_exist_get_a_near_miss(maker: Maker) -> None:
    (told,) = maker.refused(
        "steps: {flow: short, insert: [{after: tidy_up, steps: {uses: 'own.py:lean', needs: tidyup}}]}"
    )
    assert shown(told) == "2:84 the step 'lean' needs 'tidyup', which does not exist | did you mean 'tidy_up'?"


def test_what_follows_from_an_unknown_step_is_not_told_too(maker: Maker) -> None:
    (told,) = maker.refused("steps: [tidy_up, streamlin, {uses: convert_to_hw, needs: streamlin}]")
    assert "has no step 'streamlin'" in told.message


def test_a_step_without_needs_would_get_no_model(maker: Maker) -> None:
    (told,) = maker.refused("steps: {flow: short, replace: [{step: tidy_up, by: {uses: tidy_up, needs: []}}]}")
    assert shown(told).startswith("2:75 the step 'tidy_up' needs no step, so it would get no model | leave out `needs`")


def test_a_cycle_is_shown_whole_in_the_direction_of_the_needs(maker: Maker) -> None:
    (told,) = maker.refused("""
steps:
  flow: short
  insert: [{after: tidy_up, steps: {uses: "own.py:lean", needs: convert_to_hw}}]
""")
    # convert_to_hw needs streamline needs lean (each the entry before it), and lean is written to need convert_to_hw.
    cycle = "lean -> convert_to_hw -> streamline -> lean"
    turns = [
        cycle,
        "convert_to_hw -> streamline -> lean -> convert_to_hw",
        "streamline -> lean -> convert_to_hw -> streamline",
    ]
    assert told.message.removeprefix("the steps need each other in a cycle: ") in turns
    assert told.where is not None and told.where.line == 5  # where `needs` is written
    assert "`a -> b` means that a needs b" in str(told.hint)


def test_every_end_is_a_target_where_the_recipe_names_none(maker: Maker) -> None:
    plan = maker.plan("steps: [tidy_up, {uses: streamline, id: a}, {uses: convert_to_hw, id: b, needs: tidy_up}]")
    assert plan.targets == {"a": "a", "b": "b"}


def test_named_targets(maker: Maker) -> None:
    plan = maker.plan(LIST + "targets: {all: hw_codegen, half: left}\n")
    assert plan.targets == {"all": "hw_codegen", "half": "left"}


def test_a_target_that_is_no_step(maker: Maker) -> None:
    (told,) = maker.refused("steps: short\ntargets: {lean: convert_to_hv}")
    assert (
        shown(told)
        == "3:17 the target 'lean' is the step 'convert_to_hv', which does not exist | did you mean 'convert_to_hw'?"
    )


def test_steps_that_no_target_needs(maker: Maker) -> None:
    first, second = maker.refused(LIST + "targets: {half: left}\n")
    assert "no target needs the step 'right'" in first.message
    assert "no target needs the step 'hw_codegen'" in second.message
    assert (first.where and first.where.line, second.where and second.where.line) == (7, 8)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(maker: Maker) -> None:
    told = maker.refused("steps: [streamlin]\nfolding: {nodes: {A: {PE: 1}}}\ntarget: {board: pynq_z2}\nfinn: {xyz: 1}")
    assert [problem.where.line for problem in told if problem.where] == [2, 4, 5]


def test_tools_of_a_step_and_those_the_recipe_adds(maker: Maker) -> None:
    plan = maker.plan("steps: [tidy_up, {uses: hw_ipgen, tools: [verilator]}]")
    assert plan.tasks["tidy_up"].tools == ()
    assert {"verilator", "vitis_hls"} <= set(plan.tasks["hw_ipgen"].tools)


def test_a_file_is_named_relative_to_the_recipe_in_params(maker: Maker, tmp_path: Path) -> None:
    maker.write("../shared/model.onnx", "")
    plan = maker.plan('model: {onnx: ../shared/model.onnx}\nsteps: [{uses: "own.py:lean", with: {by: 3}}]')
    assert plan.tasks["model"].params["file"] == "@recipe/../shared/model.onnx"
    assert plan.tasks["lean"].params == {
        "code": {"text": "lean", "function": "lean", "file": "@recipe/own.py", "module": None},
        "with": {"by": 3},
    }
