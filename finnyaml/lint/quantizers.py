"""Quantizers that FINN's conversion to thresholds does not take, or takes for others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from finnyaml.graph.view import View, attributes, name
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.rules import Stage, checks, finding

QUANTIZERS = frozenset(("Quant", "IntQuant"))


def zero_point(view: View, node: Any) -> np.ndarray | None:
    """The zero point of a quantizer of activations; None for any other node, and for one that is computed."""
    if node.op_type not in QUANTIZERS or not view.dynamic_inputs(node):
        return None
    return view.constant(node.input[2])


def not_taken(view: View, node: Any) -> str | None:
    """Why FINN's conversion does not take a quantizer of activations, in words; None where it does."""
    if not view.dynamic_inputs(node) or view.is_constant(str(node.input[0])):
        return None
    rounding = str(attributes(node).get("rounding_mode", "ROUND" if node.op_type in QUANTIZERS else "FLOOR")).upper()
    if node.op_type in QUANTIZERS:
        zero = zero_point(view, node)
        if zero is not None and bool((zero != 0).any()):
            return f"has the zero point {zero.reshape(-1)[0]:g}"
        return None if rounding in ("ROUND", "HALF_EVEN") else f"rounds by {rounding}"
    if node.op_type == "Trunc":
        before = view.producer(str(node.input[0]))
        if rounding != "FLOOR":
            return f"rounds by {rounding} where FINN's pooling cuts off"
        if before is None or before.op_type != "AveragePool":
            return f"stands behind {before.op_type if before is not None else 'the input'}, and not AveragePool"
    return None


def biased(view: View, node: Any) -> list[Any]:
    """The layers whose bias a quantizer of constants gives; none for any other node."""
    if node.op_type not in QUANTIZERS or view.dynamic_inputs(node):
        return []
    users = view.consumers(node.output[0])
    layers = ("Conv", "ConvTranspose", "Gemm")
    adds = [user.op_type in layers and list(user.input)[2:3] == [node.output[0]] for user in users]
    return users if all(adds) else []


@checks("quantizer-not-convertible")
def _quantizer(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        reason = not_taken(view, node)
        if reason is None:
            continue
        stops = "stops there" if "rounds by" not in reason or node.op_type == "Trunc" else "computes something else"
        yield finding(
            "quantizer-not-convertible",
            f"{name(node)} ({node.op_type}) {reason}: qonnx_to_finn {stops}",
            node=name(node),
            hint="insert the step convert_quantizers before qonnx_to_finn: it makes thresholds of it, exact",
        )


@checks("bias-with-one-scale")
def _bias(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        users = biased(view, node)
        scale = view.constant(node.input[1]) if users else None
        bias = view.constant(node.input[0]) if users else None
        if scale is None or bias is None or scale.size != 1 or scale.shape == (1,) or bias.size == 1:
            continue
        layer = next((user for user in users if "Conv" in user.op_type), None)
        if layer is not None:
            yield finding(
                "bias-with-one-scale",
                f"the quantized bias of {name(layer)} ({layer.op_type}) has one scale for {bias.size} channels: "
                "qonnx_to_finn stops there (cannot reshape array of size 1)",
                node=name(layer),
                hint="insert the step fold_bias_quantizers before qonnx_to_finn: exact",
            )
