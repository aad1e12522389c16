"""A step function of FINN that would start Xilinx' tools, with Verilator in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnyaml.errors import ToolMissing
from finnyaml.finn import xsi
from finnyaml.finn.door import open_door
from finnyaml.worker.context import Context, made_model, needed_model

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> ModelWrapper:
    """Call the step with FINN's simulator replaced. Raises ToolMissing where a layer needs Xilinx' tools."""
    step, model = open_door().steps[context.uses], needed_model(context)
    refuse_hls(model, context.uses)
    with xsi.installed(context.cache):
        return made_model(step(model, context.config()), context)


def refuse_hls(model: ModelWrapper, step: str) -> None:
    """Raises ToolMissing where a step of FINN would call Vitis HLS, or Vivado for a design within the design."""
    nested = [node for node in model.graph.node if node.op_type in ("FINNLoop", "NodeContainer")]
    if nested:
        told = ", ".join(f"{node.name} ({node.op_type})" for node in nested)
        raise ToolMissing(
            f"{step} needs Vivado, which the open toolchain has not: {told} "
            f"{'holds a design' if len(nested) == 1 else 'hold designs'} that FINN packs on the way",
            hint="leave multi-layer offload and containers out of the build; or install Vivado and set "
            "`toolchain: vivado`",
        )
    names = [node.name for node in model.graph.node if node.domain.endswith(".hls")]
    if names:
        told = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        raise ToolMissing(
            f"{step} needs Vitis HLS, which the open toolchain has not: {told} "
            f"{'is an HLS layer' if len(names) == 1 else 'are HLS layers'}",
            hint="`specialize: {prefer: rtl}` makes RTL of every layer that can be and reports why others cannot "
            "(docs/rtl.md); or install Vivado and Vitis HLS and set `toolchain: vivado`",
        )
