"""A convolution however it is written: as one node, as windows and a product, or as layers of FINN."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from finnyaml.graph.layers import Graph
from finnyaml.graph.operators import CONVOLUTION, MATRIX
from finnyaml.graph.view import attributes
from finnyaml.verify.bisect import arrays

_NAMES = {
    "padding": ("pads", "pad_amount", "Padding"),
    "stride": ("strides", "stride", "Stride"),
    "dilation": ("dilations", "Dilation"),
    "kernel": ("kernel_shape", "kernel_size", "ConvKernelDim"),
}
"""What of a window is called how by Conv, Im2Col and FINN's layers; all count from the top left."""

_USUAL = {"padding": (0, 0, 0, 0), "stride": (1, 1), "dilation": (1, 1)}


def rewritten(before: Graph, after: Graph, former: Any, node: Any) -> Iterator[str]:
    """What is different of the windows and weights of a product that is written in another way than before."""
    if former.op_type not in MATRIX | CONVOLUTION or node.op_type not in MATRIX | CONVOLUTION:
        return
    old, new = _window(before, former), _window(after, node)
    for what in _NAMES:
        if what in old and what in new and old[what] != new[what]:
            yield f"{what} {list(old[what])} -> {list(new[what])}"
    if former.op_type == "Conv" and node.op_type == "MatMul":
        weights, made = before.constant(former.input[1]), after.constant(node.input[1])
        if weights is not None and made is not None and attributes(former).get("group", 1) == 1:
            expected = weights.transpose(2, 3, 1, 0).reshape(-1, len(weights))
            if told := arrays.told(expected, made):
                yield f"weight {told}"


def _window(graph: Graph, node: Any) -> dict[str, tuple[int, ...]]:
    """Padding, stride, dilation and kernel of a convolution; {} of any other product."""
    found: dict[str, tuple[int, ...]] = {}
    for part in (node, *graph.windows_of(node)):
        written = attributes(part)
        for what, names in _NAMES.items():
            for name in names:
                if what not in found and name in written:
                    found[what] = tuple(int(item) for item in np.atleast_1d(written[name]))
    return {**_USUAL, **found} if "kernel" in found else {}
