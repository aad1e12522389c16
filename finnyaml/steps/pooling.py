"""Averages become sums and one scale, which is what FINN has hardware for. Runs in workers."""

from __future__ import annotations

import copy

import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import RemoveUnusedTensors
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finnyaml.graph.surgery import Node, Repaired, free_name
from finnyaml.graph.view import View, name
from finnyaml.lint.layers import Window, holds_integers, scale_of_one, window

_QONNX = "qonnx.custom_op.general"


def sum_pools(model: ModelWrapper) -> Repaired:
    """Make average pooling (global too) a sum of integers in hardware, and one scale behind it.

    A scale between the quantizer and the pooling moves behind it: the average of scaled numbers is the scaled average
    of the numbers, up to rounding of floats. The sum has as many bits as it needs, so nothing is cut off. Streamlining
    takes the scale into the next thresholds. Windows that are not squares, or padded, are summed by a convolution with
    weights of 1. Belongs after `tidy_up`, before `streamline`.

    Averages that no sum gives, or of values that are not integers, are named in the notes.
    """
    model = copy.deepcopy(model)
    view = View(model)
    taken = set(model.get_all_tensor_names())
    changes, notes = [], []
    for node in view.nodes:
        found = window(view, node)
        if found is None:
            continue
        if isinstance(found, str):
            notes.append(f"{name(node)} ({node.op_type}) is left: {found}")
            continue
        source, scales = _integers(view, str(node.input[0]))
        datatype = view.datatype(source)
        if not holds_integers(view, source):
            notes.append(f"{name(node)} ({node.op_type}) is left: it averages values that are not integers")
            continue
        _replace(model, view, node, source, scales, found, taken)
        size = f"{found.kernel[0]} x {found.kernel[1]}"
        changes.append(f"{name(node)} ({node.op_type}) sums {size} values of {datatype.name}")
    if changes:
        model = model.transform(RemoveUnusedTensors()).transform(InferShapes()).transform(InferDataTypes())
    return Repaired(model, tuple(changes), tuple(notes))


def _integers(view: View, tensor: str) -> tuple[str, list[Node]]:
    """The tensor before the scales of one number that stand before `tensor`, and those scales, the first first."""
    scales: list[Node] = []
    while not holds_integers(view, tensor) and (node := view.producer(tensor)) is not None:
        if not scale_of_one(view, node):
            break
        scales.insert(0, node)
        tensor = view.dynamic_inputs(node)[0]
    return tensor, scales


def _replace(
    model: ModelWrapper,
    view: View,
    node: Node,
    source: str,
    scales: list[Node],
    window: Window,
    taken: set[str],
) -> None:
    shape, result = view.shape(node.input[0]), str(node.output[0])
    (high, wide), (down, right) = window.kernel, window.strides
    top, left, bottom, end = window.pads
    pooled = (
        shape[0],
        shape[1],
        (shape[2] + top + bottom - high) // down + 1,
        (shape[3] + left + end - wide) // right + 1,
    )
    sums, factor = free_name(f"{result}_sums", taken), free_name(f"{result}_share", taken)
    make = _pool if window.plain else _convolution
    made = [make(model, view, source, sums, window, taken)]
    model.set_tensor_shape(sums, list(pooled))
    model.set_initializer(factor, np.float32(1 / (high * wide)))
    tensor = sums
    operands = [("Mul", factor), *((scale.op_type, _constant(view, scale)) for scale in scales)]
    flat = view.shape(result) != pooled
    for index, (kind, constant) in enumerate(operands):
        last = index == len(operands) - 1 and not flat
        following = result if last else free_name(f"{result}_scaled", taken)
        made.append(helper.make_node(kind, [tensor, constant], [following]))
        if not last:
            model.set_tensor_shape(following, list(pooled))
        tensor = following
    if flat:
        wanted = free_name(f"{result}_shape", taken)
        model.set_initializer(wanted, np.array(view.shape(result), np.int64))
        made.append(helper.make_node("Reshape", [tensor, wanted], [result]))
    for new in made:
        new.metadata_props.extend(node.metadata_props)
    index = next(index for index, other in enumerate(model.graph.node) if other.output[:1] == node.output[:1])
    model.graph.node.remove(node)
    for offset, new in enumerate(made):
        model.graph.node.insert(index + offset, new)
    for scale in reversed(scales):
        if not any(scale.output[0] in other.input for other in model.graph.node):
            model.graph.node.remove(scale)


def _pool(model: ModelWrapper, view: View, source: str, sums: str, window: Window, taken: set[str]) -> Node:
    """QONNX's truncating pool with as many bits as the sum has: it cuts nothing off."""
    datatype = view.datatype(source)
    size = window.kernel[0]
    bits = int((2 ** datatype.bitwidth() - 1) * size * size).bit_length() + int(datatype.signed())
    model.set_tensor_datatype(sums, DataType[f"{'INT' if datatype.signed() else 'UINT'}{bits}"])
    return helper.make_node(
        "QuantAvgPool2d",
        [source],
        [sums],
        domain=_QONNX,
        kernel=size,
        stride=window.strides[0],
        ibits=datatype.bitwidth(),
        obits=bits,
        signed=int(datatype.signed()),
        data_layout="NCHW",
    )


def _convolution(model: ModelWrapper, view: View, source: str, sums: str, window: Window, taken: set[str]) -> Node:
    """A convolution of each channel for itself with weights of 1: for windows that are not plain squares."""
    channels = view.shape(source)[1]
    ones = free_name(f"{sums}_ones", taken)
    model.set_initializer(ones, np.ones((channels, 1, *window.kernel), np.float32))
    model.set_tensor_datatype(ones, DataType["INT2"])
    return helper.make_node(
        "Conv",
        [source, ones],
        [sums],
        group=channels,
        kernel_shape=list(window.kernel),
        strides=list(window.strides),
        dilations=[1, 1],
        pads=list(window.pads),
    )


def _constant(view: View, node: Node) -> str:
    return next(str(tensor) for tensor in node.input if view.is_constant(tensor))
