"""HLS layers become kernels of ours, where one covers them."""

from __future__ import annotations

from typing import Any

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveUniqueNodeNames

from finnyaml.finn.kernels import kernels
from finnyaml.finn.kernels.folding import RTL
from finnyaml.finn.kernels.register import register
from finnyaml.graph.view import style


def use_kernels(model: ModelWrapper) -> tuple[ModelWrapper, list[tuple[str, str]]]:
    """Give every HLS layer that one of our kernels covers to that kernel.

    The model, changed in place, is one after FINN's step specialize_layers. Layers keep their tensors and the
    attributes that both variants have, and all are named anew as FINN does it (`Pool_rtl_0`).

    Returns:
        The model, and for each HLS layer for which there is a kernel that does not cover it: its name, and a sentence
        that says why. Layers for which there is none at all are not mentioned.
    """
    register()
    known = {f"{op_type}_hls": kernel for op_type, kernel in kernels().items()}
    refused: dict[str, str] = {}
    for node in model.graph.node:
        if style(node) != "hls" or node.op_type not in known:
            continue
        candidate = _as_kernel(node, known[node.op_type])
        reason = getCustomOp(candidate).why_not()
        if reason is None:
            node.CopyFrom(candidate)
        else:
            refused[node.output[0]] = reason
    model = model.transform(GiveUniqueNodeNames())
    names = {node.output[0]: node.name for node in model.graph.node}
    return model, [(names[tensor], f"{names[tensor]} {reason}.") for tensor, reason in refused.items()]


def _as_kernel(node: NodeProto, kernel: str) -> NodeProto:
    """A copy of the node as a kernel of ours, with the attributes that this has too."""
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.op_type, copy.domain = kernel, RTL
    instance: Any = getCustomOp(copy)
    types = instance.get_nodeattr_types()
    kept = [attribute for attribute in copy.attribute if attribute.name in types]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    if kernel == "IntegerAdd_rtl" and instance.lhs_style == "const":
        _swap_operands(copy, instance)
    return copy


def _swap_operands(node: NodeProto, instance: Any) -> None:
    """Put the second operand of a sum first (in place): FINN connects streams by their position among the inputs."""
    node.input[:] = [node.input[1], node.input[0]]
    for what in ("style", "dtype", "shape"):
        lhs, rhs = instance.get_nodeattr(f"lhs_{what}"), instance.get_nodeattr(f"rhs_{what}")
        instance.set_nodeattr(f"lhs_{what}", rhs)
        instance.set_nodeattr(f"rhs_{what}", lhs)
