"""Compute layers: every mode equals FINN's own execution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from finnyaml.verify.executor import BatchedModel, checked
from tests.verify.executor.one_layer import HARDWARE, SAMPLES, Layer, Tensor, agrees, draw, graph, layer

RANDOM = np.random.default_rng(7)


def steps(channels: int, count: int, low: float, high: float, *, whole: bool = True) -> np.ndarray:
    """Sorted thresholds, [channels, count]; some are equal where there are more than values."""
    drawn = np.sort(RANDOM.uniform(low, high, (channels, count)), axis=1)
    return (np.round(drawn) if whole else drawn).astype(np.float32)


BEYOND_THE_FIRST = np.hstack([np.full((5, 1), -200, np.float32), steps(5, 1, -20, 20)])


def thresholding(datatype: str, shape: list[int], thresholds: np.ndarray, output: str, offset: int = 0) -> Layer:
    return layer(
        "Thresholding",
        {"x": Tensor(shape, datatype), "t": Tensor(thresholds.shape, value=thresholds)},
        {"y": Tensor(shape, output)},
        NumChannels=shape[-1],
        PE=1,
        numSteps=thresholds.shape[1],
        inputDataType=datatype,
        weightDataType=datatype,
        outputDataType=output,
        ActVal=offset,
        numInputVectors=shape[:-1],
    )


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(("INT8", [1, 3, 5, 7], steps(7, 15, -90, 90), "UINT4"), id="channels"),
        pytest.param(("INT8", [1, 3, 5, 7], steps(1, 15, -90, 90), "UINT4"), id="one row for all"),
        pytest.param(("INT8", [1, 7], steps(7, 14, -90, 90), "INT4", -7), id="narrow range"),
        pytest.param(("INT8", [1, 4, 6], steps(6, 255, -130, 140), "INT8", -128), id="255 on three dimensions"),
        pytest.param(("INT20", [1, 2, 2, 3], steps(3, 255, -4e5, 4e5), "UINT8"), id="255 of a wide input"),
        pytest.param(("INT8", [1, 5], steps(5, 1, -20, 20), "BIPOLAR"), id="bipolar"),
        pytest.param(("INT8", [1, 5], BEYOND_THE_FIRST, "BIPOLAR", -1), id="bipolar with an offset"),
        pytest.param(("INT4", [1, 5], steps(5, 3, -7, -1), "UINT2"), id="all negative"),
        pytest.param(("UINT4", [1, 5], steps(5, 2, 3, 9)[:, ::-1], "UINT2"), id="unsorted"),
        pytest.param(("FLOAT32", [1, 3, 3, 4], steps(4, 15, -6, 6, whole=False), "INT4", -8), id="float"),
        pytest.param(("BIPOLAR", [1, 5], np.array([[-1], [0], [1], [2], [0]], np.float32), "BINARY"), id="of bipolar"),
    ],
)
def test_thresholding(made: Any) -> None:
    agrees(thresholding(*made))


def mvau(
    inputs: str,
    weights: str,
    shape: list[int],
    *,
    vectors: list[int] | None = None,
    to: list[int] | None = None,
    output: str = "INT32",
    thresholds: np.ndarray | None = None,
    offset: int = 0,
    given: bool = True,
    **attributes: Any,
) -> Layer:
    """An MVAU with 6 outputs; `vectors` where the layer sees the input in another shape."""
    seen = vectors or shape
    matrix = Tensor([seen[-1], 6], weights)
    tensors = {"x": Tensor(shape, inputs), "w": matrix}
    if given:
        tensors["w"] = Tensor(matrix.shape, weights, draw(matrix, RANDOM, 1))
    if thresholds is not None:
        tensors["t"] = Tensor(thresholds.shape, value=thresholds)
    return layer(
        "MVAU",
        tensors,
        {"y": Tensor(to or [*seen[:-1], 6], output)},
        MW=seen[-1],
        MH=6,
        SIMD=1,
        PE=1,
        inputDataType=inputs,
        weightDataType=weights,
        outputDataType=output,
        ActVal=offset,
        noActivation=int(thresholds is None),
        numInputVectors=seen[:-1],
        **attributes,
    )


@pytest.mark.parametrize("shape", [[1, 9], [1, 5, 9], [1, 3, 2, 9]], ids=str)
@pytest.mark.parametrize(
    ("inputs", "weights", "mode"),
    [
        ("INT4", "INT3", {}),
        ("UINT8", "BIPOLAR", {"mem_mode": "external"}),
        ("BIPOLAR", "INT2", {"mem_mode": "internal_embedded"}),
        ("BIPOLAR", "BIPOLAR", {}),
        ("BINARY", "BINARY", {"binaryXnorMode": 1}),
        ("FLOAT32", "INT3", {}),
    ],
    ids=["int", "bipolar weights", "bipolar inputs", "bipolar", "xnor", "float"],
)
def test_mvau(shape: list[int], inputs: str, weights: str, mode: dict[str, Any]) -> None:
    floating = inputs == "FLOAT32"
    made = mvau(inputs, weights, shape, output="FLOAT32" if floating else "INT32", **mode)
    agrees(made, tolerance=1e-5 if floating else 0.0)


@pytest.mark.parametrize("shape", [[1, 9], [1, 3, 2, 9]], ids=str)
@pytest.mark.parametrize(
    ("inputs", "weights", "mode", "thresholds", "output", "offset"),
    [
        ("INT4", "INT3", {}, steps(6, 15, -40, 40), "INT4", -8),
        ("BIPOLAR", "BIPOLAR", {}, steps(6, 1, 2, 7), "BIPOLAR", 0),
        ("BINARY", "BINARY", {"binaryXnorMode": 1}, steps(6, 1, 2, 7), "BINARY", 0),
        ("BINARY", "BINARY", {"binaryXnorMode": 1}, steps(1, 3, 2, 7), "UINT2", 0),
    ],
    ids=["int", "bipolar", "xnor", "xnor, one row for all"],
)
def test_mvau_with_activation(
    shape: list[int],
    inputs: str,
    weights: str,
    mode: dict[str, Any],
    thresholds: np.ndarray,
    output: str,
    offset: int,
) -> None:
    agrees(mvau(inputs, weights, shape, thresholds=thresholds, output=output, offset=offset, **mode))


def test_mvau_flattens_its_input() -> None:
    agrees(mvau("INT4", "INT3", [1, 2, 3, 4], vectors=[1, 24]))


def test_mvau_has_the_shape_of_its_output() -> None:
    agrees(
        mvau("INT4", "INT3", [1, 1, 1, 8], vectors=[1, 8], to=[1, 6], thresholds=steps(6, 3, -20, 20), output="UINT2")
    )


def test_mvau_thresholds_another_axis_of_three() -> None:
    """FINN takes axis 1 for the channels: this runs in FINN only where there are as many tokens as channels."""
    agrees(mvau("INT4", "INT3", [1, 6, 9], thresholds=steps(6, 3, -20, 20), output="UINT2"), lowered=False)
    agrees(mvau("INT4", "INT3", [1, 6, 9], thresholds=steps(1, 3, -20, 20), output="UINT2"))


def test_mvau_with_weights_from_a_stream_falls_back() -> None:
    agrees(mvau("INT4", "INT3", [1, 9], given=False, mem_mode="dynamic"), lowered=False)


@pytest.mark.parametrize(
    ("inputs", "weights", "kernel", "thresholds", "output", "offset"),
    [
        ("INT4", "INT3", [3, 3], None, "INT32", 0),
        ("INT4", "INT3", [1, 3], steps(6, 15, -60, 60), "INT4", -8),
        ("UINT4", "BIPOLAR", [3, 2], steps(1, 7, -60, 60), "UINT3", 0),
        ("BIPOLAR", "BIPOLAR", [3, 3], None, "UINT8", 0),
        ("BIPOLAR", "BIPOLAR", [3, 3], steps(6, 1, 2, 7), "BIPOLAR", 3),
    ],
    ids=["int", "1D, thresholds", "one row for all", "bipolar", "bipolar thresholds"],
)
@pytest.mark.parametrize("parallel", [1, 3, 6])
def test_vvau(
    parallel: int,
    inputs: str,
    weights: str,
    kernel: list[int],
    thresholds: np.ndarray | None,
    output: str,
    offset: int,
) -> None:
    """Behind a sliding window, PE does not matter: FINN's Python knows no order of the stream."""
    agrees(depthwise(parallel, inputs, weights, kernel, thresholds, output, offset))


