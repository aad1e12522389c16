"""FINN's compute layers as standard ONNX operators: matrix-vector units, thresholds, pooling, normalisation.

Each lowering reproduces what the layer's own `execute_node` computes, which is not always what its name says; where
the two part, a comment tells so. Activations are channels last, [1, H, W, C] or [1, C], as everywhere in FINN's
hardware.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from finnyaml.verify.executor.base import Lowering, NotLowerable, lowers
from finnyaml.verify.executor.interval import EXACT
from finnyaml.verify.executor.qonnx_ops import xnor_popcount
from finnyaml.verify.executor.thresholds import count, scaled

Product = Callable[[str, str | None], str]
"""From the name of an input, and what its output must be called if anything, to the name of its output."""


@lowers("Thresholding")
def thresholding(lowering: Lowering) -> None:
    x, thresholds = lowering.node.input[:2]
    rank = len(lowering.shape(x))
    count(lowering, x, lowering.given(thresholds), rank - 1, rank, *_levels(lowering), lowering.y)


@lowers("live.Thresholding")
def thresholding_at_run_time(lowering: Lowering) -> None:
    """The same for thresholds [channels or 1, steps] that are an input: each compared with, whatever they are."""
    x, thresholds = lowering.node.input[:2]
    total = ""
    for step in range(lowering.shape(thresholds)[1]):
        column = lowering.op("Gather", [thresholds, lowering.constant(np.int64(step))], axis=1)
        term = lowering.op("Cast", [lowering.op("GreaterOrEqual", [x, column])], to=TensorProto.FLOAT)
        total = lowering.op("Add", [total, term]) if total else term
    scaled(lowering, total, *_levels(lowering), lowering.y)


@lowers("MVAU")
def matrix_vector_unit(lowering: Lowering) -> None:
    """Dot products over the last axis, as XNOR-popcounts where both sides are bipolar, and thresholds."""
    weights: np.ndarray = lowering.given(lowering.node.input[1]).astype(np.float32)

    def product(x: str, output: str | None) -> str:
        if lowering.attribute("binaryXnorMode"):
            return xnor_popcount(lowering, x, weights, output)
        if _bipolar(lowering, "inputDataType", "weightDataType"):
            return _popcount(lowering, lowering.op("MatMul", [x, lowering.constant(weights)]), len(weights), output)
        return lowering.op("MatMul", [x, lowering.constant(weights)], output)

    _unit(lowering, weights.shape[-1], product)


@lowers("live.MVAU")
def matrix_vector_unit_at_run_time(lowering: Lowering) -> None:
    """The same for weights [MW, MH] that are an input."""
    weights = lowering.node.input[1]
    length, outputs = lowering.shape(weights)

    def product(x: str, output: str | None) -> str:
        if lowering.attribute("binaryXnorMode"):
            double = lowering.op("Mul", [weights, lowering.constant(np.float32(2))])
            signs = lowering.op("Sub", [double, lowering.constant(np.float32(1))])
            ones = lowering.op("ReduceSum", [weights, lowering.ints(0)], keepdims=0)
            zeros = lowering.op("Sub", [lowering.constant(np.float32(length)), ones])
            return lowering.op("Add", [_matmul(lowering, x, signs, length), zeros], output)
        if _bipolar(lowering, "inputDataType", "weightDataType"):
            return _popcount(lowering, _matmul(lowering, x, weights, length), length, output)
        return _matmul(lowering, x, weights, length, output)

    _unit(lowering, outputs, product)


def _unit(lowering: Lowering, outputs: int, product: Product) -> None:
    """The product of a matrix-vector unit between what it makes of its input and of its output's shape."""
    vectors = [*lowering.attribute("numInputVectors"), lowering.attribute("MW")]
    x, shape = lowering.x, lowering.shape(lowering.x)
    if shape[-1] != vectors[-1]:
        x, shape = lowering.reshape(x, vectors), vectors
    shape = [*shape[:-1], outputs]
    same = shape == lowering.shape(lowering.y)
    activated = not lowering.attribute("noActivation")

    y = product(x, lowering.y if same and not activated else None)
    if activated:
        # FINN thresholds axis 1 unless the tensor has four dimensions: the channels of two, but not of three.
        per_channel = lowering.given(lowering.node.input[2]).shape[0] > 1
        if per_channel and len(vectors) not in (2, 4):
            raise NotLowerable(f"FINN thresholds axis 1 of {len(vectors)} dimensions, which is not the channels")
        y = _activation(lowering, y, len(shape), lowering.y if same else None)
    if not same:
        lowering.reshape(y, lowering.shape(lowering.y), lowering.y)


