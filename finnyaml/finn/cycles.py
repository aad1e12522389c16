"""Cycles that a layer of the RTL path takes for a frame, as its SystemVerilog takes them, where that is known.

FINN's own estimate is right for most layers. For sliding windows it is not: `get_exp_cycles` of
ConvolutionInputGenerator_rtl is a formula beside the hardware, and is wrong in both directions. Here the schedule of
FINN's templates (swg_template_default.sv, swg_template_parallel.sv) is followed word by word of the buffer. It depends
on nothing but the shape, as long as the layer before has a word and the layer behind takes one: in a design, the
interval between frames is never less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

EXACT = frozenset(
    (
        *("FMPadding_rtl", "MVAU_rtl", "VVAU_rtl"),
        *("DuplicateStreams_rtl", "GlobalAccPool_rtl", "IntegerAdd_rtl", "LabelSelect_rtl", "Pool_rtl"),
    )
)
"""Layers that take what FINN's `get_exp_cycles`, or that of our kernels, says: tests/finn/test_cycles.py,
tests/finn/test_kernels.py and tests/rtl/test_lost_results.py count them in simulation."""


def exact_cycles(layer: Any) -> int | None:
    """Cycles between two frames of an RTL layer that never waits for another; None where nobody has compared them.

    layer: FINN's custom op of the node, specialised and folded.
    """
    kind = layer.onnx_node.op_type
    if kind == "ConvolutionInputGenerator_rtl":
        shape = shape_of(layer)
        return None if shape is None else window_cycles(shape)
    if kind == "MVAU_rtl" and (layer.get_nodeattr("TH") > 1 or layer.get_nodeattr("pumpedCompute")):
        return None
    return int(layer.get_exp_cycles()) if kind in EXACT else None


class Windows(NamedTuple):
    """What a sliding window does; pairs are height and width.

    words: per pixel (channels by SIMD). buffer: words that the buffer holds. parallel: a whole window in each cycle.
    """

    image: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    words: int
    buffer: int
    depthwise: bool
    parallel: bool


def shape_of(layer: Any) -> Windows | None:
    """The shape of a ConvolutionInputGenerator_rtl; None if it is set at run time, or has FINN's unfinished M."""
    if layer.get_nodeattr("dynamic_mode") or layer.get_nodeattr("M") != 1:
        return None

    def pair(name: str) -> tuple[int, int]:
        down, right = layer.get_nodeattr(name)
        return int(down), int(right)

    return Windows(
        image=pair("IFMDim"),
        kernel=pair("ConvKernelDim"),
        stride=pair("Stride"),
        dilation=pair("Dilation"),
        words=layer.get_nodeattr("IFMChannels") // layer.get_nodeattr("SIMD"),
        buffer=int(layer.get_buffer_depth()),
        depthwise=bool(layer.get_nodeattr("depthwise")),
        parallel=layer.select_impl_style() == "parallel",
    )


@lru_cache(maxsize=4096)
def window_cycles(shape: Windows) -> int | None:
    """Cycles per frame; None where FINN's code takes rows or columns that no window needs for others (it counts them
    modulo those that windows need), and the hardware stands still or gives other windows.
    """
    needed = [(_windows(shape, axis) - 1) * shape.stride[axis] + _extent(shape, axis) for axis in (0, 1)]
    if any(size >= 2 * each for size, each in zip(shape.image, needed, strict=True)):
        return None
    return _parallel(shape) if shape.parallel else _addressed(shape)


def _parallel(shape: Windows) -> int:
    """All words go through a shift register, one a cycle; one more cycle where the last of them completes a window."""
    total = prod(shape.image) * shape.words
    return total + (_last(shape) == total - 1)


@dataclass
class _Buffer:
    """total: words of an image; size: words that the buffer holds. time: cycles so far. taken: words that came in.
    free: words before this one are needed no more by the windows that have begun.
    """

    total: int
    size: int
    time: int = 0
    taken: int = 0
    free: int = 0

    def give(self, word: int) -> None:
        """A word leaves: one cycle, after those in which it and the words before it come in.

        In each cycle a word comes in unless its place in the buffer is that of one still needed.
        """
        waits = max(0, word + 1 - self.taken)
        self.taken += waits
        if self.taken < self.total and self.taken - self.size < min(self.free, word):
            self.taken += 1
        self.time += waits + 1


def _addressed(shape: Windows) -> int:
    """A buffer with addresses gives the words of each window one after another, one a cycle, once they have come in.

    An image ends when the last word has left and the rest of the image has been taken; only then the next one begins.
    """
    buffer = _Buffer(prod(shape.image) * shape.words, shape.buffer)
    steps = [shape.stride[0] * shape.image[1] * shape.words, shape.stride[1] * shape.words]
    runs = list(_runs(shape))
    rows, columns = (_windows(shape, axis) for axis in (0, 1))

    def window(row: int, column: int) -> None:
        first = row * steps[0] + column * steps[1]
        for index, run in enumerate(runs):
            for place, offset in enumerate(run):
                buffer.give(first + offset)
                if place == 0:
                    # in the cycle after, what comes before the next run is free
                    if index < len(runs) - 1:
                        buffer.free = first + index + 1
                    elif column < columns - 1:
                        buffer.free = first + steps[1]
                    elif row < rows - 1:
                        buffer.free = (row + 1) * steps[0]
                    else:
                        buffer.free = buffer.total

    def row_of_windows(row: int) -> None:
        _repeat(buffer, columns, steps[1], row * steps[0], lambda column: window(row, column))

    _repeat(buffer, rows, steps[0], 0, row_of_windows)
    return buffer.time + max(1, buffer.total - buffer.taken)


def _repeat(buffer: _Buffer, count: int, step: int, start: int, one: Callable[[int], None]) -> None:
    """Do `one` for all of `count` that are `step` words apart; what begins as the one before it takes as long."""
    lead: int | None = None
    index = since = 0
    while index < count:
        ahead = buffer.taken - start - index * step
        alike = min(count - 1 - index, (buffer.total - buffer.taken) // step)
        if ahead == lead and alike > 0:  # the last is never like the others
            buffer.time += alike * (buffer.time - since)
            buffer.taken += alike * step
            buffer.free += alike * step
            index += alike
        lead, since = ahead, buffer.time
        one(index)
        index += 1


def _runs(shape: Windows) -> Iterator[list[int]]:
    """The words of a window by their distance from its first, in order; in depthwise layers channel after channel."""
    places = [
        (row * shape.dilation[0] * shape.image[1] + column * shape.dilation[1]) * shape.words
        for row in range(shape.kernel[0])
        for column in range(shape.kernel[1])
    ]
    channels = range(shape.words)
    if shape.depthwise:
        yield from ([place + channel for place in places] for channel in channels)
    else:
        yield [place + channel for place in places for channel in channels]


def _extent(shape: Windows, axis: int) -> int:
    return (shape.kernel[axis] - 1) * shape.dilation[axis] + 1


def _windows(shape: Windows, axis: int) -> int:
    return (shape.image[axis] - _extent(shape, axis)) // shape.stride[axis] + 1


def _last(shape: Windows) -> int:
    """The last word that a window needs."""
    down, right = ((_windows(shape, axis) - 1) * shape.stride[axis] + _extent(shape, axis) - 1 for axis in (0, 1))
    return (down * shape.image[1] + right + 1) * shape.words - 1
