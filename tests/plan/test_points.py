"""From `verify:` to tasks: where points stand, what they need, and what waits for them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from finnyaml.plan.points import SOURCE, bisection, id_of, moved
from finnyaml.plan.select import select
from finnyaml.recipe.model import Limits, Trust
from finnyaml.verify.gates import Gate
from tests.plan.catalog import CODE, Maker, code_of
from tests.plan.test_graph import shown

DATA = "verify:\n  data: {npz: digits.npz, inputs: x, labels: y}\n"


@pytest.fixture(autouse=True)
def _data(maker: Maker) -> None:
    np.savez(maker.folder / "digits.npz", x=np.zeros((20, 4), np.uint8), y=np.zeros(20, np.int64))


def test_without_points_of_its_own_a_recipe_is_measured_after_every_step(maker: Maker) -> None:
    plan = maker.plan(f"preprocess: [to_tensor]\nsteps: short\n{DATA}")
    steps = ["preprocess", "qonnx_to_finn", "tidy_up", "streamline", "convert_to_hw"]
    assert [task.checks for task in plan.tasks.values() if task.checks] == steps
    # Each stands right behind its step: where one worker runs, a gate falls before the next step starts.
    assert list(plan.tasks)[-2:] == ["convert_to_hw", "verify.convert_to_hw"]
    assert plan.tasks["verify.tidy_up"].needs == ("tidy_up", SOURCE, "verify.qonnx_to_finn")
    assert plan.tasks[SOURCE].needs == ("preprocess",)  # an ONNX file: the reference is the graph before FINN
    assert plan.targets == {"convert_to_hw": "convert_to_hw"}


def test_a_brevitas_source_is_run_itself(maker: Maker) -> None:
    maker.write("net.py", "def net(bits):\n    return bits\n")
    model = "model: {brevitas: net.py:net, args: {bits: 1}, input: {shape: [1, 4], datatype: UINT8}}"
    source = maker.plan(f"{model}\npreprocess: [to_tensor]\nsteps: short\n{DATA}").tasks[SOURCE]
    assert (source.kind, source.needs) == ("torch_reference", ())
    assert source.params["model"]["args"] == {"bits": 1}
    assert [stage["kind"] for stage in source.params["preprocess"]] == ["to_tensor"]


def test_limits_are_no_part_of_the_key(maker: Maker) -> None:
    loose, tight = (
        maker.plan(f"steps: short\n{DATA}  max_drop: {drop}\n").tasks["verify.streamline"] for drop in (0.5, 0.1)
    )
    assert loose.gate != tight.gate
    assert loose.key(dict.fromkeys(loose.needs, "0")) == tight.key(dict.fromkeys(tight.needs, "0"))


def test_the_tolerance_is_part_of_the_key_since_it_is_measured(maker: Maker) -> None:
    plan = maker.plan(f"steps: short\n{DATA}  tolerance: {{atol: 0.5}}\n")
    assert plan.tasks["verify.streamline"].params["tolerance"] == {"atol": 0.5, "rtol": 0.0}


def test_a_point_has_its_own_limits_and_else_those_of_the_section(maker: Maker) -> None:
    plan = maker.plan(
        f"steps: short\n{DATA}  min: 0.5\n  on_fail: defer\n  points:\n"
        "    - tidy_up\n    - {after: streamline, max_drop: 0.005, on_fail: warn, limit: 7}\n"
    )
    assert [task.checks for task in plan.tasks.values() if task.checks] == ["tidy_up", "streamline"]
    assert plan.tasks["verify.tidy_up"].gate == Gate(Limits(min=0.5), "defer", True)
    assert plan.tasks["verify.streamline"].gate == Gate(Limits(max_drop=0.005, min=0.5), "warn", True)
    assert plan.tasks["verify.streamline"].params["data"]["limit"] == 7
    assert plan.tasks["verify.tidy_up"].params["data"]["limit"] is None


@pytest.mark.parametrize("name", ["streamlined_python", "step_streamline", "streamline"])
def test_points_go_by_the_steps_id_by_its_name_and_by_finns_name_of_the_point(maker: Maker, name: str) -> None:
    plan = maker.plan(f"steps: short\n{DATA}  points: [{name}]\n")
    assert [task.checks for task in plan.tasks.values() if task.checks] == ["streamline"]


def test_a_point_after_a_step_used_twice_stands_on_both_branches(maker: Maker) -> None:
    steps = "steps: [tidy_up, {uses: streamline, id: one}, {uses: streamline, id: two, needs: tidy_up}]"
    plan = maker.plan(f"{steps}\n{DATA}  points: [step_streamline]\n")
    assert {task.checks for task in plan.tasks.values() if task.checks} == {"one", "two"}


def test_types_are_settled_once_no_later_step_sets_them_anew(maker: Maker) -> None:
    steps = "steps: [convert_to_hw, minimize_bit_width, specialize_layers, widen_accumulators, hw_codegen]"
    plan = maker.plan(f"{steps}\n{DATA}")
    settled = {task.checks: task.gate.settled for task in plan.tasks.values() if task.gate}
    assert settled == {
        "model": False, "convert_to_hw": False, "minimize_bit_width": False, "specialize_layers": False,
        "widen_accumulators": True, "hw_codegen": True,
    }  # fmt: skip


def test_points_where_nothing_is_are_refused(maker: Maker) -> None:
    (unknown,) = maker.refused(f"steps: short\n{DATA}  points: [streamlin]\n")
    assert "no step of this recipe has the point 'streamlin' | did you mean 'streamline'" in shown(unknown)
    (early,) = maker.refused(f"preprocess: [to_tensor]\nsteps: short\n{DATA}  points: [model]\n")
    assert "after model the graph lacks the stages that come later | measure after preprocess" in shown(early)
    (absent,) = maker.refused(f"steps: [tidy_up]\n{DATA}  points: [streamlined_python]\n")
    assert "streamlined_python, which FINN runs in streamline" in shown(absent)
    (simulated,) = maker.refused(f"steps: short\n{DATA}  points: [node_by_node_rtlsim]\n")
    assert "no step of this recipe runs node_by_node_rtlsim (FINN runs it in step_hw_ipgen)" in shown(simulated)


def test_ids_of_points_are_reserved(maker: Maker) -> None:
    (taken,) = maker.refused(f"steps: [tidy_up, {{uses: streamline, id: verify.tidy_up}}]\n{DATA}")
    assert "ids that begin with 'verify.' are those of verification points" in shown(taken)


def test_work_with_tools_waits_for_the_gates_above_it_and_for_no_others(maker: Maker) -> None:
    steps = (
        "steps: [tidy_up, streamline, hw_ipgen, set_fifo_depths, {uses: convert_to_hw, needs: tidy_up}]\n"
        "targets: {fifo: set_fifo_depths, hw: convert_to_hw}\n"
    )
    plan = maker.plan(f"{steps}{DATA}")
    assert plan.tasks["hw_ipgen"].after == ("verify.model", "verify.tidy_up", "verify.streamline")
    assert plan.tasks["set_fifo_depths"].after[-1] == "verify.hw_ipgen"
    assert plan.tasks["streamline"].after == ()
    assert "verify.convert_to_hw" not in plan.ancestors(["set_fifo_depths"])
    assert "verify.streamline" in plan.ancestors(["hw_ipgen"])
    # The gates are waited for, and are not part of what the work is made of.
    assert "verify.streamline" not in plan.tasks["hw_ipgen"].needs


def test_a_part_of_a_phase_may_call_tools_and_waits_for_the_gates(maker: Maker) -> None:
    plan = maker.plan(f"steps: [tidy_up, phase_build]\n{DATA}  points: [tidy_up]\n")
    assert (plan.tasks["build.2"].kind, plan.tasks["build.2"].after) == ("segment", ("verify.tidy_up",))


def test_a_selection_takes_the_points_of_its_steps_along_and_only_does_not(maker: Maker) -> None:
    plan = maker.plan(f"steps: short\n{DATA}")
    assert select(plan, stop="tidy_up").tasks == {
        "model", "verify.model", "qonnx_to_finn", "verify.qonnx_to_finn", "tidy_up", "verify.tidy_up", SOURCE,
    }  # fmt: skip
    assert select(plan, only=["tidy_up"]).tasks == {"model", "qonnx_to_finn", "tidy_up"}
    to_point = select(plan, stop="verify.tidy_up")
    assert "verify.tidy_up" in to_point.tasks
    assert to_point.ends(plan) == {"convert_to_hw": "tidy_up"}


def test_the_reference_may_be_another_step_or_stored_answers(maker: Maker) -> None:
    plan = maker.plan(f"steps: short\n{DATA}  reference: tidy_up\n  points: [streamline]\n")
    assert plan.tasks["verify.streamline"].needs == ("streamline", "verify.tidy_up")
    assert plan.tasks["verify.tidy_up"].params["reference"] is None
    assert SOURCE not in plan.tasks
    np.save(maker.folder / "gold.npy", np.zeros((20, 10)))
    plan = maker.plan(f"steps: short\n{DATA}  reference: {{npy: gold.npy}}\n  points: [streamline]\n")
    assert plan.tasks["verify.streamline"].needs == ("streamline",)
    assert plan.tasks["verify.streamline"].params["reference"]["file"] == "@recipe/gold.npy"
    (unknown,) = maker.refused(f"steps: short\n{DATA}  reference: tidyup\n")
    assert "the reference is not a step here: 'tidyup' | did you mean 'tidy_up'?" in shown(unknown)


def test_finns_own_simulation_gets_golden_samples_made_from_the_source(maker: Maker) -> None:
    plan = maker.plan(f"steps: default\n{DATA}  points: [streamline, {{after: node_by_node_rtlsim, limit: 3}}]\n")
    ipgen = plan.tasks["hw_ipgen"]
    assert SOURCE in ipgen.needs
    assert ipgen.config["verify_steps"] == ["node_by_node_rtlsim"]
    assert ipgen.config["verify_input_npy"] == "@tree/out/verification/golden_input.npy"
    assert plan.tasks[SOURCE].params["golden"] == 3
    assert "verify_steps" not in plan.tasks["tidy_up"].config  # it reads the field, and would run again for nothing
    (limited,) = maker.refused(f"steps: default\n{DATA}  points: [{{after: node_by_node_rtlsim, min: 0.9}}]\n")
    assert "node_by_node_rtlsim is judged by FINN, which knows right and wrong only" in shown(limited)


def test_golden_samples_of_the_users_own_stay(maker: Maker) -> None:
    maker.write("in.npy", "")
    plan = maker.plan(f"steps: default\nfinn: {{verify_steps: [initial_python], verify_input_npy: in.npy}}\n{DATA}")
    assert plan.tasks[SOURCE].params["golden"] == 0
    assert plan.tasks["tidy_up"].config["verify_input_npy"].startswith("@inputs/")


def test_verification_needs_the_graph_around_the_partition(maker: Maker) -> None:
    (problem,) = maker.refused(f"steps: short\nfinn: {{save_intermediate_models: false}}\n{DATA}")
    assert "drops the dataflow parent" in shown(problem)


def test_a_better_measurement_builds_nothing_again(maker: Maker) -> None:
    plan = maker.plan(f"steps: [tidy_up, represent_padding]\n{DATA}")
    assert plan.tasks["tidy_up"].implementation == {"finnyaml/worker": "0123", "finn": "0.99 (4567)"}
    assert plan.tasks["verify.tidy_up"].implementation == {name: CODE[name] for name in CODE if "lint" not in name}
    assert plan.tasks["represent_padding"].kind == "repair"
    assert "finnyaml/verify" not in plan.tasks["represent_padding"].implementation


def test_a_search_is_made_of_the_step_and_measures_as_the_point(maker: Maker) -> None:
    plan = maker.plan(f"steps: short\n{DATA}  max_drop: 0.25\n")
    step, point = plan.tasks["streamline"], plan.tasks["verify.streamline"]
    search = bisection(step, point, code_of)
    assert search.needs == ("tidy_up", SOURCE)
    assert search.params["step"] == {
        "kind": "finn",
        "runner": step.declared.runner,
        "uses": "step_streamline",
        "params": {},
    }
    assert search.params["max_drop"] == 0.25
    assert not search.params["may_change"]
    assert search.params["data"]["limit"] == 1000
    elsewhere = moved(point, "tidy_up", plan.ancestors(plan.tasks["tidy_up"].needs))
    assert dataclasses.replace(elsewhere, gate=None) == dataclasses.replace(
        plan.tasks[id_of("tidy_up")], gate=None, pointer=elsewhere.pointer
    )


def test_what_the_recipe_says_of_data_and_model_holds_for_all_that_use_them(maker: Maker) -> None:
    maker.write("net.py", "def net():\n    return 1\n\n\ndef load():\n    return 2\n")
    model = "model: {brevitas: net.py:net, input: {shape: [1, 4], datatype: UINT8}, pure: true, always: true}"
    data = "verify:\n  data: {python: net.py:load, pure: false}\n"
    tasks = maker.plan(f"{model}\nsteps: [{{uses: tidy_up, pure: true}}, streamline]\n{data}").tasks
    assert tasks["model"].trust == Trust(always=True, pure=True)
    assert tasks["tidy_up"].trust == Trust(pure=True) and tasks["streamline"].trust == Trust()
    assert tasks["verify.tidy_up"].trust == Trust(pure=False)
    assert tasks[SOURCE].trust == Trust(always=True, pure=False)
    assert [name for name, task in tasks.items() if not task.runs_users_code] == ["tidy_up", "streamline"]


def test_a_step_that_is_the_reference_is_compared_with_no_point_before_it(maker: Maker) -> None:
    plan = maker.plan(f"steps: short\n{DATA}  reference: tidy_up\n")
    assert plan.tasks["verify.tidy_up"].needs == ("tidy_up",)
    assert plan.tasks["verify.qonnx_to_finn"].params["before"] == ["model"]
    assert plan.tasks["verify.streamline"].params["before"][0] == "tidy_up"
    assert plan.tasks["verify.streamline"].needs == ("streamline", "verify.tidy_up")


def test_what_a_step_is_expected_to_do_decides_what_its_outputs_are_held_to(maker: Maker) -> None:
    for said, before, exact in [("", True, False), (", expect: exact", True, True), (", expect: change", False, True)]:
        plan = maker.plan(f"steps: [tidy_up, {{uses: 'own.py:lean', id: mine{said}}}, streamline]\n{DATA}")
        point = plan.tasks["verify.mine"]
        assert point.gate is not None
        assert (bool(point.params.get("before")), point.gate.exact) == (before, exact)
