"""Element-wise layers: every operation, width and broadcast equals FINN's own execution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.verify.executor.one_layer import SAMPLES, Layer, Tensor, agrees, draw, layer

RANDOM = np.random.default_rng(13)
SHAPE = [1, 3, 2, 5]


def elementwise(
    op_type: str, left: Tensor, right: Tensor, output: str, constant: Any = None, **attributes: Any
) -> Layer:
    """`constant` makes the right side one: its values, or True to draw them."""
    if constant is not None:
        value = draw(right, RANDOM, 1) if constant is True else np.asarray(constant, np.float32)
        right = Tensor(right.shape, right.datatype, value)
    shape = list(np.broadcast_shapes(left.shape, right.shape))
    return layer(
        f"Elementwise{op_type}",
        {"a": left, "b": right},
        {"y": Tensor(shape, output)},
        lhs_dtype=left.datatype,
        rhs_dtype=right.datatype,
        out_dtype=output,
        lhs_shape=left.shape,
        rhs_shape=right.shape,
        out_shape=shape,
        **attributes,
    )


@pytest.mark.parametrize(
    ("op_type", "output"),
    [
        *((name, "INT16") for name in ("Add", "Sub", "Mul", "AbsDiff", "Max")),
        *((name, "BINARY") for name in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")),
        *((name, "INT4") for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")),
    ],
)
def test_two_streams(op_type: str, output: str) -> None:
    agrees(elementwise(op_type, Tensor(SHAPE, "INT4"), Tensor(SHAPE, "INT4"), output))


@pytest.mark.parametrize("datatype", ["BINARY", "INT2"])
@pytest.mark.parametrize("op_type", ["And", "Or", "Xor"])
def test_logic(op_type: str, datatype: str) -> None:
    agrees(elementwise(op_type, Tensor(SHAPE, datatype), Tensor(SHAPE, datatype), "BINARY"))


@pytest.mark.parametrize("right", [[1], [5], [2, 1], [1, 3, 1, 1], [1, 1, 1, 5]], ids=str)
@pytest.mark.parametrize("constant", [True, None], ids=["constant", "stream"])
def test_broadcasting(right: list[int], constant: bool | None) -> None:
    """A stream without a leading dimension of 1 has no batch, and falls back."""
    lowered = bool(constant) or right[0] == 1
    agrees(elementwise("Sub", Tensor(SHAPE, "INT8"), Tensor(right, "INT6"), "INT10", constant), lowered=lowered)


def test_constant_on_the_left() -> None:
    value = draw(Tensor([5], "INT8"), RANDOM, 1)
    right = Tensor([1, 5], "INT6")
    attributes = {"lhs_dtype": "INT8", "rhs_dtype": "INT6", "out_dtype": "INT10"}
    shapes = {"lhs_shape": [5], "rhs_shape": [1, 5], "out_shape": [1, 5]}
    tensors = {"a": Tensor([5], "INT8", value), "b": right}
    agrees(layer("ElementwiseSub", tensors, {"y": Tensor([1, 5], "INT10")}, **attributes, **shapes))


def test_streams_of_different_rank() -> None:
    """The batch of [1, 5] is not the height of [1, 3, 2, 5]."""
    agrees(elementwise("Add", Tensor(SHAPE, "INT8"), Tensor([1, 5], "INT8"), "INT9"))


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "AbsDiff", "Max", "Less", "BitwiseXor"])
def test_wider_than_float32_holds(op_type: str) -> None:
    """Products of 24 by 24 bits, and sums with 30 bits, round: once, as in FINN."""
    widths = ("INT24", "INT24") if op_type == "Mul" else ("INT30", "UINT24")
    output = "BINARY" if op_type == "Less" else "INT50"
    agrees(elementwise(op_type, Tensor(SHAPE, widths[0]), Tensor([5], widths[1]), output, True))
    agrees(elementwise(op_type, Tensor(SHAPE, widths[0]), Tensor(SHAPE, widths[1]), output))


def test_what_wraps_around_in_int64_falls_back() -> None:
    agrees(elementwise("Mul", Tensor(SHAPE, "INT40"), Tensor(SHAPE, "INT40"), "INT64"), lowered=False)


@pytest.mark.parametrize("op_type", ["Add", "Sub", "Mul", "Div", "AbsDiff", "Max", "Greater"])
@pytest.mark.parametrize("left", ["INT24", "FLOAT32"])
def test_with_floats(op_type: str, left: str) -> None:
    """FINN mixes integers and floats in float64, and floats in float32."""
    output = "BINARY" if op_type == "Greater" else "FLOAT32"
    agrees(elementwise(op_type, Tensor(SHAPE, left), Tensor([5]), output, True))


def test_division() -> None:
    """FINN divides integers without rounding, whatever the datatype of its output says."""
    divisors = [1, 3, -7, 9, 11]
    agrees(elementwise("Div", Tensor(SHAPE, "INT24"), Tensor([5], "INT8"), "FLOAT32", divisors))


@pytest.mark.parametrize("datatype", ["INT8", "UINT8", "INT24"])
@pytest.mark.parametrize("constant", [[0, 1, 2, 5, 7], None], ids=["constant", "stream"])
@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
def test_shifts(direction: str, constant: list[int] | None, datatype: str) -> None:
    left, amounts = Tensor(SHAPE, datatype), Tensor([1, 5] if constant is None else [5], "UINT3")
    agrees(elementwise("BitShift", left, amounts, "INT32", constant, direction=direction))


def test_shifts_to_the_left_and_right_by_a_sign_fall_back() -> None:
    amounts = Tensor([5], "INT4")
    made = elementwise("BitShift", Tensor(SHAPE, "INT8"), amounts, "INT32", [0, 1, 2, 3, 4], direction="LEFT")
    agrees(made, lowered=False)


@pytest.mark.parametrize("other", [[1, 3, 2, 5], [1, 5], [5], [1]], ids=str)
def test_where(other: list[int]) -> None:
    constant = draw(Tensor(other, "INT4"), RANDOM, 1) if len(other) == 1 else None
    tensors = {"c": Tensor(SHAPE, "BINARY"), "a": Tensor(SHAPE, "INT4"), "b": Tensor(other, "INT4", constant)}
    shapes = {"Shape": SHAPE, "CondShape": SHAPE, "XShape": SHAPE, "YShape": other}
    agrees(
        layer("HWWhere", tensors, {"y": Tensor(SHAPE, "INT4")}, inputDataType="INT4", outputDataType="INT4", **shapes)
    )


@pytest.mark.parametrize(("bits", "degree"), [(3, 2), (2, 1), (4, 3)])
@pytest.mark.parametrize("function", ["gelu", "silu", "sigmoid", "tanh"])
def test_piecewise_polynomials(function: str, bits: int, degree: int) -> None:
    """On every start of a segment, on the float32 behind it, and beyond the last; on both sides of zero."""
    starts = [2.0**octave * (1 + part / 2**bits) for octave in range(-2, 4) for part in range(2**bits)]
    at = np.array([0.0, 0.1, 100.0, 101.0, *starts], np.float32)
    values = np.concatenate([at, np.nextafter(at, np.float32(200))])
    samples = np.concatenate([values, -values])
    samples = np.concatenate([samples, np.zeros(-len(samples) % SAMPLES, np.float32)]).reshape(SAMPLES, -1)
    tensor = Tensor([1, samples.shape[1]])
    attributes = {"func": function, "K": bits, "degree": degree, "PE": 1, "NumChannels": samples.shape[1]}
    attributes |= {"inputDataType": "FLOAT32", "outputDataType": "FLOAT32"}
    made = layer("PWPolyF", {"x": tensor}, {"y": tensor}, **attributes)
    agrees(Layer("PWPolyF", made.model, samples))
