"""FINN's element-wise layers, and its activation functions, as standard ONNX operators.

FINN computes integers in int64 (mixed with floats: float64) and stores the result as float32. All operands are
float32 values, so float32 arithmetic gives the same bits at any integer width: int64 sums and products are exact and
rounded once, and rounding to float64 before float32 changes no sum, product or quotient of two float32 numbers. Only
what wraps around in int64, and bits, need integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from finnyaml.finn.door import activation_functions
from finnyaml.verify.executor.base import Lowering, NotLowerable, lowers
from finnyaml.verify.executor.thresholds import count

ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Max")
COMPARISONS = ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
LOGIC = ("And", "Or", "Xor")
BITWISE = ("BitwiseAnd", "BitwiseOr", "BitwiseXor")
PREFIX = "Elementwise"
"""What FINN puts before ONNX's name of the operator to name its layer."""
INT64_BITS = 63
"""Bits of a magnitude in int64."""


@lowers(*(PREFIX + name for name in ARITHMETIC))
def arithmetic(lowering: Lowering) -> None:
    node, layer = lowering.node, lowering.instance
    both = (layer.lhs_dtype, layer.rhs_dtype)
    if all(datatype.is_integer() for datatype in both):
        bits = [datatype.bitwidth() for datatype in both]
        if (sum(bits) if node.op_type == "ElementwiseMul" else max(bits) + 1) > INT64_BITS:
            raise NotLowerable("int64 of FINN's Python may wrap around")
    lowering.op(node.op_type.removeprefix(PREFIX), _operands(lowering), lowering.y)


@lowers("ElementwiseAbsDiff")
def absolute_difference(lowering: Lowering) -> None:
    difference = lowering.op("Sub", _operands(lowering))
    lowering.op("Abs", [difference], lowering.y)


@lowers(*(PREFIX + name for name in (*COMPARISONS, *LOGIC, *BITWISE)))
def logic(lowering: Lowering) -> None:
    """Comparisons, logic (what is not 0 is true), and logic of the bits of int64."""
    name, operands = lowering.node.op_type.removeprefix(PREFIX), _operands(lowering)
    if name not in COMPARISONS:
        operands = [_cast(lowering, x, TensorProto.BOOL if name in LOGIC else TensorProto.INT64) for x in operands]
    lowering.op("Cast", [lowering.op(name, operands)], lowering.y, to=TensorProto.FLOAT)


@lowers("ElementwiseBitShift")
def bit_shift(lowering: Lowering) -> None:
    """A shift by n is a product with 2**n or the floor of one with 2**-n, both exact in float32."""
    left, amount = lowering.attribute("direction") == "LEFT", lowering.instance.rhs_dtype
    if amount.min() < 0 or amount.max() > INT64_BITS:
        raise NotLowerable(f"shifts by {amount.name}")
    if left and lowering.instance.lhs_dtype.bitwidth() + amount.max() > INT64_BITS:
        raise NotLowerable("int64 of FINN's Python may wrap around")
    powers = np.exp2(np.arange(amount.max() + 1) * (1.0 if left else -1.0)).astype(np.float32)
    value, shift = _operands(lowering)
    shift = _cast(lowering, shift, TensorProto.INT64)
    factor = lowering.op("Gather", [lowering.constant(powers), shift], axis=0)
    product = lowering.op("Mul", [value, factor], lowering.y if left else None)
    if not left:
        lowering.op("Floor", [product], lowering.y)


@lowers("HWWhere")
def where(lowering: Lowering) -> None:
    condition, *values = _operands(lowering)
    condition = _cast(lowering, condition, TensorProto.BOOL)
    lowering.op("Where", [condition, *values], lowering.y)


@lowers("PWPolyF", "PWPolyFunction")
def piecewise_polynomial(lowering: Lowering) -> None:
    """An activation function as one polynomial per segment; beyond 8 and -8 a constant, or x itself.

    FINN finds the segment by a float32 logarithm: the last values below a power of two may fall into the segment
    above, where the polynomials meet.
    """
    pwpolyfunction: Any = activation_functions()
    degree, clamps = lowering.attribute("degree"), pwpolyfunction.CLAMP_CFG[lowering.attribute("func")]
    if degree < 1:
        raise NotLowerable(f"polynomials of degree {degree}")
    # FINN's order: the segment around zero, those above it, those below it, both outwards.
    segments = pwpolyfunction._fit_coefficients(lowering.attribute("func"), lowering.attribute("K"), degree=degree)
    half = len(segments) // 2
    beyond = np.zeros((2, degree + 1), np.float32)
    beyond[0, 0] = clamps["neg_clamp"]
    beyond[1, :2] = (0.0, 1.0) if clamps["pos_passthrough"] else (clamps["pos_clamp"], 0.0)
    rows = np.concatenate([beyond[:1], segments[:half:-1], segments[: half + 1], beyond[1:]])
    bounds = [low for low, _ in pwpolyfunction._segment_boundaries(lowering.attribute("K"))[1 : half + 1]]
    starts = np.array([*bounds, 8.0], np.float32)
    # A segment below zero ends with -start: the next one begins at the next float32.
    thresholds = np.concatenate([np.nextafter(-starts[::-1], np.float32(0)), starts])

    x, rank = lowering.x, len(lowering.shape(lowering.x))
    segment = count(lowering, x, thresholds[np.newaxis], rank - 1, rank)
    segment = _cast(lowering, segment, TensorProto.INT32)
    columns = [lowering.op("Gather", [lowering.constant(column), segment], axis=0) for column in rows.T]
    y = columns[degree]
    for power in range(degree - 1, -1, -1):
        term = lowering.op("Mul", [x, y])
        y = lowering.op("Add", [columns[power], term], None if power else lowering.y)


def _operands(lowering: Lowering) -> list[str]:
    """The node's inputs in float32, each with its batch where the output has it.

    Numpy aligns dimensions from the right, so an operand of fewer dimensions gets new ones behind its batch.
    """
    rank = len(lowering.shape(lowering.y))
    operands = []
    for name in lowering.node.input:
        if name in lowering.constants:
            value = lowering.given(name)
            if not np.array_equal(value, value.astype(np.float32)):
                raise NotLowerable(f"the constant {name} does not fit into float32")
            operands.append(lowering.constant(value.astype(np.float32)))
        elif len(shape := lowering.shape(name)) < rank:
            operands.append(lowering.reshape(name, [1] * (rank - len(shape)) + shape))
        else:
            operands.append(name)
    return operands


def _cast(lowering: Lowering, x: str, element: int) -> str:
    return lowering.op("Cast", [x], to=element)
