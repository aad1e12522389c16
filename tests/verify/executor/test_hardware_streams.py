"""Layers that only move values: every layout equals FINN's own execution."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from tests.verify.executor.one_layer import Tensor, agrees, draw, layer

RANDOM = np.random.default_rng(11)


@pytest.mark.parametrize("op_type", ["DuplicateStreams", "ReplicateStream"])
def test_copies(op_type: str) -> None:
    tensor = Tensor([1, 3, 2, 5], "INT4")
    attributes: dict[str, Any] = {"NumOutputStreams": 2, "NumChannels": 5, "inputDataType": "INT4"}
    attributes |= {"PE": 1, "numInputVectors": [1, 3, 2]}
    if op_type == "ReplicateStream":
        attributes = {"num": 2, "dtype": "INT4", "num_elems": 5, "num_inputs": [1, 3, 2], "PE": 1}
    agrees(layer(op_type, {"x": tensor}, {"y": tensor, "z": tensor}, **attributes))


def test_fifo() -> None:
    shape = [1, 3, 2, 5]
    attributes = {"depth": 2, "folded_shape": [*shape, 1], "normal_shape": shape, "dataType": "INT4"}
    agrees(layer("StreamingFIFO", {"x": Tensor(shape, "INT4")}, {"y": Tensor(shape, "INT4")}, **attributes))


def test_width_converter() -> None:
    shape = [1, 3, 2, 6]
    attributes = {"inShape": shape, "outShape": shape, "inWidth": 4, "outWidth": 8, "dataType": "INT4"}
    tensor = Tensor(shape, "INT4")
    agrees(layer("StreamingDataWidthConverter", {"x": tensor}, {"y": tensor}, **attributes))


@pytest.mark.parametrize(
    ("op_type", "given", "made", "lowered"),
    [
        ("Reshape", [1, 4, 6], [1, 2, 12], True),
        ("Squeeze", [1, 1, 6], [1, 6], True),
        ("Squeeze", [1, 5, 6], [5, 6], False),
        ("Unsqueeze", [1, 6], [1, 1, 6], True),
    ],
)
def test_reshaped(op_type: str, given: list[int], made: list[int], lowered: bool) -> None:
    """Where the batch dimension is squeezed away there is no batch to execute."""
    attributes: dict[str, Any] = {"inp_shape": given, "out_shape": made}
    if op_type == "Reshape":
        importlib.import_module("finn.custom_op.fpgadataflow.reshape")  # for FINN's own execution
        attributes["dtype"] = "INT4"
    else:
        attributes |= {"inp_dtype": "INT4", "out_dtype": "INT4", "axes": [1 if lowered else 0]}
    agrees(layer(op_type, {"x": Tensor(given, "INT4")}, {"y": Tensor(made, "INT4")}, **attributes), lowered=lowered)


@pytest.mark.parametrize("vectors", [[1], [1, 3, 2]], ids=str)
def test_concatenation_and_split(vectors: list[int]) -> None:
    parts = {name: Tensor([*vectors, size], "INT4") for name, size in (("a", 2), ("b", 5), ("c", 1))}
    whole = Tensor([*vectors, 8], "INT4")
    shared = {"SIMD": 1, "ChannelsPerStream": [2, 5, 1], "numInputVectors": vectors}
    agrees(layer("StreamingConcat", parts, {"y": whole}, inputDataTypes=["INT4"] * 3, **shared))
    agrees(layer("StreamingSplit", {"x": whole}, parts, inputDataType="INT4", **shared))


@pytest.mark.parametrize(
    ("image", "kernel", "stride", "dilation"),
    [
        ([6, 5], [3, 2], [1, 1], [1, 1]),
        ([7, 6], [3, 3], [2, 3], [1, 1]),
        ([7, 6], [2, 3], [1, 2], [3, 2]),
        ([9, 1], [3, 1], [2, 1], [2, 1]),
        ([1, 9], [1, 4], [1, 1], [1, 1]),
        ([3, 3], [1, 1], [2, 2], [1, 1]),
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", [{}, {"depthwise": 1}, {"parallel_window": 1}], ids=str)
def test_sliding_window(
    image: list[int], kernel: list[int], stride: list[int], dilation: list[int], mode: dict[str, int]
) -> None:
    channels = 3
    windows = [(i - d * (k - 1) - 1) // s + 1 for i, k, s, d in zip(image, kernel, stride, dilation, strict=True)]
    agrees(
        layer(
            "ConvolutionInputGenerator",
            {"x": Tensor([1, *image, channels], "INT4")},
            {"y": Tensor([1, *windows, kernel[0] * kernel[1] * channels], "INT4")},
            ConvKernelDim=kernel,
            IFMChannels=channels,
            IFMDim=image,
            OFMDim=windows,
            SIMD=1,
            Stride=stride,
            Dilation=dilation,
            inputDataType="INT4",
            outputDataType="INT4",
            is1D=int(1 in image),
            **mode,
        )
    )


@pytest.mark.parametrize("pads", [[1, 1, 1, 1], [2, 0, 1, 3]], ids=str)
def test_padding(pads: list[int]) -> None:
    made = Tensor([1, 4 + pads[0] + pads[2], 3 + pads[1] + pads[3], 2], "INT4")
    attributes = {"ImgDim": [4, 3], "Padding": pads, "NumChannels": 2, "inputDataType": "INT4"}
    agrees(layer("FMPadding", {"x": Tensor([1, 4, 3, 2], "INT4")}, {"y": made}, **attributes))


@pytest.mark.parametrize("stride", [[2, 3], [1, 2], [3, 1]], ids=str)
def test_pixel_padding(stride: list[int]) -> None:
    made = Tensor([1, 3 * stride[0] + 1, 4 * stride[1] + 1, 2], "INT4")
    attributes = {"ImgDim": [4, 5], "Stride": stride, "NumChannels": 2, "inputDataType": "INT4"}
    agrees(layer("FMPadding_Pixel", {"x": Tensor([1, 4, 5, 2], "INT4")}, {"y": made}, **attributes))


def test_crop() -> None:
    sides = {"CropNorth": 1, "CropSouth": 2, "CropWest": 0, "CropEast": 3}
    attributes = {"DataType": "INT4", "ImgDim": [6, 7], "NumChannels": 2, "numInputVectors": [1], **sides}
    agrees(layer("Crop", {"x": Tensor([1, 6, 7, 2], "INT4")}, {"y": Tensor([1, 3, 4, 2], "INT4")}, **attributes))


def test_crop_without_a_batch_falls_back() -> None:
    """The leading 1 is the height."""
    sides = {"CropNorth": 0, "CropSouth": 0, "CropWest": 1, "CropEast": 2}
    attributes = {"DataType": "INT4", "ImgDim": [1, 7], "NumChannels": 2, "numInputVectors": [0], **sides}
    made = layer("Crop", {"x": Tensor([1, 7, 2], "INT4")}, {"y": Tensor([1, 4, 2], "INT4")}, **attributes)
    agrees(made, lowered=False)


@pytest.mark.parametrize("factors", [(2, 3), (1, 5)])
def test_upsampling(factors: tuple[int, int]) -> None:
    high, wide = 4 * factors[0], 3 * factors[1]
    attributes = {"SIMD": 1, "HI": 4, "WI": 3, "HO": high, "WO": wide, "NumChannels": 2, "inputDataType": "INT4"}
    tensors = {"x": Tensor([1, 4, 3, 2], "INT4")}, {"y": Tensor([1, high, wide, 2], "INT4")}
    agrees(layer("UpsampleNearestNeighbour", *tensors, **attributes))


@pytest.mark.parametrize("token", [0, 3, -1])
def test_select_token(token: int) -> None:
    attributes = {"NumTokens": 6, "NumChannels": 4, "TokenIndex": token, "inputDataType": "INT4"}
    agrees(layer("SelectToken", {"x": Tensor([1, 6, 4], "INT4")}, {"y": Tensor([1, 4], "INT4")}, **attributes))


@pytest.mark.parametrize(("left", "right", "given"), [(2, 1, 1), (0, 2, 2), (2, 0, 2), (3, 3, 3)], ids=str)
def test_token_padding(left: int, right: int, given: int) -> None:
    """One token for all places, or one for each."""
    tensors = {"x": Tensor([1, 5, 3], "INT4")}
    for name, amount in (("left", left), ("right", right)):
        pad = Tensor([1, given if amount > 1 else 1, 3], "INT4")
        tensors[name] = Tensor(pad.shape, "INT4", draw(pad, RANDOM, 1))
    attributes = {"NumTokens": 5, "NumChannels": 3, "PadLeft": left, "PadRight": right, "inputDataType": "INT4"}
    agrees(layer("Pad1D", tensors, {"y": Tensor([1, 5 + left + right, 3], "INT4")}, **attributes))


@pytest.mark.parametrize(
    ("op_type", "given", "seen", "order", "made"),
    [
        ("Shuffle", [1, 4, 5, 6], [1, 4, 5, 6], [0, 2, 1, 3], [1, 20, 6]),
        ("Shuffle", [1, 8, 6], [8, 3, 2], [1, 0, 2], [1, 3, 16]),
        ("OuterShuffle", [1, 20, 6], [1, 4, 5, 6], [0, 2, 1, 3], [1, 20, 6]),
        ("InnerShuffle", [1, 5, 6], [1, 5, 6], None, [1, 6, 5]),
        ("InnerShuffle", [1, 30], [1, 5, 6], None, [1, 6, 5]),
    ],
    ids=str,
)
def test_shuffle(op_type: str, given: list[int], seen: list[int], order: list[int] | None, made: list[int]) -> None:
    attributes: dict[str, Any] = {"data_type": "INT4", "in_shape": given, "transpose_in_shape": seen}
    if order is not None:
        attributes |= {"perm": order, "out_shape": made, "transpose_out_shape": [seen[axis] for axis in order]}
    if op_type == "OuterShuffle":
        attributes["loop_coeffs"] = [1] * len(seen)
    agrees(layer(op_type, {"x": Tensor(given, "INT4")}, {"y": Tensor(made, "INT4")}, **attributes))
