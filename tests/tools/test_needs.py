"""Which tools a step needs, checked against FINN itself where FINN is installed."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from finnyaml.tools import registry
from finnyaml.tools.needs import _RULES, needs

NOTHING: dict[str, Any] = {"generate_outputs": ["estimate_reports"]}


@pytest.mark.parametrize(
    "step",
    ["qonnx_to_finn", "step_streamline", "step_convert_to_hls", "step_hw_codegen", "generate_estimate_reports", "mine"],
)
def test_the_front_end_and_unknown_steps_need_nothing(step: str) -> None:
    assert needs(step, {}) == ()


@pytest.mark.parametrize(
    "step",
    [
        "create_stitched_ip",
        "measure_rtlsim_performance",
        "out_of_context_synthesis",
        "prepare_synthesis",
        "synthesize_bitfile",
        "make_driver",
        "deployment_package",
    ],
)
def test_a_step_whose_output_is_not_requested_needs_nothing(step: str) -> None:
    assert needs(step, NOTHING) == ()


@pytest.mark.parametrize("step", ["step_hw_ipgen", "hls_ipgen", "hw_ipgen"])
def test_ip_generation_needs_hls_in_all_dialects(step: str) -> None:
    assert needs(step, NOTHING) == ("vitis_hls", "xilinx_env", "finn_hlslib")
    assert "vivado" in needs(step, {"verify_steps": ["node_by_node_rtlsim"]})


def test_cpp_simulation_is_where_this_finn_runs_it() -> None:
    config = {"verify_steps": ["folded_hls_cppsim"]}
    assert needs("minimize_bit_width", {}) == ()
    assert needs("minimize_bit_width", config) == ("g++", "hls_headers", "finn_hlslib")
    assert needs("minimize_bit_width_initial", config) == ()
    assert needs("apply_folding_config", config) == ()
    assert needs("apply_folding_config", config, distribution="finn") == ("g++", "hls_headers", "finn_hlslib")
    assert needs("minimize_bit_width", config, distribution="finn") == ()


@pytest.mark.parametrize(
    ("config", "simulates"),
    [
        ({}, True),
        ({"auto_fifo_strategy": "distributed_sim"}, True),
        ({"auto_fifo_strategy": "force_minimal_fifos"}, False),
        ({"auto_fifo_depths": False}, False),
    ],
)
def test_fifo_sizing(config: dict[str, Any], simulates: bool) -> None:
    found = needs("set_fifo_depths", config)
    assert ("vivado" in found) == ("make" in found) == simulates
    assert "vitis_hls" in found


def test_fifo_sizing_on_the_board_and_on_several_hosts() -> None:
    assert needs("set_fifo_depths", {"auto_fifo_strategy": "live_fifo"}) == ()
    several = {"fifosim_comm_mode": "hybrid_mpi"}
    assert {"mpirun", "mpicxx"} <= set(needs("set_fifo_depths", several))
    assert "srun" in needs("set_fifo_depths", several | {"fifosim_mpi_launcher": "srun"})


@pytest.mark.parametrize("strategy", ["characterize", "largefifo_rtlsim"])
def test_fifo_sizing_of_finn_main(strategy: str) -> None:
    found = needs("set_fifo_depths", {"auto_fifo_strategy": strategy}, distribution="finn")
    assert {"vivado", "g++", "vitis_hls"} <= set(found)


def test_generate_hardware_is_its_parts() -> None:
    parts = {*needs("hw_ipgen", {}), *needs("set_fifo_depths", {})}
    assert set(needs("generate_hardware", {})) == parts
    assert needs("generate_hardware", {"auto_fifo_strategy": "live_fifo"}) == needs("hw_ipgen", {})


def test_the_shell_decides_what_a_bitfile_needs() -> None:
    zynq = needs("synthesize_bitfile", {"shell_flow_type": "vivado_zynq"})
    alveo = needs("synthesize_bitfile", {"shell_flow_type": "vitis_alveo"})
    assert "vivado" in zynq
    assert "vitis" not in zynq
    assert {"vivado", "vitis", "xrt"} <= set(alveo)
    assert needs("prepare_synthesis", {"shell_flow_type": "vivado_zynq"}) == ()
    assert "vitis_hls" in needs("prepare_synthesis", {"shell_flow_type": "vitis_alveo"})


def test_enums_count_as_their_values() -> None:
    class Output(Enum):
        STITCHED_IP = "stitched_ip"

    assert needs("create_stitched_ip", {"generate_outputs": [Output.STITCHED_IP]}) == ("vivado",)


def test_every_need_is_a_registered_tool_once() -> None:
    everything = {
        "enable_instrumentation": True,
        "stitched_ip_gen_dcp": True,
        "fifosim_comm_mode": "hybrid_mpi",
        "verify_steps": ["folded_hls_cppsim", "node_by_node_rtlsim", "stitched_ip_rtlsim"],
    }
    for step in _RULES:
        for shell in ("vivado_zynq", "vitis_alveo"):
            for distribution in ("finn-plus", "finn"):
                found = needs(step, everything | {"shell_flow_type": shell}, distribution=distribution)
                assert set(found) <= set(registry.TOOLS)
                assert len(found) == len(set(found))
