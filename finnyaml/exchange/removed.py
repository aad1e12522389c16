"""What FINN had once and has no longer, and what stands for it now.

The one thing that the installed FINN cannot be asked. Whether an option is there is always asked from it; a row is only
looked up for one that is not.
"""

from __future__ import annotations

from collections.abc import Mapping

_SINCE_1_5 = "gone since finn-plus 1.5 (Xilinx's FINN still has it)"

OPTIONS: Mapping[str, str] = {
    "default_mem_mode": "gone since FINN 0.10: `mem_mode: [internal_decoupled, [MVAU_rtl]]` in `defaults` of folding",
    "default_swg_exception": f"{_SINCE_1_5}: its way of sizing FIFOs needs no exception",
    "default_swg_exceptions": "no FINN reads it: finn-plus 1.4 has it in a file by mistake, for default_swg_exception",
    "force_python_rtlsim": "gone since FINN simulates with xsi (2025; finn-plus never had it): one simulation is left",
    "split_large_fifos": (
        "gone since finn-plus 1.6 (Xilinx's FINN still has it): its FIFO chooses by size what memory it is made of, "
        "`fifo: {large_mem_style: ...}` for large ones"
    ),
    "force_rtl_conv_inp_gen": "gone since FINN 0.10: `defaults: {ConvolutionInputGenerator: rtl}` of specialize",
    "rtlsim_batch_size": f"{_SINCE_1_5}: `frames` of rtl.simulate says it in the open path",
    "rtlsim_use_vivado_comps": f"{_SINCE_1_5}: it simulates with Vivado, which has its own components",
    "fifosim_n_inferences": f"{_SINCE_1_5}: its way of sizing FIFOs has no such setting",
    "fifosim_input_throttle": f"{_SINCE_1_5}: its way of sizing FIFOs has no such setting",
    "live_fifo_sizing": "of finn-plus 1.2 to 1.4: `fifo: {strategy: live_fifo}` since 1.5",
    "part": "a word of finn-plus' benchmarks for fpga_part",
}
"""Options of FINN's build configuration: since when they are gone, and what replaces them.

By the releases: FINN 0.7 to 0.10.1 and its branch `dev` of April 2026; finn-plus 1.0 to 1.6.1.
"""

CHOICES: Mapping[tuple[str, str], str] = {
    ("auto_fifo_strategy", choice): f"{_SINCE_1_5}: its own default takes its place"
    for choice in ("largefifo_rtlsim", "characterize")
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
        "it came with FINN 0.10; thresholds are rounded in this step now, and code generation needs that",
    ),
}
"""Old steps that are more than one now: the further step, what it follows (the first that is listed), and why."""

POINTS: Mapping[str, str] = {"folded_hls_cppsim": "step_apply_folding_config"}
"""FINN's verification points in the step that ran them before; which step runs them now, FINN is asked."""
