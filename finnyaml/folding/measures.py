"""What of an RTL layer decides its size: widths, folds and depths, read from FINN's layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Measures = dict[str, int | str]


def measures(layer: Any) -> Measures | None:
    """What the price of a layer follows from; None for a layer of a type or in a form that nobody has measured."""
    read = _READ.get(layer.onnx_node.op_type)
    return None if read is None else read(layer)


def _converter(layer: Any) -> Measures | None:
    return {"in": layer.get_nodeattr("inWidth"), "out": layer.get_nodeattr("outWidth")}


def _matrix(layer: Any) -> Measures | None:
    """FINN's other memories for weights, its doubled clocks and activations inside have other hardware."""
    unlike = {"pumpedMemory": 0, "pumpedCompute": 0, "runtime_writeable_weights": 0, "mem_mode": "internal_decoupled"}
    if not _is(layer, unlike) or not layer.get_nodeattr("noActivation"):
        return None
    found = _numbers(layer, "MW", "MH", "PE", "SIMD")
    found |= {"weight": layer.get_input_datatype(1).bitwidth(), "in": layer.get_input_datatype(0).bitwidth()}
    return found | {"out": layer.get_output_datatype().bitwidth(), "ram": layer.get_nodeattr("ram_style")}


def _thresholds(layer: Any) -> Measures | None:
    if not _is(
        layer,
        {"runtime_writeable_weights": 0, "depth_trigger_uram": 0, "depth_trigger_bram": 0, "deep_pipeline": 1},
    ):
        return None
    widest = max(layer.get_input_datatype(at).bitwidth() for at in (0, 1))
    return {**_numbers(layer, "NumChannels", "PE", "numSteps"), "in": widest}


def _window(layer: Any) -> Measures | None:
    if not _is(layer, {"dynamic_mode": 0, "M": 1}):
        return None
    kernel, image = layer.get_nodeattr("ConvKernelDim"), layer.get_nodeattr("IFMDim")
    return {
        "style": layer.select_impl_style(),
        "channels": layer.get_nodeattr("IFMChannels"),
        "SIMD": layer.get_nodeattr("SIMD"),
        "bits": layer.get_input_datatype().bitwidth(),
        "kernel": math.prod(kernel),
        "image": math.prod(image),
        "depth": int(layer.get_buffer_depth()),
        "ram": layer.get_nodeattr("ram_style"),
    }


def _padding(layer: Any) -> Measures | None:
    if not _is(layer, {"dynamic_mode": 0}):
        return None
    height, width = layer.get_padded_odim()
    folds = layer.get_nodeattr("NumChannels") // layer.get_nodeattr("SIMD")
    return {"height": int(height), "width": int(width), "folds": folds, "bits": layer.get_instream_width()}


def _fifo(layer: Any) -> Measures | None:
    """Shift registers only: deeper ones are chosen by `rtl.size_fifos`, after the folding."""
    depth = layer.get_nodeattr("depth")
    return {"bits": layer.get_instream_width(), "depth": depth} if depth <= SHALLOW else None


SHALLOW = 32
"""As deep as one LUT of shift register."""


def _pool(layer: Any) -> Measures | None:
    types = layer.get_input_datatype().bitwidth(), layer.get_output_datatype().bitwidth()
    found = _numbers(layer, "Channels", "PE")
    window = math.prod(layer.get_nodeattr("KernelSize"))
    return {"function": layer.get_nodeattr("Function"), **found, "window": window, "in": types[0], "out": types[1]}


def _copies(layer: Any) -> Measures | None:
    return {"bits": layer.get_instream_width(), "outputs": layer.get_nodeattr("NumOutputStreams")}


def _sum(layer: Any) -> Measures | None:
    if "const" in (layer.get_nodeattr("lhs_style"), layer.get_nodeattr("rhs_style")):
        return None
    types = (layer.get_input_datatype(0), layer.get_input_datatype(1), layer.get_output_datatype())
    left, right, out = (each.bitwidth() for each in types)
    return {"PE": layer.get_nodeattr("PE"), "left": left, "right": right, "out": out}


def _average(layer: Any) -> Measures | None:
    types = layer.get_input_datatype().bitwidth(), layer.get_output_datatype().bitwidth()
    return {**_numbers(layer, "NumChannels", "PE"), "in": types[0], "out": types[1]}


def _labels(layer: Any) -> Measures | None:
    return {**_numbers(layer, "Labels", "PE", "K"), "in": layer.get_input_datatype().bitwidth()}


_READ: Mapping[str, Callable[[Any], Measures | None]] = {
    "StreamingDataWidthConverter_rtl": _converter,
    "MVAU_rtl": _matrix,
    "Thresholding_rtl": _thresholds,
    "ConvolutionInputGenerator_rtl": _window,
    "FMPadding_rtl": _padding,
    "StreamingFIFO_rtl": _fifo,
    "Pool_rtl": _pool,
    "DuplicateStreams_rtl": _copies,
    "IntegerAdd_rtl": _sum,
    "GlobalAccPool_rtl": _average,
    "LabelSelect_rtl": _labels,
}


def _numbers(layer: Any, *names: str) -> Measures:
    return {name: int(layer.get_nodeattr(name)) for name in names}


def _is(layer: Any, values: Mapping[str, Any]) -> bool:
    known = layer.get_nodeattr_types()
    return all(layer.get_nodeattr(name) == value for name, value in values.items() if name in known)