@lowers("VVAU")
def vector_vector_unit(lowering: Lowering) -> None:
    """One dot product per channel over the window, [1, H, W, K * C] -> [1, H, W, C], and thresholds.

    The input is in the order in which FINN's Python makes windows. FINN itself takes it for the hardware's order, PE
    channels at a time, wherever the sliding window is not the node just before: no graph of a build gives that order.
    """
    kernel, channels = int(np.prod(lowering.attribute("Kernel"))), lowering.attribute("Channels")
    # As FINN does it: a matrix product, of which only a channel's own weights are not zero.
    weights: np.ndarray = np.zeros((kernel, channels, channels), np.float32)
    each = np.arange(channels)
    weights[:, each, each] = lowering.given(lowering.node.input[1]).reshape(channels, kernel).T
    matrix = lowering.constant(weights.reshape(kernel * channels, channels))

    bipolar = _bipolar(lowering, "inputDataType", "weightDataType")
    activated = not lowering.attribute("noActivation")
    output = None if activated else lowering.y
    y = lowering.op("MatMul", [lowering.x, matrix], None if bipolar else output)
    if bipolar:
        y = _popcount(lowering, y, kernel, output)
    if activated:
        _activation(lowering, y, 4, lowering.y)


@lowers("Pool")
def pool(lowering: Lowering) -> None:
    """Pooling over windows that lie in the last axis, [1, H, W, K * C] -> [1, H, W, C]."""
    shape = lowering.shape(lowering.x)
    if len(shape) != 4:
        raise NotLowerable(f"pooling over {len(shape)} dimensions")
    kernel, function = int(np.prod(lowering.attribute("KernelSize"))), lowering.attribute("Function")
    x = lowering.reshape(lowering.x, [*shape[:-1], kernel, lowering.attribute("Channels")])
    if function == "MaxPool":
        lowering.reduce("ReduceMax", x, [3], lowering.y)
    elif function == "AccPool":
        lowering.reduce("ReduceSum", x, [3], lowering.y)
    elif function == "AvgPool":
        lowering.op("Div", [lowering.reduce("ReduceSum", x, [3]), lowering.constant(np.float32(kernel))], lowering.y)
    else:
        largest = (2 ** lowering.instance.get_input_datatype().bitwidth() - 1) * kernel
        shift = max(largest.bit_length() - lowering.instance.get_output_datatype().bitwidth(), 0)
        scaled = lowering.op("Mul", [lowering.reduce("ReduceSum", x, [3]), lowering.constant(np.float32(2.0**-shift))])
        lowering.op("Floor", [scaled], lowering.y)


@lowers("GlobalAccPool")
def global_sum(lowering: Lowering) -> None:
    """Sums over height and width, [1, H, W, C] -> [1, 1, 1, C]."""
    if len(lowering.shape(lowering.x)) != 4:
        raise NotLowerable("FINN sums axes 1 and 2, which are height and width of four dimensions only")
    x = lowering.reduce("ReduceSum", lowering.x, [1, 2])
    lowering.reshape(x, lowering.shape(lowering.y), lowering.y)


@lowers("LabelSelect")
def label_select(lowering: Lowering) -> None:
    """The indices of the K largest values of the last axis, of equal ones the first; as float32."""
    best = lowering.ints(lowering.attribute("K"))
    _, indices = lowering.outputs("TopK", [lowering.x, best], [None, None])
    labels = lowering.op("Cast", [indices], to=TensorProto.FLOAT)
    lowering.reshape(labels, lowering.shape(lowering.y), lowering.y)


