"""Small networks of FINN's RTL layers whose sizes are drawn: what a search is tried on."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveUniqueNodeNames

from finnyaml.finn.kernels.register import register
from tests.rtl import small_network
from tests.verify.executor.one_layer import HARDWARE, Tensor, graph


def branches() -> ModelWrapper:
    """A fork, of which one branch has a layer, and a join."""
    register()
    return small_network.layers().transform(GiveUniqueNodeNames())


def images(seed: int) -> ModelWrapper:
    """A padded convolution with thresholds, the largest of each window, and a dense layer."""
    register()
    chance, numbers = Random(seed), np.random.default_rng(seed)
    size, channels, kernels = chance.choice((6, 8)), chance.choice((1, 2, 3, 6)), chance.choice((4, 6, 8))
    kernel, bits, labels = chance.choice((1, 3)), chance.choice((2, 4)), chance.choice((5, 6, 10))
    kernel = 3 if channels == 1 else kernel  # a matrix of one column takes a whole row at once, whatever its folding
    wide, padded, half = kernel * kernel * channels, size + kernel - 1, size // 2
    taken, steps = f"UINT{bits}", 3
    tensors = {"x": Tensor([1, size, size, channels], taken)}
    nodes = []

    def add(op_type: str, given: str, shape: list[int], datatype: str, *constants: str, **attributes: Any) -> None:
        nodes.append(_node(op_type, [list(tensors)[-1], *constants], given, **attributes))
        tensors[given] = Tensor(shape, datatype)

    def matrix(given: str, shape: list[int], values: np.ndarray, taken: str, pixels: list[int]) -> None:
        wide, high = values.shape
        types = {"inputDataType": taken, "weightDataType": "INT3", "outputDataType": "INT14", "accDataType": "INT14"}
        sizes = {"MW": wide, "MH": high, "PE": 1, "SIMD": 1, "numInputVectors": pixels}
        add("MVAU_rtl", given, shape, "INT14", f"{given}_weights", **types, **sizes, noActivation=1, ram_style="auto")
        constants[f"{given}_weights"] = Tensor([wide, high], "INT3", values.astype(np.float32))

    def windows(given: str, size: int, kernel: int, stride: int, channels: int, datatype: str, **more: Any) -> None:
        made = (size - kernel) // stride + 1
        image = {"IFMDim": [size, size], "OFMDim": [made, made], "IFMChannels": channels, "SIMD": 1, **more}
        image |= {"ConvKernelDim": [kernel] * 2, "Stride": [stride] * 2, "Dilation": [1, 1]}
        types = {"inputDataType": datatype, "outputDataType": datatype}
        shape = [1, made, made, kernel * kernel * channels]
        add("ConvolutionInputGenerator_rtl", given, shape, datatype, **image, **types)

    constants: dict[str, Tensor] = {}
    if kernel > 1:
        image = {"ImgDim": [size, size], "Padding": [1] * 4, "NumChannels": channels, "SIMD": 1}
        add("FMPadding_rtl", "padded", [1, padded, padded, channels], taken, **image, inputDataType=taken)
    windows("windows", padded, kernel, 1, channels, taken)
    matrix("sums", [1, size, size, kernels], numbers.integers(-3, 4, (wide, kernels)), taken, [1, size, size])
    levels = {"NumChannels": kernels, "PE": 1, "numSteps": steps, "ActVal": 0, "numInputVectors": [1, size, size]}
    types = {"inputDataType": "INT14", "weightDataType": "INT14", "outputDataType": "UINT2"}
    constants["levels"] = Tensor([kernels, steps], "INT14", np.sort(numbers.integers(-40, 40, (kernels, steps))) * 1.0)
    add("Thresholding_rtl", "activations", [1, size, size, kernels], "UINT2", "levels", **levels, **types)
    windows("pooled_windows", size, 2, 2, kernels, "UINT2", depthwise=1)
    pool = {"Channels": kernels, "PE": 1, "KernelSize": [2, 2], "Function": "MaxPool", "OutImgDims": [half, half]}
    types = {"InputDataType": "UINT2", "OutputDataType": "UINT2"}
    add("Pool_rtl", "pooled", [1, half, half, kernels], "UINT2", **pool, **types)
    matrix("y", [1, half, half, labels], numbers.integers(-3, 4, (kernels, labels)), "UINT2", [1, half, half])
    return graph(nodes, {**tensors, **constants}, "x", ["y"]).transform(GiveUniqueNodeNames())


def _node(op_type: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    from onnx import helper

    domain = f"{HARDWARE}.rtl"
    return helper.make_node(op_type, inputs, [output], domain=domain, backend="fpgadataflow", **attributes)
