"""Settings that cannot go together are found before anything runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finnyaml.errors import Problem, RecipeError
from finnyaml.plan import graph
from finnyaml.plan.task import Task
from finnyaml.plan.without_vivado import for_verification
from tests.plan.catalog import CATALOG, Maker, code_of

FINN = replace(
    CATALOG,
    distribution="finn-plus",
    boards={**CATALOG.boards, "U250": "xcu250", "VCK190": "xcvc1902"},
    shells={"Pynq-Z2": "vivado_zynq", "ZCU102": "vivado_zynq", "U250": "vitis_alveo"},
    outputs={"estimate_reports": ("step_tidy_up",), "bitfile": ("step_hw_ipgen", "step_set_fifo_depths")},
)


def told(maker: Maker, text: str) -> tuple[Problem, ...]:
    recipe = maker.recipe(text)
    try:
        return graph.build(recipe, FINN, code_of)[1]
    except RecipeError as error:
        return error.problems


@pytest.mark.parametrize(
    ("target", "wrong"),
    [
        ("{board: Pynq-Z2, shell: vitis_alveo}", "a Pynq-Z2 cannot have the shell vitis_alveo"),
        ("{board: U250, shell: vivado_zynq}", "a U250 cannot have the shell vivado_zynq"),
        ("{board: U250, shell: vitis_alveo}", ""),
        ("{board: VCK190, shell: vitis_alveo}", ""),  # FINN's tables do not say
        ("{board: Pynq-Z2}", ""),
    ],
)
def test_a_board_and_a_shell_that_cannot_be(maker: Maker, target: str, wrong: str) -> None:
    found = told(maker, f"steps: [tidy_up]\ntarget: {target}\n")
    assert [problem.message.startswith(wrong) for problem in found] == ([True] if wrong else [])
    if wrong:
        assert found[0].severity == "error" and found[0].where and found[0].where.line == 3
        assert found[0].hint and "vi" in found[0].hint


@pytest.mark.parametrize(
    ("fifo", "steps", "wrong"),
    [
        ("{auto: false}", "[tidy_up, set_fifo_depths]", True),
        ("{auto: false}", "[tidy_up]", False),
        ("{auto: false, depths: {StreamingFIFO_rtl_0: 2}}", "[tidy_up, set_fifo_depths]", False),
        ("{auto: true}", "[tidy_up, set_fifo_depths]", False),
    ],
)
def test_fifos_without_depths(maker: Maker, fifo: str, steps: str, wrong: bool) -> None:
    found = told(maker, f"steps: {steps}\nfifo: {fifo}\n")
    assert ["which gives none: set_fifo_depths would stop" in problem.message for problem in found] == [True] * wrong


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ("[tidy_up]", True),
        ("[tidy_up, hw_ipgen]", False),
        ("[tidy_up, 'steps.py:mine']", False),
        ("[phase_build]", False),
    ],
)
def test_an_output_that_no_step_makes(maker: Maker, steps: str, wrong: bool) -> None:
    maker.write("steps.py", "def mine(model, cfg): return model\n")
    found = told(maker, f"steps: {steps}\noutputs: [estimate_reports, bitfile]\n")
    found = tuple(problem for problem in found if "bitfile" in problem.message)
    assert [problem.severity for problem in found] == ["warning"] * wrong
    if wrong:
        assert found[0].hint == "add hw_ipgen or set_fifo_depths to the steps, or leave it out"


def test_what_a_tool_is_needed_for_is_said_where_only_verification_needs_it() -> None:
    def task(uses: str, *points: str) -> Task:
        return Task("t", "finn", uses, (), (), config={"verify_steps": [*points]})

    catalog = replace(FINN, points={"folded_hls_cppsim": "step_minimize_bit_width"})
    why = for_verification(task("step_minimize_bit_width", "initial_python", "folded_hls_cppsim"), "g++", catalog)
    assert why.startswith("for the verification folded_hls_cppsim: leave it out of `finn: {verify_steps: ...}`")
    assert for_verification(task("step_minimize_bit_width"), "g++", catalog) == ""
    assert for_verification(task("step_hw_ipgen", "node_by_node_rtlsim"), "vitis_hls", catalog) == ""
    assert "node_by_node_rtlsim" in for_verification(task("step_hw_ipgen", "node_by_node_rtlsim"), "vivado", FINN)
