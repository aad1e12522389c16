"""The steps of the open RTL path, and which of FINN's they stand for. Data only."""

from __future__ import annotations

from collections.abc import Mapping

from finnyaml.kinds import KINDS, Kind

STEPS: Mapping[str, Kind] = {name: kind for name, kind in KINDS.items() if name.startswith("rtl.")}
"""Our steps; each is a kind of task of its own."""

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
"""Steps after which the outputs are those before: what is lost there was lost above."""

SIMULATED_IN = {"stitched_ip_rtlsim": "rtl.simulate"}
"""FINN's verification points that our steps answer: the step that does."""

CANDIDATES = 128
"""Samples that rtl.export chooses its frames from, at least."""
