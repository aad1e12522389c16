"""Convolutions put together again from padding, windows and a matrix product (what FINN's lowering took apart).

Only for sums that are exact in any order; a convolution sums in another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from onnx import NodeProto, helper

from finnyaml.graph.view import attributes
from finnyaml.verify.executor.base import Windows


def fuse(
    nodes: list[NodeProto], constants: dict[str, np.ndarray], windows: Mapping[str, Windows], kept: Collection[str]
) -> list[NodeProto]:
    """The nodes, each product of windows with a constant made a Conv; `constants` gains the new weights.

    windows: by the tensor of patches. kept: tensors that must stay available. Weights are [kernel * channels, outputs]
    in the product, [outputs, channels, height, width] in the Conv.
    """
    uses = Counter(t for n in nodes for t in n.input)
    uses.update(kept)
    producers = {t: n for n in nodes for t in n.output}
    made: dict[str, list[NodeProto]] = {}
    dead: set[str] = set()
    for node in nodes:
        window = windows.get(node.input[0]) if node.op_type == "MatMul" else None
        weights = constants.get(node.input[1]) if window else None
        if window is None or weights is None or weights.dtype != np.float32 or weights.ndim != 2:
            continue
        if any(uses[t] != 1 for t in window.made):
            continue
        window, padding = _with_padding(window, producers, uses, constants)
        name = node.output[0]
        inputs = [f"{name}~image", f"{name}~kernel"]
        constants[f"{name}~kernel"], groups = _kernel(weights, window)
        made[name] = [
            helper.make_node("Transpose", [window.image], [f"{name}~image"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", inputs, [f"{name}~conv"], **window.sizes, pads=window.pads, group=groups),
            helper.make_node("Transpose", [f"{name}~conv"], [name], perm=[0, 2, 3, 1]),
        ]
        dead.update(window.made, padding)
    return [new for old in nodes if old.output[0] not in dead for new in made.get(old.output[0], [old])]


def _with_padding(
    window: Windows, producers: Mapping[str, NodeProto], uses: Counter[str], constants: Mapping[str, np.ndarray]
) -> tuple[Windows, tuple[str, ...]]:
    """The windows with zeros that a node before them pads, if only they see them, and the tensor that it makes."""
    pad = producers.get(window.image)
    if pad is None or pad.op_type != "Pad" or uses[window.image] != 1:
        return window, ()
    mode = attributes(pad).get("mode", "constant")
    amounts = constants.get(pad.input[1])
    value = constants.get(pad.input[2]) if len(pad.input) > 2 and pad.input[2] else np.zeros(())
    if mode != "constant" or len(pad.input) > 3 or amounts is None or value is None or np.any(value != 0):
        return window, ()
    top, left, channel, bottom, right, last = (int(amounts[i]) for i in (1, 2, 3, 5, 6, 7))
    if channel or last or min(top, left, bottom, right) < 0:
        return window, ()
    inner = window.pads
    pads = (inner[0] + top, inner[1] + left, inner[2] + bottom, inner[3] + right)
    return replace(window, image=pad.input[0], pads=pads), (window.image,)


def _kernel(matrix: np.ndarray, windows: Windows) -> tuple[np.ndarray, int]:
    """Weights [out, in / groups, kh, kw] and the number of groups, of a matrix [kh * kw * in, out]."""
    height, width = windows.sizes["kernel_shape"]
    cube = matrix.reshape(height, width, windows.channels, matrix.shape[1])
    if cube.shape[2] == cube.shape[3] > 1 and not cube[:, :, ~np.eye(windows.channels, dtype=bool)].any():
        # depthwise: output channel c sees input channel c only
        return np.ascontiguousarray(cube.diagonal(axis1=2, axis2=3).transpose(2, 0, 1)[:, None]), windows.channels
    return np.ascontiguousarray(cube.transpose(3, 2, 0, 1)), 1