def depthwise(
    parallel: int,
    inputs: str = "INT4",
    weights: str = "INT3",
    kernel: Sequence[int] = (3, 3),
    thresholds: np.ndarray | None = None,
    output: str = "INT32",
    offset: int = 0,
    *,
    buffered: bool = False,
) -> Layer:
    """A sliding window and a VVAU, of 6 channels; buffered: with a FIFO between them."""
    generator = np.random.default_rng(8)
    matrix = Tensor([6, 1, *kernel], weights)
    tensors = {
        "image": Tensor([1, kernel[0] + 2, kernel[1] + 1, 6], inputs),
        "x": Tensor([1, 3, 2, kernel[0] * kernel[1] * 6], inputs),
        "w": Tensor(matrix.shape, weights, draw(matrix, generator, 1)),
        "y": Tensor([1, 3, 2, 6], output),
    }
    if thresholds is not None:
        tensors["t"] = Tensor(thresholds.shape, value=thresholds)
    window = helper.make_node(
        "ConvolutionInputGenerator",
        ["image"],
        ["x"],
        domain=HARDWARE,
        backend="fpgadataflow",
        ConvKernelDim=kernel,
        IFMChannels=6,
        IFMDim=tensors["image"].shape[1:3],
        OFMDim=[3, 2],
        SIMD=parallel,
        Stride=[1, 1],
        Dilation=[1, 1],
        inputDataType=inputs,
        outputDataType=inputs,
        depthwise=1,
    )
    between = []
    if buffered:
        tensors["buffered"] = tensors["x"]
        seen = {"folded_shape": tensors["x"].shape, "normal_shape": tensors["x"].shape, "dataType": inputs}
        between = [helper.make_node("StreamingFIFO", ["x"], ["buffered"], domain=HARDWARE, depth=2, **seen)]
    unit = helper.make_node(
        "VVAU",
        ["buffered" if buffered else "x", "w", *(["t"] if thresholds is not None else [])],
        ["y"],
        domain=HARDWARE,
        backend="fpgadataflow",
        Kernel=kernel,
        Channels=6,
        Dim=[3, 2],
        PE=parallel,
        inputDataType=inputs,
        weightDataType=weights,
        outputDataType=output,
        ActVal=offset,
        noActivation=int(thresholds is None),
    )
    model = graph([window, *between, unit], tensors, "image", ["y"])
    return Layer("VVAU", model, draw(tensors["image"], generator))