@lowers("Lookup")
def lookup(lowering: Lowering) -> None:
    """Rows of the table [entries, dimension] by index, [1, ...] -> [1, ..., dimension]."""
    table = lowering.constant(lowering.given(lowering.node.input[1]).astype(np.float32))
    indices = lowering.op("Cast", [lowering.x], to=TensorProto.INT64)
    lowering.op("Gather", [table, indices], lowering.y, axis=0)


@lowers("Requant")
def requant(lowering: Lowering) -> None:
    """clip(floor(x * scale + bias + 0.5)): halves go up, unlike in Quant."""
    from qonnx.custom_op.general.quant import max_int, min_int

    scale, bias = (lowering.given(name) for name in lowering.node.input[1:3])
    # numpy computes in the widest type that takes part, and so does FINN.
    number = np.result_type(np.float32, scale, bias)
    x = lowering.x
    if number != np.float32:
        x = lowering.op("Cast", [x], to=TensorProto.DOUBLE)
    x = lowering.op("Mul", [x, lowering.constant(scale.astype(number))])
    x = lowering.op("Add", [x, lowering.constant(bias.astype(number))])
    x = lowering.op("Floor", [lowering.op("Add", [x, lowering.constant(np.array(0.5, number))])])
    datatype = lowering.instance.get_output_datatype()
    limits = (int(datatype.signed()), lowering.attribute("narrow"), datatype.bitwidth())
    low, high = (lowering.constant(np.array(limit(*limits), number)) for limit in (min_int, max_int))
    if number == np.float32:
        lowering.op("Clip", [x, low, high], lowering.y)
    else:
        lowering.op("Cast", [lowering.op("Clip", [x, low, high])], lowering.y, to=TensorProto.FLOAT)


@lowers("HWSoftmax")
def softmax(lowering: Lowering) -> None:
    lowering.op("Softmax", [lowering.x], lowering.y, axis=-1)


@lowers("LayerNorm")
def layer_normalisation(lowering: Lowering) -> None:
    """Normalisation over the last axis; FINN has moved scale and bias into layers of their own."""
    x = lowering.x
    scale = lowering.constant(np.ones(lowering.shape(x)[-1], np.float32))
    epsilon = float(lowering.attribute("epsilon"))
    lowering.op("LayerNormalization", [x, scale], lowering.y, axis=-1, epsilon=epsilon)


def _activation(lowering: Lowering, y: str, rank: int, output: str | None) -> str:
    """The thresholds of MVAU and VVAU (input 2) on the last axis; bipolar outputs know no offset."""
    bipolar = _bipolar(lowering, "outputDataType")
    scale, bias = (2.0, -1.0) if bipolar else (1.0, float(lowering.attribute("ActVal")))
    thresholds = lowering.given(lowering.node.input[2])
    return count(lowering, y, thresholds, rank - 1, rank, scale, bias, output)


def _levels(lowering: Lowering) -> tuple[float, float]:
    """What a Thresholding layer makes of the number of thresholds reached: (factor, offset)."""
    offset = float(lowering.attribute("ActVal"))
    return (2.0, 2.0 * offset - 1.0) if _bipolar(lowering, "outputDataType") else (1.0, offset)


def _matmul(lowering: Lowering, x: str, weights: str, length: int, output: str | None = None) -> str:
    """A product with weights that are an input; in float64 where sums of integers may be too large for float32."""
    bounds, datatype = lowering.interval(x), lowering.datatype(lowering.node.input[1])
    largest = length * max(abs(datatype.min()), abs(datatype.max())) * bounds.magnitude
    if not EXACT <= largest < math.inf:
        return lowering.op("MatMul", [x, weights], output)
    wide = [lowering.op("Cast", [t], to=TensorProto.DOUBLE) for t in (x, weights)]
    return lowering.op("Cast", [lowering.op("MatMul", wide)], output, to=TensorProto.FLOAT)


def _popcount(lowering: Lowering, product: str, length: int, output: str | None) -> str:
    """How many of `length` bipolar products were +1, from their sum."""
    shifted = lowering.op("Add", [product, lowering.constant(np.float32(length))])
    return lowering.op("Mul", [shifted, lowering.constant(np.float32(0.5))], output)


def _bipolar(lowering: Lowering, *attributes: str) -> bool:
    return all(lowering.attribute(name) == "BIPOLAR" for name in attributes)
