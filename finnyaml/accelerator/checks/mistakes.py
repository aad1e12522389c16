"""Mistakes that people make with images: how each is made, and how it is undone where it can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Callable

import numpy as np

from ..contract import User
from ..numbers.codes import all_whole

Change = Callable[[np.ndarray], np.ndarray]

SCALING = "wrong input scaling"
LAYOUT = "wrong layout"

_CONVENTIONS = (
    ("divided by 255, to 0 to 1", 0.0, 1.0),
    ("bytes of 0 to 255", 0.0, 255.0),
    ("bytes less 128, -128 to 127", -128.0, 127.0),
    ("divided by 255 twice, to 0 to 1/255", 0.0, 1 / 255),
)
"""Ranges in which people have images."""


@dataclass(frozen=True)
class Mistake:
    """`make` turns right images into wrong ones, `undo` wrong ones into right ones; None where it cannot be.

    Both take and return [n, *shape]. What they return may still be refused, by its dtype or range.
    """

    name: str
    what: str
    make: Change | None
    undo: Change | None


def possible(wanted: User, golden: np.ndarray, images: np.ndarray) -> list[Mistake]:
    """The mistakes that `images` may have by their dtype and their values, the likeliest first.

    wanted: what the accelerator takes. golden: right images, [N, *shape]. images: the user's, [n, *shape], n >= 1.
    """
    low, high = wanted.range if wanted.range is not None else (float(golden.min()), float(golden.max()))
    found = list(_scalings(wanted.dtype, low, high, golden, images))
    if images.dtype == wanted.dtype:
        found += _layouts(wanted)
    return found


def _scalings(dtype: np.dtype, low: float, high: float, golden: np.ndarray, images: np.ndarray) -> Iterator[Mistake]:
    least, most = float(images.min()), float(images.max())
    whole = dtype.kind in "iu"
    if images.dtype != dtype and low <= least and most <= high and (not whole or all_whole(images)):
        change = _affine((low, high), (low, high), dtype)
        yield Mistake("wrong dtype", f"{images.dtype} instead of {dtype}, with the right values", None, change)
    yield from _lost(dtype, high, golden, images)
    for what, start, end in _CONVENTIONS:
        # Integers hold no fractions, and what is far smaller than its range was meant for a smaller one.
        fits = start <= least and 0.3 * end <= most <= end * 1.001 and (start < 0) == (least < 0)
        fractions = max(abs(start), end) <= 1
        if fits and (start, end) != (low, high) and not (fractions and images.dtype.kind in "iub"):
            kind = images.dtype
            yield Mistake(
                SCALING,
                f"the values are {what}, where {low:g} to {high:g} is expected",
                _affine((low, high), (start, end), kind),
                _affine((start, end), (low, high), dtype),
            )
    if images.dtype != dtype:
        return
    if whole and (low, high) == (np.iinfo(dtype).min, np.iinfo(dtype).max):
        yield _shifted(dtype)
    invert = _affine((low, high), (high, low), dtype)
    yield Mistake(SCALING, "the images are inverted: dark is bright", invert, invert)


def _lost(dtype: np.dtype, high: float, golden: np.ndarray, images: np.ndarray) -> Iterator[Mistake]:
    """Fractions cast to integers: nothing can bring them back."""
    most = float(images.max())
    if images.dtype != dtype or dtype.kind not in "iu" or most > 1 or float(golden.max()) <= 1 or images.min() < 0:
        return

    def divided(times: int) -> Change:
        return lambda right: (right / float(high) ** times).astype(dtype)

    if most == 1:
        what = f"divided by {high:g} and cast back to {dtype}: only 0 and 1 are left"
        yield Mistake(SCALING, what, divided(1), None)
    else:
        what = f"divided by {high:g} more than once and cast back to {dtype}: all values are 0"
        yield Mistake(SCALING, what, divided(2), None)


def _shifted(dtype: np.dtype) -> Mistake:
    """Half the range is taken away, in a type that then wraps around."""
    count = np.iinfo(dtype).max - np.iinfo(dtype).min + 1
    half = count // 2

    def shift(images: np.ndarray) -> np.ndarray:
        moved: np.ndarray = (images.astype(np.int64) + half) % count
        wrapped: np.ndarray = moved.astype(np.dtype(f"u{dtype.itemsize}")).view(dtype)
        return wrapped

    what = f"shifted by {half} (minus {half}, or signed bytes taken for unsigned ones or the reverse)"
    return Mistake(SCALING, what, shift, shift)


def _layouts(wanted: User) -> Iterator[Mistake]:
    """Orders that the shape does not show."""
    axes = _axes(wanted)
    if axes is None:
        return
    shape, channel, row, column = axes
    height, width, channels = shape[row], shape[column], shape[channel] if channel is not None else 1

    def on(change: Change) -> Change:
        return lambda images: change(images.reshape(len(images), *shape[1:])).reshape(images.shape)

    swapped = partial(np.swapaxes, axis1=row, axis2=column)

    if height == width and height > 1:
        exchange = on(swapped)
        yield Mistake(LAYOUT, "height and width are exchanged", exchange, exchange)
    if channel is not None and channels > 1:
        if height * width > 1:
            first = channel < row
            image, other = (channels, height, width), (height, width, channels)
            there, back = (0, 3, 1, 2), (0, 2, 3, 1)  # from the other order to the wanted one, and back
            if not first:
                image, other, there, back = other, image, back, there
            yield Mistake(
                LAYOUT,
                f"{'NHWC bytes reshaped to NCHW' if first else 'NCHW bytes reshaped to NHWC'}, not transposed",
                lambda images: images.reshape(-1, *image).transpose(back).reshape(images.shape),
                lambda images: images.reshape(-1, *other).transpose(there).reshape(images.shape),
            )
        reverse = on(lambda images: np.flip(images, channel))
        yield Mistake(LAYOUT, "the channels are in reverse order (BGR for RGB)", reverse, reverse)


def _axes(wanted: User) -> tuple[tuple[int, ...], int | None, int, int] | None:
    """The shape as images [n, ...] and where channels, rows and columns are in it; None where they are not images."""
    shape = tuple(wanted.shape)
    if len(shape) == 3:
        channel, row, column = (3, 1, 2) if wanted.layout == "NHWC" else (1, 2, 3)
        return (-1, *shape), channel, row, column
    if len(shape) == 2:
        return (-1, *shape), None, 1, 2
    if len(shape) == 1:
        for channels in (1, 3):
            edge = round((shape[0] / channels) ** 0.5)
            if edge > 1 and channels * edge * edge == shape[0]:
                return (-1, channels, edge, edge), 1, 2, 3
    return None


def _affine(source: tuple[float, float], target: tuple[float, float], dtype: np.dtype) -> Change:
    """Values of one range to those of another, linearly; integers are rounded, and kept within the type."""
    scale = (target[1] - target[0]) / (source[1] - source[0])

    def change(images: np.ndarray) -> np.ndarray:
        values = (images.astype(np.float64) - source[0]) * scale + target[0]
        if dtype.kind in "iu":
            values = np.clip(np.rint(values), np.iinfo(dtype).min, np.iinfo(dtype).max)
        else:
            values = np.clip(values, min(target), max(target))
        changed: np.ndarray = values.astype(dtype)
        return changed

    return change
