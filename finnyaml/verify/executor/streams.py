"""FINN's layers that move values and compute nothing, as standard ONNX operators: windows, padding, shapes, streams."""

from __future__ import annotations

import numpy as np

from finnyaml.verify.executor.base import Lowering, NotLowerable, lowers
from finnyaml.verify.executor.windows import im2col


@lowers("DuplicateStreams", "ReplicateStream", "StreamingFIFO")
def copies(lowering: Lowering) -> None:
    for output in lowering.node.output:
        lowering.op("Identity", [lowering.node.input[0]], output)


@lowers("StreamingDataWidthConverter", "finn.Reshape", "finn.Squeeze", "finn.Unsqueeze")
def reshaped(lowering: Lowering) -> None:
    """The same values in another shape (a width converter may also flatten)."""
    node = lowering.node
    lowering.reshape(node.input[0], lowering.shape(node.output[0]), node.output[0])


@lowers("StreamingConcat")
def concatenation(lowering: Lowering) -> None:
    node = lowering.node
    if any(name in lowering.constants for name in node.input):
        raise NotLowerable("a constant among the concatenated streams")
    lowering.op("Concat", list(node.input), node.output[0], axis=-1)


@lowers("StreamingSplit")
def split(lowering: Lowering) -> None:
    node = lowering.node
    sizes = lowering.ints(*lowering.instance.get_nodeattr("ChannelsPerStream"))
    lowering.outputs("Split", [node.input[0], sizes], node.output, axis=-1)


@lowers("ConvolutionInputGenerator")
def sliding_window(lowering: Lowering) -> None:
    """Windows, [1, H, W, C] -> [1, OH, OW, KH * KW * C]; 1D layers have a dimension of 1.

    In Python, FINN gives the same order with and without `depthwise` and `parallel_window`: only the hardware's
    stream differs.
    """
    node, attribute = lowering.node, lowering.instance.get_nodeattr
    kernel, stride, dilation = (list(attribute(name)) for name in ("ConvKernelDim", "Stride", "Dilation"))
    im2col(lowering, node.input[0], lowering.shape(node.input[0]), kernel, stride, dilation, output=node.output[0])


@lowers("FMPadding")
def padding(lowering: Lowering) -> None:
    """Zeros around height and width of [1, H, W, C]."""
    top, left, bottom, right = lowering.instance.get_nodeattr("Padding")
    pads = lowering.ints(0, top, left, 0, 0, bottom, right, 0)
    lowering.op("Pad", [lowering.node.input[0], pads], lowering.node.output[0])


@lowers("FMPadding_Pixel")
def pixel_padding(lowering: Lowering) -> None:
    """Zeros between the pixels of [1, H, W, C], `Stride` - 1 of them, as a transposed convolution needs."""
    node = lowering.node
    _, height, width, channels = lowering.shape(node.input[0])
    rows, columns = lowering.instance.get_nodeattr("Stride")
    x = lowering.reshape(node.input[0], [1, height, 1, width, 1, channels])
    x = lowering.op("Pad", [x, lowering.ints(*[0] * 6, 0, 0, rows - 1, 0, columns - 1, 0)])
    x = lowering.reshape(x, [1, height * rows, width * columns, channels])
    # No zeros behind the last row and column.
    _sliced(lowering, x, [(0, height * rows - rows + 1), (0, width * columns - columns + 1)])


@lowers("Crop")
def crop(lowering: Lowering) -> None:
    node, attribute = lowering.node, lowering.instance.get_nodeattr
    if len(lowering.shape(node.input[0])) != 4:
        raise NotLowerable("cropping without a batch dimension")
    height, width = attribute("ImgDim")
    north, south, west, east = (attribute(f"Crop{side}") for side in ("North", "South", "West", "East"))
    _sliced(lowering, node.input[0], [(north, height - south), (west, width - east)])


@lowers("UpsampleNearestNeighbour")
def upsampling(lowering: Lowering) -> None:
    """Every pixel of [1, H, W, C] repeated; the factors are integers."""
    node, attribute = lowering.node, lowering.instance.get_nodeattr
    x = node.input[0]
    for axis, side, output in ((1, "H", None), (2, "W", node.output[0])):
        factor = round(attribute(f"{side}O") / attribute(f"{side}I"))
        repeated: np.ndarray = np.repeat(np.arange(attribute(f"{side}I"), dtype=np.int64), factor)
        x = lowering.op("Gather", [x, lowering.constant(repeated)], output, axis=axis)


@lowers("SelectToken")
def select_token(lowering: Lowering) -> None:
    """One token, [1, T, C] -> [1, C]."""
    node, attribute = lowering.node, lowering.instance.get_nodeattr
    token = np.array(attribute("TokenIndex") % attribute("NumTokens"), np.int64)
    lowering.op("Gather", [node.input[0], lowering.constant(token)], node.output[0], axis=1)


@lowers("Pad1D")
def token_padding(lowering: Lowering) -> None:
    """Constant tokens before and behind the sequence, [1, T, C] -> [1, L + T + R, C]."""
    node, attribute = lowering.node, lowering.instance.get_nodeattr
    _, tokens, channels = lowering.shape(node.input[0])
    left, right = attribute("PadLeft"), attribute("PadRight")
    # The constants have no batch dimension to concatenate along: pad with zeros, then add them.
    added = np.zeros((1, left + tokens + right, channels), np.float32)
    for index, amount, place in ((1, left, slice(0, left)), (2, right, slice(left + tokens, None))):
        if amount:
            added[:, place] = lowering.given(node.input[index])
    x = lowering.op("Pad", [node.input[0], lowering.ints(0, left, 0, 0, right, 0)])
    lowering.op("Add", [x, lowering.constant(added)], node.output[0])


@lowers("Shuffle", "OuterShuffle", "InnerShuffle")
def shuffle(lowering: Lowering) -> None:
    """A transposition between two reshapes; an inner one swaps the last two dimensions."""
    node, attribute = lowering.node, lowering.instance.get_nodeattr
    shape = list(attribute("transpose_in_shape"))
    if node.op_type == "InnerShuffle":
        order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    else:
        order = list(attribute("perm"))
    if order[0] != 0 or shape[0] != 1:
        # The logical shape lacks the batch, or moves its place: put the batch before it.
        shape, order = [1, *shape], [0, *(axis + 1 for axis in order)]
    x = lowering.op("Transpose", [lowering.reshape(node.input[0], shape)], perm=order)
    lowering.reshape(x, lowering.shape(node.output[0]), node.output[0])


def _sliced(lowering: Lowering, x: str, ranges: list[tuple[int, int]]) -> None:
    """The node's output is `x`, its axes 1, 2, ... cut to these ranges."""
    limits = (*zip(*ranges, strict=True), range(1, len(ranges) + 1))  # starts, ends, axes
    lowering.op("Slice", [x, *(lowering.ints(*values) for values in limits)], lowering.node.output[0])
