"""QONNX's custom ops: quantisers, thresholds, windows and pooling."""

from __future__ import annotations

import numpy as np

from finnyaml.verify.executor.base import Lowering, NotLowerable, lowers
from finnyaml.verify.executor.thresholds import choose, count
from finnyaml.verify.executor.windows import im2col

LAYOUTS = {2: "NC", 3: "NWC", 4: "NCHW"}  # what qonnx takes for granted without a data_layout
ROUNDING = {"ROUND": "Round", "HALF_EVEN": "Round", "CEIL": "Ceil", "FLOOR": "Floor"}
SIZE_ROUNDING = {"UP": ("", "Ceil"), "DOWN": ("", "Floor"), "HALF_UP": ("Add", "Floor"), "HALF_DOWN": ("Sub", "Ceil")}
"""Of the absolute value, with a half added or taken away before."""


@lowers("MultiThreshold")
def _multithreshold(lowering: Lowering) -> None:
    rank = len(lowering.shape(lowering.x))
    layout = lowering.attribute("data_layout") or LAYOUTS.get(rank, "")
    axis = layout.index("C") if "C" in layout else 1
    scale, bias = lowering.attribute("out_scale"), lowering.attribute("out_bias")
    count(lowering, lowering.x, lowering.given(lowering.node.input[1]), axis, rank, scale, bias, lowering.y)


@lowers("Quant", "IntQuant")
def _quant(lowering: Lowering) -> None:
    scale, zero_point, bits = (lowering.given(t) for t in lowering.node.input[1:4])
    if bits.size != 1:
        raise NotLowerable("a bit width per channel")
    y = _to_integers(lowering, lowering.x, scale, zero_point)
    if float(bits) == 1 and lowering.attribute("signed"):
        y = _sign(lowering, y, np.ones((), np.float32))
    else:
        y = _round(lowering, _clamp(lowering, y, float(bits)))
    _from_integers(lowering, y, zero_point.astype(np.float32), scale)


@lowers("BipolarQuant")
def _bipolar_quant(lowering: Lowering) -> None:
    _sign(lowering, lowering.x, lowering.given(lowering.node.input[1]), lowering.y)


@lowers("Trunc")
def _trunc(lowering: Lowering) -> None:
    node, instance = lowering.node, lowering.instance
    if instance.onnx_opset_version >= 2:
        scale, zero_point, _, output_scale, bits = (lowering.given(t) for t in node.input[1:6])
        if bits.size != 1:
            raise NotLowerable("a bit width per channel")
        divisor = 2 ** np.round(np.log2(output_scale / scale))
    else:
        scale, zero_point, input_bits, bits = (lowering.given(t) for t in node.input[1:5])
        output_scale, divisor = scale, 2 ** (input_bits - bits)
    y = lowering.op("Round", [_to_integers(lowering, lowering.x, scale, zero_point)])
    y = lowering.op("Div", [y, _float(lowering, divisor)])
    if instance.onnx_opset_version >= 2:
        y = _clamp(lowering, y, float(bits))
        zero_point = zero_point / divisor
    _from_integers(lowering, _round(lowering, y), zero_point, output_scale)


def _float(lowering: Lowering, value: np.ndarray) -> str:
    return lowering.constant(np.asarray(value).astype(np.float32))


def _to_integers(lowering: Lowering, x: str, scale: np.ndarray, zero_point: np.ndarray) -> str:
    if np.any(scale != 1):
        x = lowering.op("Div", [x, _float(lowering, scale)])
    if np.any(zero_point != 0):
        x = lowering.op("Add", [x, _float(lowering, zero_point)])
    return x


def _from_integers(lowering: Lowering, y: str, zero_point: np.ndarray, scale: np.ndarray) -> None:
    if np.any(zero_point != 0):
        y = lowering.op("Sub", [y, _float(lowering, zero_point)])
    # the multiplication stays even by 1: a scale of some dimensions may give the result its shape
    lowering.op("Mul", [y, _float(lowering, scale)], lowering.y)


