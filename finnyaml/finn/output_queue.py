"""Whether FINN's matrix unit loses results when it has to wait: it depends on the folding, and on Versal on the widths.

The unit (mvu_vvu_axi.sv) stops its core when a result has to wait in its output queue. What the core still gives then
has to find a place there: one result for each of the cycles that it takes, and for the cycle in which it is stopped,
divided by the cycles that a result takes. FINN sizes the queue by a formula for that time which does not hold for every
core, and leaves that last cycle out.
"""

from __future__ import annotations

from math import ceil, log2
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

LAYERS = ("MVAU_rtl", "VVAU_rtl")


def cycles_to_a_result(layer: Any) -> int:
    """Cycles in which a row of weights is taken."""
    kernel = layer.get_nodeattr("Kernel") if layer.onnx_node.op_type == "VVAU_rtl" else None
    width = int(np.prod(kernel)) if kernel else layer.get_nodeattr("MW")
    return max(1, int(width // layer.get_nodeattr("SIMD")))


def is_short(layer: Any, model: ModelWrapper, part: str | None, clock_ns: float) -> bool:
    """Whether results can be lost. part: None counts as one that is not Versal, where only SIMD = MW matters."""
    if layer.onnx_node.op_type == "MVAU_rtl" and layer.get_nodeattr("TH") > 1:
        return False  # made by another unit
    simd, parts = int(layer.get_nodeattr("SIMD")), cycles_to_a_result(layer)
    if part is None or not _is_versal(part):
        return parts == 1
    segment = max(1, int(layer._resolve_segment_len(clock_ns)))
    depth = 3 + (-(-simd // 3) - 1) // segment
    latency = 4 + ceil(log2(simd)) + (simd == 1) if _is_soft(layer, model) else depth
    return (latency + 1) // parts > depth


def _is_versal(part: str) -> bool:
    from finn.util.basic import get_dsp_block

    return bool(get_dsp_block(part) == "DSP58")


def _is_soft(layer: Any, model: ModelWrapper) -> bool:
    """Whether several products share a multiplier (mvu.sv): not in the DSP58's INT8 mode."""
    weights, activations = layer.get_input_datatype(1), layer.get_input_datatype(0)
    values = model.get_initializer(layer.onnx_node.input[1])
    narrow = values is not None and values.min() != weights.min()
    wide, taken = weights.bitwidth(), activations.bitwidth()
    lanes = 1 + (27 - (not narrow) - wide) // (wide + taken - 1)
    return bool(layer.onnx_node.op_type == "MVAU_rtl" and (lanes > 3 or wide > 8 or taken > 9))