def test_a_fifo_between_window_and_vvau_changes_nothing() -> None:
    """FINN's Python takes what a FIFO passes for a stream in the hardware's order; lowered and forced, it is none."""
    made, buffered = depthwise(2), depthwise(2, buffered=True)
    (right,) = BatchedModel(made.model).run(made.samples).values()
    for without in ((), ("VVAU",)):
        np.testing.assert_array_equal(BatchedModel(buffered.model, without=without).run(made.samples)["y"], right)
    assert checked(buffered.model, made.samples).notices == []
    assert buffered.model.graph.node[2].input[0] == "buffered"


@pytest.mark.parametrize("kernel", [[3, 3], [1, 4]], ids=str)
@pytest.mark.parametrize(
    ("function", "inputs", "output"),
    [
        ("MaxPool", "INT4", "INT4"),
        ("AccPool", "INT4", "INT8"),
        ("AvgPool", "INT4", "FLOAT32"),
        ("QuantAvgPool", "UINT4", "UINT4"),
        ("QuantAvgPool", "INT6", "INT3"),
        ("QuantAvgPool", "UINT2", "UINT8"),
    ],
)
def test_pool(kernel: list[int], function: str, inputs: str, output: str) -> None:
    agrees(
        layer(
            "Pool",
            {"x": Tensor([1, 3, 2, kernel[0] * kernel[1] * 5], inputs)},
            {"y": Tensor([1, 3, 2, 5], output)},
            Channels=5,
            PE=1,
            KernelSize=kernel,
            Function=function,
            OutImgDims=[3, 2],
            InputDataType=inputs,
            OutputDataType=output,
        )
    )


