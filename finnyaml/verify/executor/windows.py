"""Sliding windows: the patches that a convolution sees, as the last axis of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finnyaml.verify.executor.base import Lowering, NotLowerable, Windows

NO_PADS = (0, 0, 0, 0)


def im2col(
    lowering: Lowering,
    x: str,
    shape_nhwc: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    pads: Sequence[int] = NO_PADS,
    value: float = 0.0,
    output: str | None = None,
) -> str:
    """Patches [n, oh, ow, kh * kw * c] of an image [n, h, w, c]; in a patch the channel changes fastest.

    kernel, stride, dilation: (height, width). pads: pixels of `value` added (top, left, bottom, right).
    In front of a matrix product `fuse.py` makes a convolution of them.
    """
    one, height, width, channels = shape_nhwc
    if one != 1:
        raise NotLowerable(f"an image of shape {list(shape_nhwc)} has no leading dimension of 1 for the batch")
    image, (top, left, bottom, right) = x, (int(p) for p in pads)
    if any(pads):
        amounts = lowering.ints(0, top, left, 0, 0, bottom, right, 0)
        x = lowering.op("Pad", [x, amounts, lowering.constant(np.float32(value))])
    height, width = height + top + bottom, width + left + right
    rows = positions(height, kernel[0], stride[0], dilation[0])
    columns = positions(width, kernel[1], stride[1], dilation[1])
    if rows.size == 0 or columns.size == 0:
        raise NotLowerable("the kernel is larger than the image")
    index = rows[:, None, :, None] * width + columns[None, :, None, :]  # [oh, ow, kh, kw]
    pixels = lowering.reshape(x, [1, height * width, channels])
    gathered = lowering.op("Gather", [pixels, lowering.constant(index.astype(np.int64))], axis=1)
    patches = lowering.reshape(gathered, [1, len(rows), len(columns), kernel[0] * kernel[1] * channels], output)
    made = (pixels, gathered, patches)
    named = {"kernel_shape": kernel, "strides": stride, "dilations": dilation}
    sizes = {name: (size[0], size[1]) for name, size in named.items()}
    if any(pads) and value == 0:  # zeros can be padded by the convolution itself
        lowering.windows[patches] = Windows(image, (x, *made), channels, sizes, (top, left, bottom, right))
    else:
        lowering.windows[patches] = Windows(x, made, channels, sizes, NO_PADS)
    return patches


def positions(size: int, kernel: int, stride: int, dilation: int) -> np.ndarray:
    """The index of each pixel that the window sees along one axis: [output size, kernel]."""
    count = (size - dilation * (kernel - 1) - 1) // stride + 1
    seen: np.ndarray = np.arange(max(count, 0))[:, None] * stride + np.arange(kernel)[None, :] * dilation
    return seen
