"""Sliding windows of random shapes in FINN's RTL, and the cycles that each takes between frames."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.finn.kernel_bench import Bench, Layer

FRAMES = 3


def shapes(count: int, seed: int) -> list[Layer]:
    """Layers that FINN can make the code of: all styles, strides, dilations, depthwise or not, some 1-D."""
    dice = random.Random(seed)
    found: list[Layer] = []
    while len(found) < count:
        layer = _shape(f"swg{len(found)}", dice)
        if layer is not None and _is_made(layer.hardware()):
            found.append(layer)
    return found


def intervals(layers: Sequence[Layer], folder: Path, kept: Path) -> list[list[int]]:
    """For each layer the cycles between the last words of its frames, never waiting for its source or sink."""
    folder.mkdir(parents=True)
    bench = Bench(layers, folder, kept)
    # not bench.run(): a layer may still take rows that no window needs when the last word has come
    subprocess.run([bench.program], cwd=folder, check=True, timeout=120)
    return [ends(bench, layer) for layer in layers]


def ends(bench: Bench, layer: Layer) -> list[int]:
    beats = int(np.prod(layer.hardware().get_folded_output_shape()[:-1]))
    lines = (bench.folder / f"{layer.name}_out0_V.out").read_text().splitlines()
    cycles = np.array([int(line.split()[1]) for line in lines])[beats - 1 :: beats]
    return [int(each) for each in np.diff(cycles)]


def window(name: str, size: Sequence[int], **attributes: Any) -> Layer:
    """A layer of this image, [height, width]; by default a 3x3 kernel over four channels, all of them a cycle."""
    given = {"ConvKernelDim": [3, 3], "Stride": [1, 1], "Dilation": [1, 1], "IFMChannels": 4, "SIMD": 4}
    given |= {"depthwise": 0, "parallel_window": 0, "M": 1, **attributes}
    kernel, stride, dilation = given["ConvKernelDim"], given["Stride"], given["Dilation"]
    out = [(size[i] - (kernel[i] - 1) * dilation[i] - 1) // stride[i] + 1 for i in (0, 1)]
    given |= {"IFMDim": list(size), "OFMDim": out, "inputDataType": "UINT4", "outputDataType": "UINT4"}
    frames = np.random.default_rng(0).integers(0, 16, (FRAMES, *size, given["IFMChannels"]))
    return Layer(name, "ConvolutionInputGenerator", "ConvolutionInputGenerator_rtl", given, [frames])


def _shape(name: str, dice: random.Random) -> Layer | None:
    one = dice.random() < 0.2
    size = [1 if one else dice.randint(2, 10), dice.randint(2, 10)]
    kernel = [1 if one else dice.choice((1, 2, 3, 4)), dice.choice((1, 2, 3, 5))]
    stride = [1 if one else dice.choice((1, 1, 2, 3)), dice.choice((1, 1, 2, 3))]
    dilation = [1 if one else dice.choice((1, 1, 2)), dice.choice((1, 1, 2, 3))]
    channels = dice.choice((1, 2, 3, 4, 6))
    simd = dice.choice([each for each in range(1, channels + 1) if channels % each == 0])
    depthwise, parallel = int(dice.random() < 0.5), int(dice.random() < 0.35)
    extent = [(kernel[i] - 1) * dilation[i] + 1 for i in (0, 1)]
    if any(extent[i] > size[i] or stride[i] > size[i] for i in (0, 1)):
        return None
    if parallel and not depthwise:
        simd = channels
    given = {"ConvKernelDim": kernel, "Stride": stride, "Dilation": dilation, "IFMChannels": channels, "SIMD": simd}
    return window(name, size, **given, depthwise=depthwise, parallel_window=parallel)


def _is_made(layer: Any) -> bool:
    """Whether FINN does not refuse it, and finnyaml says how long it takes."""
    from finnyaml.finn.cycles import exact_cycles

    try:
        parallel = layer.select_impl_style() == "parallel"
        layer.prepare_codegen_parallel() if parallel else layer.prepare_codegen_default()
    except (AssertionError, ValueError):
        return False
    return exact_cycles(layer) is not None
