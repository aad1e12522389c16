"""The steps of the open RTL path, and which of FINN's they stand for. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RtlStep:
    """`does` in one line, `defaults` of its settings. `kind` names its runner; `simulates`: it needs a C++ compiler."""

    does: str
    kind: str = "rtl"
    simulates: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


STEPS: Mapping[str, RtlStep] = {
    "rtl.size_fifos": RtlStep(
        "Finds the smallest FIFOs that keep the throughput, by simulation, and gives the layers' FIFOs these depths.",
        simulates=True,
        defaults={"target_interval": None, "slack": 0.0},
    ),
    "rtl.stitch": RtlStep("Joins the RTL of all layers to one design in SystemVerilog, as FINN's stitched IP."),
    "rtl.simulate": RtlStep(
        "Sends data through the stitched design in Verilator; every bit has to be right, and cycles are counted.",
        kind="rtl_simulation",
        simulates=True,
        defaults={"frames": 16, "stalls": {}, "max_interval": None, "waveform": False},
    ),
    "rtl.synthesize": RtlStep(
        "Synthesises the stitched design and its layers with Yosys: resources per layer, as estimates.",
        defaults={"layers": True},
    ),
    "rtl.export": RtlStep(
        "Writes the design as a folder of its own, with a test bench and a script for Vivado.",
        kind="rtl_simulation",
        defaults={"frames": 4},
    ),
}

SUBSTITUTES: Mapping[str, tuple[str, ...]] = {
    "step_set_fifo_depths": ("step_set_fifo_depths", "rtl.size_fifos"),
    "step_generate_hardware": ("step_generate_hardware", "rtl.size_fifos"),
    "step_create_stitched_ip": ("rtl.stitch",),
    "step_measure_rtlsim_performance": ("rtl.simulate",),
    "step_out_of_context_synthesis": ("rtl.synthesize",),
}
"""What runs in place of FINN's step with the open toolchain. The first two insert FIFOs of the least depth then."""

OUTPUTS = {
    "step_create_stitched_ip": "stitched_ip",
    "step_measure_rtlsim_performance": "rtlsim_performance",
    "step_out_of_context_synthesis": "out_of_context_synth",
}
"""The output without which FINN's step does nothing; then nothing has to stand for it."""

RUN_OPEN = frozenset({"step_hw_ipgen", *(name for name, steps in SUBSTITUTES.items() if name in steps)})
"""FINN's own steps that run without Xilinx' tools where all layers are RTL."""

MODEL_KEPT = frozenset(("rtl.stitch", "rtl.synthesize", "rtl.export"))
"""Steps after which the graph computes what it did before: nothing to measure unless it is asked for."""

SAME_GRAPH = MODEL_KEPT | {"rtl.simulate", "rtl.size_fifos"}
"""Steps after which the answers are those before: what is lost there was lost above."""

SIMULATED_IN = {"stitched_ip_rtlsim": "rtl.simulate"}
"""FINN's verification points that our steps answer: the step that does."""
