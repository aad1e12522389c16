"""What FINN had once and has no longer, and what stands for it now.

The one thing that the installed FINN cannot be asked. Whether an option is there is always asked from it; a row is only
looked up for one that is not.
"""

from __future__ import annotations

from collections.abc import Mapping

OPTIONS: Mapping[str, str] = {
    "default_swg_exception": "gone since finn-plus 1.6: FIFO sizes are found by simulation, which needs no exception",
    "default_swg_exceptions": "never was an option of FINN; default_swg_exception is gone since finn-plus 1.6",
    "force_python_rtlsim": "gone since finn-plus 1.6: there is one simulation of RTL (docs/rtl.md has an open one)",
    "split_large_fifos": "gone since finn-plus 1.6: large FIFOs are made of memory (`fifo: {large_mem_style: ...}`)",
    "force_rtl_conv_inp_gen": "gone since FINN 0.10: `specialize: {defaults: ...}` says which layers are RTL",
    "rtlsim_batch_size": "gone since finn-plus 1.6; `frames` of rtl.simulate has it in the open path",
    "rtlsim_use_vivado_comps": "gone since FINN simulates with xsi, which takes Vivado's components as they are",
    "fifosim_n_inferences": "gone since finn-plus 1.6: FINN finds itself how long it simulates",
    "fifosim_input_throttle": "gone since finn-plus 1.6: FINN finds itself how it feeds the simulation",
    "part": "a word of finn-plus' benchmarks for fpga_part",
}
"""Options of FINN's build configuration: since when they are gone, and what replaces them."""

CHOICES: Mapping[tuple[str, str], str] = {
    ("auto_fifo_strategy", "largefifo_rtlsim"): "gone since finn-plus 1.6: FINN's own default takes its place",
    ("auto_fifo_strategy", "characterize"): "gone since finn-plus 1.6: FINN's own default takes its place",
    ("auto_fifo_strategy", "characterize_analytic"): "gone since finn-plus 1.6: FINN's own default takes its place",
}
"""Values of options, as FINN wrote them."""

ADDED_STEPS: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "step_convert_to_hls": (
        "step_specialize_layers",
        ("step_create_dataflow_partition", "step_convert_to_hls"),
        "since FINN 0.10, step_convert_to_hls is two steps: convert_to_hw, and this one",
    ),
    "step_hls_codegen": (
        "step_minimize_bit_width",
        ("step_apply_folding_config", "step_target_fps_parallelization", "step_create_dataflow_partition"),
        "thresholds are rounded in this step now, and code generation needs that",
    ),
}
"""Old steps that are more than one now: the further step, what it follows (the first that is listed), and why."""

POINTS: Mapping[str, str] = {"folded_hls_cppsim": "step_apply_folding_config"}
"""FINN's verification points in the step that ran them before; which step runs them now, FINN is asked."""
