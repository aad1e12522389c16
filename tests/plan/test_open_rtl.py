"""The open RTL path in a plan: its own steps, what stands for FINN's, and who simulates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finnyaml.errors import Problem, RecipeError
from finnyaml.finn.catalog import Field, FinnStep
from finnyaml.kinds import KINDS
from finnyaml.plan import graph, without_vivado
from finnyaml.plan.graph import Plan
from finnyaml.steps.builtin import STEPS
from tests.plan.catalog import CATALOG, Maker, code_of

HARDWARE = ("hw_codegen", "hw_ipgen", "set_fifo_depths", "create_stitched_ip", "measure_rtlsim_performance")
OUTPUTS = ("stitched_ip", "estimate_reports", "rtlsim_performance")
MADE_UP = replace(
    CATALOG,
    distribution="finn-plus",
    steps={
        **CATALOG.steps,
        **{f"step_{name}": FinnStep(f"step_{name}", "", "made.up") for name in (*HARDWARE, "generate_hardware")},
    },
    flows={**CATALOG.flows, "hardware": tuple(f"step_{name}" for name in HARDWARE)},
    points={**CATALOG.points, "stitched_ip_rtlsim": "step_create_stitched_ip"},
    fields={
        **CATALOG.fields,
        "generate_outputs": replace(CATALOG.fields["generate_outputs"], choices=OUTPUTS),
        "enable_instrumentation": Field("enable_instrumentation", "bool", False, False),
        "stitched_ip_gen_dcp": Field("stitched_ip_gen_dcp", "bool", False, False),
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
    return graph.build(maker.recipe(text), MADE_UP, code_of, vivado=vivado)[0]


def refused(maker: Maker, text: str) -> tuple[Problem, ...]:
    recipe = maker.recipe(text)
    with pytest.raises(RecipeError) as found:
        graph.build(recipe, MADE_UP, code_of, vivado=False)
    return found.value.problems


def test_without_vivado_our_steps_stand_for_finns_under_the_names_of_the_recipe(maker: Maker) -> None:
    tasks = plan(maker, FLOW).tasks
    assert {name: (task.kind, task.uses) for name, task in tasks.items() if name != "model"} == {
        "hw_codegen": ("finn", "step_hw_codegen"),
        "hw_ipgen": ("finn_open", "step_hw_ipgen"),
        "set_fifo_depths.insert": ("finn_open", "step_set_fifo_depths"),
        "set_fifo_depths": ("rtl.size_fifos", "rtl.size_fifos"),
        "create_stitched_ip": ("rtl.stitch", "rtl.stitch"),
        "measure_rtlsim_performance": ("rtl.simulate", "rtl.simulate"),
    }
    assert tasks["set_fifo_depths"].needs == ("set_fifo_depths.insert",)
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


@pytest.mark.parametrize(
    "fifo",
    [
        "depths: {StreamingFIFO_rtl_0: 4}",
        "auto: false, depths: {StreamingFIFO_rtl_0: 4}",
        "strategy: force_minimal_fifos",
    ],
)
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


@pytest.mark.parametrize("text", [f"toolchain: open\n{FLOW}outputs: [stitched_ip]\n", "steps: [rtl.stitch]\n"])
def test_a_finn_that_lacks_what_the_open_path_needs_is_refused_by_name(maker: Maker, text: str) -> None:
    with pytest.raises(RecipeError) as found:
        graph.build(maker.recipe(text), replace(MADE_UP, lacks=("finn.xsi", "finn.y")), code_of, vivado=False)
    (problem,) = found.value.problems
    assert "does not run with finn-plus 0.99: it has no finn.xsi or finn.y" in problem.message
    assert problem.where is not None and problem.hint and "toolchain: vivado" in problem.hint


def test_nothing_stands_for_finns_steps_by_itself_where_the_open_path_does_not_run(maker: Maker) -> None:
    found = replace(MADE_UP, lacks=("finn.xsi",))
    tasks = graph.build(maker.recipe(f"{FLOW}outputs: [stitched_ip]\n"), found, code_of, vivado=False)[0].tasks
    assert {task.kind for task in tasks.values()} == {"onnx", "finn"}
    assert "vivado" in tasks["create_stitched_ip"].tools


def test_settings_for_a_step_that_is_not_run_are_refused(maker: Maker) -> None:
    (problem,) = refused(maker, "steps: [{uses: create_stitched_ip, with: {folding: {target_fps: 5}}}]")
    assert "rtl.stitch stands for create_stitched_ip: it reads nothing of `folding`" in problem.message


def test_what_our_step_reads_too_may_be_set_for_it(maker: Maker) -> None:
    overlay = "{target: {clock_ns: 5.0}, outputs: [stitched_ip]}"
    task = plan(maker, f"steps: [{{uses: create_stitched_ip, with: {overlay}}}]").tasks["create_stitched_ip"]
    assert (task.uses, task.setting("synth_clk_period_ns"), task.params) == ("rtl.stitch", 5.0, {})


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
    assert plan(maker, "steps: [rtl.stitch, rtl.simulate]").tasks["simulate"].params["data"] is None


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


@pytest.mark.parametrize(("vivado", "name"), [(True, "generate_hardware"), (False, "generate_hardware.insert")])
def test_a_step_that_runs_another_verifies_for_it(maker: Maker, vivado: bool, name: str) -> None:
    text = f"steps: [generate_hardware]\n{DATA}  points: [node_by_node_rtlsim]\n"
    task = plan(maker, text, vivado=vivado).tasks[name]
    assert task.verifies == ("node_by_node_rtlsim",)
    assert task.config["verify_steps"] == ["node_by_node_rtlsim"]


def test_the_style_that_is_preferred_goes_to_the_step_that_decides(maker: Maker) -> None:
    text = "steps: [specialize_layers, {uses: specialize_layers, id: other, with: {specialize: {prefer: hls}}}]\n"
    tasks = plan(maker, f"{text}specialize: {{prefer: rtl}}\n").tasks
    assert tasks["specialize_layers"].params == {"prefer": "rtl"}
    assert tasks["other"].params == {"prefer": "hls"}


def test_what_simulates_depends_on_our_code_that_does(maker: Maker) -> None:
    """Which code that is follows from imports (tests/kinds); here: that each task asks for that of its own runner."""
    asked: dict[str, tuple[str, ...]] = {}

    def code(*references: str) -> dict[str, str]:
        return {"asked": " ".join(references)}

    recipe = maker.recipe("steps: [tidy_up, hw_ipgen, rtl.size_fifos, represent_padding]")
    tasks = graph.build(recipe, MADE_UP, code, vivado=False)[0].tasks
    asked = {name: tuple(task.implementation["asked"].split()) for name, task in tasks.items()}
    assert asked["tidy_up"] == KINDS["finn"].code
    assert asked["hw_ipgen"] == KINDS["finn_open"].code
    assert asked["size_fifos"] == KINDS["rtl.size_fifos"].code
    assert asked["represent_padding"] == (*KINDS["repair"].code, STEPS["represent_padding"].function)


@pytest.mark.parametrize(
    ("edit", "open_steps", "finns_steps"),
    [
        ("remove: [set_fifo_depths]", "create_stitched_ip measure_rtlsim_performance", None),
        ("remove: [step_set_fifo_depths]", "create_stitched_ip measure_rtlsim_performance", None),
        (
            "replace: [{step: set_fifo_depths, by: 'own.py:lean'}]",
            "lean create_stitched_ip measure_rtlsim_performance",
            None,
        ),
        (
            "insert: [{before: set_fifo_depths, steps: 'own.py:lean'}]",
            "lean set_fifo_depths.insert set_fifo_depths create_stitched_ip measure_rtlsim_performance",
            "lean set_fifo_depths create_stitched_ip measure_rtlsim_performance",
        ),
        (
            "insert: [{after: set_fifo_depths, steps: 'own.py:lean'}]",
            "set_fifo_depths.insert set_fifo_depths lean create_stitched_ip measure_rtlsim_performance",
            "set_fifo_depths lean create_stitched_ip measure_rtlsim_performance",
        ),
        (
            "insert: [{after: step_create_stitched_ip, steps: 'own.py:lean'}]",
            "set_fifo_depths.insert set_fifo_depths create_stitched_ip lean measure_rtlsim_performance",
            "set_fifo_depths create_stitched_ip lean measure_rtlsim_performance",
        ),
    ],
)
def test_an_edit_of_a_flow_takes_all_that_a_step_became(
    maker: Maker, edit: str, open_steps: str, finns_steps: str | None
) -> None:
    maker.write("own.py", "def lean(model, cfg): return model\n")
    for toolchain, steps in (("open", open_steps), ("vivado", finns_steps or open_steps)):
        tasks = plan(maker, f"toolchain: {toolchain}\nsteps:\n  flow: hardware\n  {edit}\n").tasks
        assert list(tasks) == ["model", "hw_codegen", "hw_ipgen", *steps.split()]
        listed = list(tasks.values())
        assert [task.needs for task in listed[1:]] == [(task.id,) for task in listed[:-1]]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f"{FLOW}outputs: [rtlsim_performance]\n", "add stitched_ip to `outputs`"),
        ("steps: [hw_ipgen, measure_rtlsim_performance]\n", "list create_stitched_ip or rtl.stitch before it"),
        ("steps: [tidy_up, rtl.stitch, {uses: rtl.synthesize, needs: tidy_up}]\n", "list rtl.stitch before it"),
        ("steps: [rtl.export]\n", "list rtl.stitch before it"),
    ],
)
def test_what_works_with_the_stitched_design_needs_it_above(maker: Maker, text: str, hint: str) -> None:
    (problem,) = refused(maker, text)
    assert "needs the design that rtl.stitch makes" in problem.message
    assert problem.hint == hint
    assert problem.where is not None


STITCHED_POINT = "finn: {verify_steps: [node_by_node_rtlsim, stitched_ip_rtlsim]}\n"


@pytest.mark.parametrize("text", [f"{DATA}  points: [stitched_ip_rtlsim]\n", STITCHED_POINT, f"{STITCHED_POINT}{DATA}"])
def test_a_point_of_finn_that_only_our_simulation_answers_needs_it(maker: Maker, text: str) -> None:
    (problem,) = refused(maker, f"{FLOW}outputs: [stitched_ip]\n{text}")
    assert problem.message.startswith("with the open toolchain, rtl.simulate answers stitched_ip_rtlsim")
    assert problem.hint is not None
    assert "add rtlsim_performance to `outputs`" in problem.hint
    assert problem.where is not None


@pytest.mark.parametrize("verify", ["", DATA])
def test_finn_is_not_asked_for_what_our_simulation_answers(maker: Maker, verify: str) -> None:
    found = plan(maker, f"{FLOW}{STITCHED_POINT}{verify}")
    assert {tuple(task.config.get("verify_steps", ())) for task in found.tasks.values() if task.kind == "finn"} == {
        ("node_by_node_rtlsim",)
    }
    steps = {task.uses for task in found.tasks.values()}
    points = ["node_by_node_rtlsim", "stitched_ip_rtlsim"]
    assert without_vivado.by_finn(points, steps, MADE_UP, found.toolchain) == ["node_by_node_rtlsim"]
    only = plan(maker, f"{FLOW}finn: {{verify_steps: [stitched_ip_rtlsim]}}\n{verify}")
    assert not any("verify_steps" in task.config for task in only.tasks.values())
    finns = plan(maker, f"{FLOW}{STITCHED_POINT}", vivado=True)
    assert finns.tasks["create_stitched_ip"].config["verify_steps"] == points


def test_a_point_with_more_samples_than_frames_makes_the_simulation_send_them(maker: Maker) -> None:
    for steps, point in ((FLOW, "stitched_ip_rtlsim"), ("steps: [rtl.stitch, rtl.simulate]\n", "simulate")):
        tasks = plan(maker, f"{steps}{DATA}  points: [{{after: {point}, limit: 40}}]\n").tasks
        (simulation,) = (task for task in tasks.values() if task.uses == "rtl.simulate")
        assert simulation.params["frames"] == simulation.params["data"]["limit"] == 40
        assert tasks[f"verify.{simulation.id}"].params["data"]["limit"] == 40


def test_frames_that_the_recipe_sets_are_not_changed_by_a_point(maker: Maker) -> None:
    text = "steps: [rtl.stitch, {uses: rtl.simulate, with: {frames: 20}}]\n"
    (problem,) = refused(maker, f"{text}{DATA}  points: [{{after: simulate, limit: 40}}]\n")
    assert problem.message == "this point wants 40 samples, and rtl.simulate sends 20 frames"
    assert problem.hint == "give simulate `frames: 40`"
    assert problem.where is not None
    assert problem.where.line == 5
    enough = plan(maker, f"{text}{DATA}  points: [{{after: simulate, limit: 10}}]\n").tasks
    assert (enough["simulate"].params["frames"], enough["verify.simulate"].params["data"]["limit"]) == (20, 10)


@pytest.mark.parametrize("field", ["enable_instrumentation: true", "stitched_ip_gen_dcp: true", "signature: [1, 2]"])
def test_what_our_stitching_does_not_have_is_refused(maker: Maker, field: str) -> None:
    text = f"{FLOW}finn: {{{field}}}\n"
    (problem,) = refused(maker, text)
    assert f"it has no `{field.partition(':')[0]}`" in problem.message
    assert (problem.where and problem.where.line) == 3
    plan(maker, text, vivado=True)
    plan(maker, f"{text}outputs: [estimate_reports]\n")


@pytest.mark.parametrize(
    ("more", "warned"),
    [("", True), ("specialize: {prefer: rtl}\n", False), ("toolchain: vivado\n", False)],
)
def test_that_finn_makes_layers_in_hls_is_told_where_the_recipe_says_nothing(
    maker: Maker, more: str, warned: bool
) -> None:
    recipe = maker.recipe(f"steps: [specialize_layers, {', '.join(HARDWARE)}]\n{more}")
    _, told = graph.build(recipe, MADE_UP, code_of, vivado=False)
    assert [(item.severity, "hw_ipgen needs Vitis HLS" in item.message) for item in told] == [
        ("warning", True)
    ] * warned