def _sign(lowering: Lowering, x: str, scale: np.ndarray, output: str | None = None) -> str:
    reached = lowering.op("GreaterOrEqual", [x, lowering.constant(np.float32(0))])
    return choose(lowering, reached, scale.astype(np.float32), -scale.astype(np.float32), output)


def _clamp(lowering: Lowering, x: str, bits: float) -> str:
    signed, narrow = (bool(lowering.attribute(name)) for name in ("signed", "narrow"))
    low = -(2 ** (bits - 1)) + narrow if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    return lowering.op("Clip", [x, lowering.constant(np.float32(low)), lowering.constant(np.float32(high))])


def _round(lowering: Lowering, x: str) -> str:
    mode = lowering.attribute("rounding_mode").upper()
    if mode in ROUNDING:
        return lowering.op(ROUNDING[mode], [x])
    if mode not in SIZE_ROUNDING:
        raise NotLowerable(f"rounding mode {mode}")
    shift, rounding = SIZE_ROUNDING[mode]
    size = lowering.op("Abs", [x])
    if shift:
        size = lowering.op(shift, [size, lowering.constant(np.float32(0.5))])
    return lowering.op("Mul", [lowering.op("Sign", [x]), lowering.op(rounding, [size])])


@lowers("Im2Col")
def _im2col(lowering: Lowering) -> None:
    shape = lowering.shape(lowering.x)
    kernel, pads = lowering.attribute("kernel_size"), lowering.attribute("pad_amount")
    for axis, size in enumerate(shape[1:3]):
        if size == 1 and (kernel[axis] != 1 or pads[axis] + pads[axis + 2] != 0):
            raise NotLowerable("qonnx executes no kernel or padding along an axis of size 1")
    stride, dilation, value = (lowering.attribute(name) for name in ("stride", "dilations", "pad_value"))
    im2col(lowering, lowering.x, shape, kernel, stride, dilation, pads, value, lowering.y)


@lowers("XnorPopcountMatMul")
def _xnor(lowering: Lowering) -> None:
    xnor_popcount(lowering, lowering.x, lowering.given(lowering.node.input[1]), lowering.y)


def xnor_popcount(lowering: Lowering, x: str, weights: np.ndarray, output: str | None) -> str:
    """How many of the K pairs of bits are equal: `x` [..., K] and `weights` [K, n], both of {0, 1}.

    With w' = 2w - 1 the number is x @ w' + (K - sum of w); this also holds where `x` was padded with zeros.
    """
    signs = (2.0 * weights - 1.0).astype(np.float32)
    zeros = (weights.shape[0] - weights.sum(axis=0)).astype(np.float32)
    return lowering.op("Add", [lowering.op("MatMul", [x, lowering.constant(signs)]), lowering.constant(zeros)], output)


@lowers("MaxPoolNHWC")
def _max_pool(lowering: Lowering) -> None:
    names = ("kernel_shape", "pads", "strides", "ceil_mode")
    x = lowering.op("Transpose", [lowering.x], perm=[0, 3, 1, 2])
    x = lowering.op("MaxPool", [x], **{name: lowering.attribute(name) for name in names})
    lowering.op("Transpose", [x], lowering.y, perm=[0, 2, 3, 1])


@lowers("QuantAvgPool2d")
def _quant_average(lowering: Lowering) -> None:
    instance = lowering.instance
    kernel, stride = lowering.attribute("kernel"), lowering.attribute("stride")
    last = lowering.attribute("data_layout") == "NHWC"
    x = lowering.op("Transpose", [lowering.x], perm=[0, 3, 1, 2]) if last else lowering.x
    x = lowering.op("AveragePool", [x], kernel_shape=[kernel, kernel], strides=[stride, stride])
    x = lowering.op("Round", [lowering.op("Mul", [x, lowering.constant(np.float32(kernel * kernel))])])
    shift = lowering.constant(np.float32(2.0 ** -instance.get_shifts()))
    x = lowering.op("Floor", [lowering.op("Mul", [x, shift])], None if last else lowering.y)
    if last:
        lowering.op("Transpose", [x], lowering.y, perm=[0, 2, 3, 1])
