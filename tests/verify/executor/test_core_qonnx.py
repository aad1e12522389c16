"""QONNX's ops: every mode and layout equals qonnx's own execution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.executor.graphs import agrees, custom, graph, node

RANDOM = np.random.default_rng(3)


def multithreshold(shape, thresholds, layout="", scale=1.0, bias=0.0, datatype="FLOAT32", out="FLOAT32"):
    made = custom(
        "MultiThreshold",
        ["x", "t"],
        ["y"],
        out_dtype=out,
        out_scale=float(scale),
        out_bias=float(bias),
        data_layout=layout,
    )
    thresholds = np.asarray(thresholds, np.float32)
    return graph([made], {"x": shape, "y": shape}, {"t": thresholds}, {"x": datatype, "y": out})


@pytest.mark.parametrize(
    ("shape", "layout", "channels"),
    [
        ([1, 5], "", 5),
        ([1, 5], "NC", 5),
        ([1, 5, 3], "NCW", 5),
        ([1, 3, 5], "NWC", 5),
        ([1, 3, 5], "", 5),
        ([1, 5, 3, 2], "NCHW", 5),
        ([1, 5, 3, 2], "", 5),
        ([1, 3, 2, 5], "NHWC", 5),
        ([1, 3, 2, 5], "NHWC", 1),
    ],
)
@pytest.mark.parametrize("steps", [1, 2, 3, 15, 255])
def test_multithreshold(shape: list[int], layout: str, channels: int, steps: int) -> None:
    thresholds = RANDOM.integers(-20, 20, (channels, steps))
    samples = RANDOM.integers(-25, 25, (6, *shape[1:]))
    agrees(multithreshold(shape, np.sort(thresholds), layout, datatype="INT6"), samples)
    agrees(multithreshold(shape, thresholds + 0.5, layout, 0.3, -1.7), samples + RANDOM.random(samples.shape) / 3)


@pytest.mark.parametrize(
    ("thresholds", "scale", "bias", "out"),
    [
        ([[-9, -7, -3]], 1, 0, "UINT2"),  # all negative
        ([[0]], 2, -1, "BIPOLAR"),
        ([[1, 3, 2], [5, 5, 5], [0, 9, -4]], 1, -2, "INT3"),  # not sorted, equal ones
        ([[np.inf, -np.inf, 0]], 1, 0, "UINT2"),
        (np.arange(-127, 127)[None], 1, -127, "INT8"),  # narrow range
    ],
)
def test_multithreshold_values(thresholds: list[list[float]], scale: float, bias: float, out: str) -> None:
    samples = np.arange(-12, 12).reshape(4, 3, 2, 1)
    batched = agrees(multithreshold([1, 3, 2, 1], thresholds, "NCHW", scale, bias, "INT8", out), samples)
    assert batched.violations == []


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_multithreshold_any(data: st.DataObject) -> None:
    """Thresholds of any float32 value, and values that are exactly on them."""
    channels, steps = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 20))
    floats = st.floats(-1e6, 1e6, width=32)
    row = st.lists(floats, min_size=steps, max_size=steps)
    thresholds = np.array(data.draw(st.lists(row, min_size=channels, max_size=channels)), np.float32)
    near = np.concatenate([thresholds.T, np.nextafter(thresholds, -np.inf).T, np.nextafter(thresholds, np.inf).T])
    agrees(multithreshold([1, channels], thresholds, "NC", 0.7, 0.1), near)


def quant(op, shape, scale, zero, bits, **attributes):
    constants = {"s": np.float32(scale), "z": np.float32(zero), "b": np.float32(bits)}
    return graph([custom(op, ["x", "s", "z", "b"], ["y"], **attributes)], {"x": shape, "y": shape}, constants)


MODES = ["ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "half_up"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("signed", "narrow", "bits"), [(1, 0, 4), (1, 1, 4), (0, 0, 3), (0, 1, 3), (1, 0, 1)])
def test_quant(mode: str, signed: int, narrow: int, bits: int) -> None:
    samples = np.concatenate([np.arange(-20, 20).reshape(4, 10) / 4, RANDOM.normal(0, 4, (4, 10))]).astype(np.float32)
    rest = {"signed": signed, "narrow": narrow, "rounding_mode": mode}
    agrees(quant("Quant", [1, 10], 0.5, 0, bits, **rest), samples)
    agrees(quant("IntQuant", [1, 10], 1, 0, bits, **rest), samples)
    agrees(quant("Quant", [1, 10], 0.3, 2, bits, **rest), samples)


def test_quant_per_channel() -> None:
    scale = RANDOM.random((1, 5, 1, 1)) + 0.1
    samples = RANDOM.normal(0, 3, (6, 5, 3, 2))
    rest = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
    agrees(quant("Quant", [1, 5, 3, 2], scale, 0, 4, **rest), samples)


def test_quant_with_a_scale_from_the_data_runs_per_sample() -> None:
    made = [node("ReduceMax", ["x"], ["s"], axes=[1], keepdims=1)]
    made.append(custom("Quant", ["x", "s", "z", "b"], ["y"], signed=1, narrow=0, rounding_mode="ROUND"))
    constants = {"z": np.float32(0), "b": np.float32(4)}
    model = graph(made, {"x": [1, 4], "s": [1, 1], "y": [1, 4]}, constants)
    batched = agrees(model, RANDOM.random((3, 4)) + 1, lowered=False)
    assert [f.op_type for f in batched.fallbacks] == ["Quant"]
    assert "s is not constant" in batched.fallbacks[0].reason


@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_bipolar_quant(scale: float) -> None:
    model = graph([custom("BipolarQuant", ["x", "s"], ["y"])], {"x": [1, 7], "y": [1, 7]}, {"s": np.float32([scale])})
    agrees(model, np.concatenate([RANDOM.normal(size=(5, 7)), np.zeros((1, 7)), -np.zeros((1, 7))]))


@pytest.mark.parametrize("mode", ["FLOOR", "ROUND", "CEIL"])
def test_trunc(mode: str) -> None:
    shapes = {"x": [1, 6], "y": [1, 6]}
    samples = RANDOM.integers(-512, 512, (5, 6)) * 0.25
    for zero in (0, 4):
        common = {"s": np.float32(0.25), "z": np.float32(zero), "i": np.float32(10), "o": np.float32(6)}
        old = custom("Trunc", ["x", "s", "z", "i", "o"], ["y"], rounding_mode=mode)
        agrees(graph([old], shapes, common, domain=1), samples)
        for signed, narrow in ((1, 0), (1, 1), (0, 0)):
            inputs = ["x", "s", "z", "i", "q", "o"]
            new = custom("Trunc", inputs, ["y"], rounding_mode=mode, signed=signed, narrow=narrow)
            agrees(graph([new], shapes, {**common, "q": np.float32(4)}, domain=2), samples)


def windows(shape, kernel, stride=(1, 1), dilation=(1, 1), pads=(0, 0, 0, 0), value=0, depthwise=0, datatype="INT8"):
    rows, columns = (
        (shape[1 + i] + pads[i] + pads[i + 2] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1)
    )
    made = custom(
        "Im2Col",
        ["x"],
        ["w"],
        kernel_size=list(kernel),
        stride=list(stride),
        dilations=list(dilation),
        pad_amount=list(pads),
        pad_value=value,
        depthwise=depthwise,
        input_shape=str(tuple(shape)),
    )
    return made, [1, rows, columns, kernel[0] * kernel[1] * shape[3]]


CASES = [
    {"shape": [1, 5, 4, 3], "kernel": (2, 3)},
    {"shape": [1, 7, 5, 1], "kernel": (3, 2), "stride": (2, 1), "pads": (1, 0, 2, 3)},
    {"shape": [1, 9, 8, 2], "kernel": (3, 3), "dilation": (2, 3), "pads": (1, 2, 0, 1), "stride": (1, 2)},
    {"shape": [1, 1, 9, 4], "kernel": (1, 3), "pads": (0, 1, 0, 1)},
    {"shape": [1, 4, 4, 3], "kernel": (4, 4)},
    {"shape": [1, 4, 4, 3], "kernel": (1, 1), "stride": (2, 2)},
    {"shape": [1, 4, 5, 2], "kernel": (3, 3), "pads": (1, 1, 1, 1), "value": -3},
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("product", ["none", "dense", "depthwise"])
def test_im2col(case: dict, product: str) -> None:
    made, patches = windows(**case, depthwise=int(product == "depthwise"))
    channels = case["shape"][3]
    samples = RANDOM.integers(-128, 128, (5, *case["shape"][1:]))
    if product == "none":
        made.output[0] = "y"
        agrees(graph([made], {"x": case["shape"], "y": patches}, {}, {"x": "INT8", "y": "INT8"}), samples)
        return
    weights = RANDOM.integers(-3, 4, (patches[3], channels if product == "depthwise" else 6))
    if product == "depthwise":
        weights = weights * np.tile(np.eye(channels), (patches[3] // channels, 1)).astype(int)
    shapes = {"x": case["shape"], "w": patches, "y": [*patches[:3], weights.shape[1]]}
    constants = {"m": weights.astype(np.float32)}
    model = graph(
        [made, node("MatMul", ["w", "m"], ["y"])], shapes, constants, {"x": "INT8", "w": "INT8", "y": "INT32"}
    )
    agrees(model, samples)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_im2col_any(data: st.DataObject) -> None:
    """Any geometry, and the convolution with thresholds that it becomes."""
    small, pad = st.integers(1, 3), st.integers(0, 2)
    kernel, stride, dilation = ((data.draw(small), data.draw(small)) for _ in range(3))
    pads = tuple(data.draw(pad) for _ in range(4))
    sizes = [max(2, d * (k - 1) + 1) + data.draw(st.integers(0, 4)) for k, d in zip(kernel, dilation, strict=True)]
    shape = [1, *sizes, data.draw(small)]
    made, patches = windows(shape, kernel, stride, dilation, pads)
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    outputs = data.draw(st.integers(1, 5))
    weights = random.choice([-1, 1], (patches[3], outputs)).astype(np.float32)
    thresholds = random.integers(-60, 60, (outputs, data.draw(st.sampled_from([1, 3])))).astype(np.float32)
    nodes = [made, node("MatMul", ["w", "m"], ["a"])]
    nodes.append(custom("MultiThreshold", ["a", "t"], ["y"], out_dtype="UINT2", data_layout="NHWC"))
    result = [*patches[:3], outputs]
    shapes = {"x": shape, "w": patches, "a": result, "y": result}
    annotations = {"x": "INT4", "w": "INT4", "a": "INT32", "y": "UINT2"}
    model = graph(nodes, shapes, {"m": weights, "t": thresholds}, annotations)
    assert agrees(model, random.integers(-8, 8, (4, *shape[1:]))).violations == []


@pytest.mark.parametrize("shape", [[1, 9], [1, 3, 2, 9]], ids=str)
def test_xnor_popcount(shape: list[int]) -> None:
    constants = {"w": RANDOM.integers(0, 2, (9, 5)).astype(np.float32)}
    annotations = {"x": "BINARY", "w": "BINARY", "y": "UINT32"}
    made = custom("XnorPopcountMatMul", ["x", "w"], ["y"])
    model = graph([made], {"x": shape, "y": [*shape[:-1], 5]}, constants, annotations)
    assert agrees(model, RANDOM.integers(0, 2, (6, *shape[1:]))).violations == []


@pytest.mark.parametrize(("ceil", "out"), [(0, [1, 3, 2, 3]), (1, [1, 3, 3, 3])])
def test_max_pool(ceil: int, out: list[int]) -> None:
    made = custom("MaxPoolNHWC", ["x"], ["y"], kernel_shape=[2, 3], strides=[2, 2], pads=[0, 0, 0, 0], ceil_mode=ceil)
    model = graph([made], {"x": [1, 6, 6, 3], "y": out}, {}, {"x": "INT4", "y": "INT4"})
    agrees(model, RANDOM.integers(-8, 8, (5, 6, 6, 3)))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("signed", "kernel", "stride"), [(0, 2, 2), (1, 3, 1)])
def test_quant_average(layout: str, signed: int, kernel: int, stride: int) -> None:
    size = (7 - kernel) // stride + 1
    shape, out = ([1, 7, 7, 3], [1, size, size, 3]) if layout == "NHWC" else ([1, 3, 7, 7], [1, 3, size, size])
    rest = {"kernel": kernel, "stride": stride, "ibits": 4, "obits": 4, "signed": signed, "data_layout": layout}
    model = graph([custom("QuantAvgPool2d", ["x"], ["y"], **rest)], {"x": shape, "y": out})
    agrees(model, RANDOM.integers(-8 if signed else 0, 8, (5, *shape[1:])))