def test_global_pool() -> None:
    tensors = {"x": Tensor([1, 3, 4, 5], "INT4")}
    attributes = {"NumChannels": 5, "PE": 1, "inputDataType": "INT4", "numInputVectors": [1, 3, 4]}
    agrees(layer("GlobalAccPool", tensors, {"y": Tensor([1, 1, 1, 5], "INT8")}, **attributes))


@pytest.mark.parametrize("best", [1, 5])
@pytest.mark.parametrize("vectors", [[1], [1, 1, 1], [1, 2, 3]], ids=str)
def test_label_select(best: int, vectors: list[int]) -> None:
    """UINT3 values in 20 labels: there are ties."""
    tensors = {"x": Tensor([*vectors, 20], "UINT3")}
    attributes = {"Labels": 20, "PE": 1, "K": best, "inputDataType": "UINT3", "numInputVectors": vectors}
    agrees(layer("LabelSelect", tensors, {"y": Tensor([*vectors, best], "UINT5")}, **attributes))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("parameters", [[], [1], [6]], ids=str)
@pytest.mark.parametrize(("output", "narrow"), [("UINT4", 0), ("INT4", 0), ("INT4", 1)])
def test_requant(output: str, narrow: int, parameters: list[int], wide: bool) -> None:
    """A scale of 1/8 makes halves, which go up."""
    number = np.float64 if wide else np.float32
    scale = np.full(parameters, 0.125, number) if parameters != [6] else RANDOM.uniform(0.1, 0.3, 6).astype(number)
    bias = np.asarray(RANDOM.normal(size=parameters), number)
    tensors = {
        "x": Tensor([1, 3, 2, 6], "INT8"),
        "s": Tensor(scale.shape, value=scale),
        "b": Tensor(bias.shape, value=bias),
    }
    attributes = {"NumChannels": 6, "inputDataType": "INT8", "outputDataType": output, "narrow": narrow}
    agrees(layer("Requant", tensors, {"y": Tensor([1, 3, 2, 6], output)}, numInputVectors=[1, 3, 2], **attributes))


@pytest.mark.parametrize("shape", [[1, 9], [1, 3, 2]], ids=str)
def test_lookup(shape: list[int]) -> None:
    tensors = {
        "x": Tensor(shape, "UINT4", element=TensorProto.INT64),
        "w": Tensor([16, 5], value=draw(Tensor([16, 5], "INT8"), RANDOM, 1)),
    }
    attributes = {"NumEmbeddings": 16, "EmbeddingDim": 5, "EmbeddingType": "INT8", "InputType": "UINT4"}
    agrees(layer("Lookup", tensors, {"y": Tensor([*shape, 5], "INT8")}, InputShape=shape, **attributes))


def test_softmax() -> None:
    attributes = {"ifm_dim": [1, 6, 10], "input_data_type": "FLOAT32", "NumChannels": 10}
    agrees(layer("HWSoftmax", {"x": Tensor([1, 6, 10])}, {"y": Tensor([1, 6, 10])}, **attributes), tolerance=1e-6)


def test_layer_normalisation() -> None:
    attributes = {"ifm_dim": [1, 6, 10], "SIMD": 1, "epsilon": 0.01}
    attributes |= {"inputDataType": "FLOAT32", "outputDataType": "FLOAT32"}
    agrees(layer("LayerNorm", {"x": Tensor([1, 6, 10])}, {"y": Tensor([1, 6, 10])}, **attributes), tolerance=1e-5)


def test_samples_differ() -> None:
    """The comparisons above see more than one sample."""
    samples = thresholding("INT8", [1, 5], steps(5, 3, -20, 20), "UINT2").samples
    assert len(np.unique(samples, axis=0)) == SAMPLES
