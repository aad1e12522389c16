"""Layers that move values and compute nothing, as standard ONNX operators: windows, padding, shapes, streams."""

from __future__ import annotations

import numpy as np

from finnyaml.verify.executor.base import Lowering, NotLowerable, lowers
from finnyaml.verify.executor.windows import im2col


@lowers("DuplicateStreams", "ReplicateStream", "StreamingFIFO", "DebugMarker")
def copies(lowering: Lowering) -> None:
    for output in lowering.node.output:
        lowering.op("Identity", [lowering.x], output)


@lowers("StreamingDataWidthConverter", "finn.Reshape", "finn.Squeeze", "finn.Unsqueeze")
def reshaped(lowering: Lowering) -> None:
    """The same values in another shape (a width converter may also flatten)."""
    lowering.reshape(lowering.x, lowering.shape(lowering.y), lowering.y)


@lowers("StreamingConcat")
def concatenation(lowering: Lowering) -> None:
    node = lowering.node
    if any(name in lowering.constants for name in node.input):
        raise NotLowerable("a constant among the concatenated streams")
    lowering.op("Concat", list(node.input), lowering.y, axis=-1)


@lowers("StreamingSplit")
def split(lowering: Lowering) -> None:
    sizes = lowering.ints(*lowering.attribute("ChannelsPerStream"))
    lowering.outputs("Split", [lowering.x, sizes], lowering.node.output, axis=-1)


@lowers("ConvolutionInputGenerator")
def sliding_window(lowering: Lowering) -> None:
    """Windows, [1, H, W, C] -> [1, OH, OW, KH * KW * C]; 1D layers have a dimension of 1.

    In Python, FINN gives the same order with and without `depthwise` and `parallel_window`: only the hardware's
    stream differs.
    """
    kernel, stride, dilation = (list(lowering.attribute(name)) for name in ("ConvKernelDim", "Stride", "Dilation"))
    im2col(lowering, lowering.x, lowering.shape(lowering.x), kernel, stride, dilation, output=lowering.y)


@lowers("FMPadding")
def padding(lowering: Lowering) -> None:
    """Zeros around height and width of [1, H, W, C]."""
    top, left, bottom, right = lowering.attribute("Padding")
    pads = lowering.ints(0, top, left, 0, 0, bottom, right, 0)
    lowering.op("Pad", [lowering.x, pads], lowering.y)


@lowers("FMPadding_Pixel")
def pixel_padding(lowering: Lowering) -> None:
    """Zeros between the pixels of [1, H, W, C], `Stride` - 1 of them, as a transposed convolution needs."""
    _, height, width, channels = lowering.shape(lowering.x)
    rows, columns = lowering.attribute("Stride")
    x = lowering.reshape(lowering.x, [1, height, 1, width, 1, channels])
    x = lowering.op("Pad", [x, lowering.ints(*[0] * 6, 0, 0, rows - 1, 0, columns - 1, 0)])
    x = lowering.reshape(x, [1, height * rows, width * columns, channels])
    # No zeros behind the last row and column.
    _sliced(lowering, x, [(0, height * rows - rows + 1), (0, width * columns - columns + 1)])


@lowers("Crop")
def crop(lowering: Lowering) -> None:
    if len(lowering.shape(lowering.x)) != 4:
        raise NotLowerable("cropping without a batch dimension")
    height, width = lowering.attribute("ImgDim")
    north, south, west, east = (lowering.attribute(f"Crop{side}") for side in ("North", "South", "West", "East"))
    _sliced(lowering, lowering.x, [(north, height - south), (west, width - east)])


@lowers("UpsampleNearestNeighbour")
def upsampling(lowering: Lowering) -> None:
    """Every pixel of [1, H, W, C] repeated; the factors are integers."""
    x = lowering.x
    for axis, side, output in ((1, "H", None), (2, "W", lowering.y)):
        factor = round(lowering.attribute(f"{side}O") / lowering.attribute(f"{side}I"))
        repeated: np.ndarray = np.repeat(np.arange(lowering.attribute(f"{side}I"), dtype=np.int64), factor)
        x = lowering.op("Gather", [x, lowering.constant(repeated)], output, axis=axis)


@lowers("SelectToken")
def select_token(lowering: Lowering) -> None:
    """One token, [1, T, C] -> [1, C]."""
    token = np.array(lowering.attribute("TokenIndex") % lowering.attribute("NumTokens"), np.int64)
    lowering.op("Gather", [lowering.x, lowering.constant(token)], lowering.y, axis=1)


@lowers("Pad1D")
def token_padding(lowering: Lowering) -> None:
    """Constant tokens before and behind the sequence, [1, T, C] -> [1, L + T + R, C]."""
    _, tokens, channels = lowering.shape(lowering.x)
    left, right = lowering.attribute("PadLeft"), lowering.attribute("PadRight")
    # The constants have no batch dimension to concatenate along: pad with zeros, then add them.
    added = np.zeros((1, left + tokens + right, channels), np.float32)
    for index, amount, place in ((1, left, slice(0, left)), (2, right, slice(left + tokens, None))):
        if amount:
            added[:, place] = lowering.given(lowering.node.input[index])
    x = lowering.op("Pad", [lowering.x, lowering.ints(0, left, 0, 0, right, 0)])
    lowering.op("Add", [x, lowering.constant(added)], lowering.y)


@lowers("Shuffle", "OuterShuffle", "InnerShuffle")
def shuffle(lowering: Lowering) -> None:
    """A transposition between two reshapes; an inner one swaps the last two dimensions."""
    shape = list(lowering.attribute("transpose_in_shape"))
    if lowering.node.op_type == "InnerShuffle":
        order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    else:
        order = list(lowering.attribute("perm"))
    if order[0] != 0 or shape[0] != 1:
        # The logical shape lacks the batch, or moves its place: put the batch before it.
        shape, order = [1, *shape], [0, *(axis + 1 for axis in order)]
    x = lowering.op("Transpose", [lowering.reshape(lowering.x, shape)], perm=order)
    lowering.reshape(x, lowering.shape(lowering.y), lowering.y)


def _sliced(lowering: Lowering, x: str, ranges: list[tuple[int, int]]) -> None:
    """The node's output is `x`, its axes 1, 2, ... cut to these ranges."""
    limits = (*zip(*ranges, strict=True), range(1, len(ranges) + 1))  # starts, ends, axes
    lowering.op("Slice", [x, *(lowering.ints(*values) for values in limits)], lowering.y)
