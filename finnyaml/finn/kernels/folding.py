"""Lets FINN's SetFolding fold our kernels.

It knows layers by lists of op types inside its method, and lets a Pool and its sliding window have one folding. So
while it runs, our kernels go by the names of the HLS layers that they replace.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from finn.transformation.fpgadataflow.annotate_cycles import AnnotateCycles
from finn.transformation.fpgadataflow.set_folding import SetFolding
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveUniqueNodeNames

from finnyaml.finn.kernels import kernels

RTL = "finn.custom_op.fpgadataflow.rtl"
HLS = "finn.custom_op.fpgadataflow.hls"

Apply = Callable[[Any, ModelWrapper], tuple[ModelWrapper, bool]]


def adapt() -> None:
    """Change SetFolding in this process; a second call changes nothing."""
    if not hasattr(SetFolding.apply, "__wrapped__"):
        SetFolding.apply = _under_known_names(SetFolding.apply)


def _under_known_names(apply: Apply) -> Apply:
    known = {kernel: f"{op_type}_hls" for op_type, kernel in kernels().items()}

    @functools.wraps(apply)
    def folded(self: Any, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        # tensors outlive the copies of the model that FINN makes on the way
        ours = {n.output[0]: n.op_type for n in model.graph.node if n.domain == RTL and n.op_type in known}
        if not ours:
            return apply(self, model)
        for node in model.graph.node:
            if node.output[0] in ours:
                node.op_type, node.domain = known[node.op_type], HLS
        model, changed = apply(self, model)
        for node in model.graph.node:
            if node.output[0] in ours:
                node.op_type, node.domain = ours[node.output[0]], RTL
        return model.transform(GiveUniqueNodeNames()).transform(AnnotateCycles()), changed

    return folded
