"""Quantizers that FINN's conversion does not take become thresholds, exactly. Runs in workers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import RemoveUnusedTensors
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finnyaml.errors import StepFailed
from finnyaml.graph.surgery import Node, Repaired, free_name, integer_type
from finnyaml.graph.view import View, attributes, name
from finnyaml.lint.quantizers import QUANTIZERS, biased, not_taken
from finnyaml.steps.crossings import Function, crossings

WIDEST = 10
"""Bits above which as many thresholds as a quantizer has steps are no hardware."""

_QONNX = "qonnx.custom_op.general"


def convert_quantizers(model: ModelWrapper) -> Repaired:
    """Make thresholds of quantizers with a zero point, of another rounding than to the nearest, and of truncations.

    FINN's conversion refuses a zero point, takes every quantizer for one that rounds to the nearest, and knows
    truncation only as part of an average pooling that cuts off. Each such quantizer becomes a MultiThreshold whose
    thresholds are the lowest floats at which the quantizer, as QONNX computes it, gives the next number; its numbers
    are counted from the zero point, which may take a bit more. Belongs before `qonnx_to_finn`.

    Raises:
        StepFailed: a scale that is not one number or one per channel, a zero point that is not one integer, or more
            than 10 bits.
    """
    model = copy.deepcopy(model)
    view = View(model)
    taken = set(model.get_all_tensor_names())
    changes = []
    for node in view.nodes:
        reason = not_taken(view, node)
        if reason is None:
            continue
        low, high, zero = _range(view, node)
        scale = _scale(view, node)
        levels = np.broadcast_to(np.arange(low + 1, high + 1), (scale.size, high - low))
        thresholds = crossings(_numbers(view, node, scale, zero), levels)
        datatype = DataType[integer_type(low - zero, high - zero)]
        made, scaled, factor = (free_name(f"{node.output[0]}_{what}", taken) for what in ("steps", "number", "scale"))
        model.set_initializer(made, thresholds)
        rank = len(view.shape(node.input[0]))
        layout = {2: "NC", 3: "NCW", 4: "NCHW"}.get(rank)
        if layout is None and scale.size > 1:
            raise StepFailed(f"convert_quantizers: {name(node)} has a scale per channel on {rank} dimensions")
        written = {"out_dtype": datatype.name, "out_bias": float(low - zero), "out_scale": 1.0}
        if layout is not None:
            written["data_layout"] = layout
        model.set_initializer(factor, scale if scale.size > 1 else scale.reshape(()))
        places = [index for index, other in enumerate(model.graph.node) if other.output[:1] == node.output[:1]]
        steps = helper.make_node("MultiThreshold", [node.input[0], made], [scaled], domain=_QONNX, **written)
        back = helper.make_node("Mul", [scaled, factor], [node.output[0]])
        for new in (steps, back):
            new.metadata_props.extend(node.metadata_props)
        model.graph.node.remove(node)
        model.graph.node.insert(places[0], steps)
        model.graph.node.insert(places[0] + 1, back)
        changes.append(f"{name(node)} ({node.op_type}) {reason}: it is {high - low} thresholds ({datatype.name})")
    if changes:
        if all(entry.domain != _QONNX for entry in model.model.opset_import):
            model.model.opset_import.add(domain=_QONNX, version=1)
        model = model.transform(RemoveUnusedTensors()).transform(InferShapes()).transform(InferDataTypes())
    return Repaired(model, tuple(changes))


def _range(view: View, node: Node) -> tuple[int, int, int]:
    """The lowest and highest number of a quantizer, and the number that stands for 0."""
    bits = view.constant(node.input[3 if node.op_type in QUANTIZERS else len(node.input) - 1])
    zeros = view.constant(node.input[2])
    if bits is None or zeros is None or bits.size != 1:
        raise StepFailed(f"convert_quantizers: {name(node)} has a bit width or zero point that is computed")
    width, zero = int(bits.item()), float(zeros.reshape(-1)[0])
    if zero != int(zero) or (zeros != zero).any():
        raise StepFailed(
            f"convert_quantizers: {name(node)} has zero points that are not one integer",
            hint="quantize per tensor, with an integer zero point",
        )
    if width > WIDEST:
        raise StepFailed(f"convert_quantizers: {name(node)} has {width} bits: {2**width - 1} thresholds")
    if node.op_type == "Trunc" and zero:
        raise StepFailed(f"convert_quantizers: {name(node)} truncates values with a zero point")
    written = attributes(node)
    signed = bool(written.get("signed", 1 if node.op_type in QUANTIZERS else _is_signed(view, node)))
    narrow = bool(written.get("narrow", 0))
    low = -(2 ** (width - 1)) + narrow if signed else 0
    return low, (2 ** (width - 1) if signed else 2**width) - 1 - (narrow and not signed), int(zero)


def _is_signed(view: View, node: Node) -> bool:
    """Whether what is truncated may be negative: the nearest quantizer before it says so."""
    before = view.producer(str(node.input[0]))
    while before is not None:
        if before.op_type in QUANTIZERS:
            return bool(attributes(before).get("signed", 1))
        inputs = view.dynamic_inputs(before)
        before = view.producer(inputs[0]) if inputs else None
    return True


def _scale(view: View, node: Node) -> np.ndarray:
    """The scale of the numbers that a quantizer gives: [1], or [1, channels, 1, 1] and the like."""
    scale = view.constant(node.input[1 if node.op_type in QUANTIZERS else len(node.input) - 2])
    if node.op_type == "Trunc" and len(node.input) == 5:  # its first form: the scale stays
        scale = view.constant(node.input[1])
    if scale is None:
        raise StepFailed(
            f"convert_quantizers: the scale of {name(node)} is computed",
            hint="use a quantizer whose scale is a constant or a parameter",
        )
    if scale.size == 1:
        return scale.reshape(1).astype(np.float32)
    rank = len(view.shape(node.input[0]))
    shape = (1,) * (rank - scale.ndim) + scale.shape
    if len(shape) != rank or scale.size != shape[1]:
        raise StepFailed(
            f"convert_quantizers: {name(node)} has a scale of shape {list(scale.shape)}",
            hint="quantize per tensor, or per channel along the second axis",
        )
    return scale.reshape(shape).astype(np.float32)


def _numbers(view: View, node: Node, scale: np.ndarray, zero: int) -> Function:
    """The integers that a quantizer gives, [n, channels] from floats [n, channels]."""
    layer: Any = view.layer(node)
    operands = {str(tensor): view.constant(tensor) for tensor in node.input[1:] if tensor}
    rank = len(view.shape(node.input[0]))

    def numbers(values: np.ndarray) -> np.ndarray:
        shape = [1] * rank
        shape[0] = len(values)
        if rank > 1:
            shape[1] = values.shape[1]
        context = {**operands, str(node.input[0]): values.reshape(shape), str(node.output[0]): None}
        layer.execute_node(context, None)
        found: np.ndarray = np.rint(np.asarray(context[str(node.output[0])]) / scale + zero)
        return found.reshape(values.shape)

    return numbers


def fold_bias_quantizers(model: ModelWrapper) -> Repaired:
    """Store quantized biases as the numbers that they are.

    FINN wants a scale for each channel there and Brevitas exports one for all. What is added in the end is a constant
    either way. Belongs before `qonnx_to_finn`.
    """
    model = copy.deepcopy(model)
    view = View(model)
    changes = []
    for node in view.nodes:
        users = biased(view, node)
        if not users:
            continue
        layer: Any = view.layer(node)
        context = {str(tensor): view.constant(tensor) for tensor in node.input}
        context[str(node.output[0])] = None
        layer.execute_node(context, None)
        model.graph.node.remove(node)
        stored = np.asarray(context[str(node.output[0])], np.float32)
        model.set_initializer(str(node.output[0]), stored)
        model.set_tensor_datatype(str(node.output[0]), DataType["FLOAT32"])
        changes.append(f"the bias of {name(users[0])} ({users[0].op_type}) is stored as it is")
    if changes:
        model = model.transform(RemoveUnusedTensors())
    return Repaired(model, tuple(changes))
