"""Where in a tensor the mismatches lie, in words that point to a cause."""

from __future__ import annotations

import numpy as np

from finnyaml.text import listed
from finnyaml.verify.bisect.fit import Fit
from finnyaml.verify.bisect.result import Where

_FEW_CHANNELS = 0.25
"""Up to this fraction of the channels (and always one) counts as single channels."""


def where(values: np.ndarray, fit: Fit, axis: int | None) -> Where:
    """The pattern of the mismatches of a tensor [n, ...], with what was expected of it, and its channel axis if any."""
    wrong = ~fit.agree
    channels = _channels(wrong, axis)
    at = f" in {_listed(channels)}" if channels else ""
    if bounds := _bounds(values, fit, wrong):
        text = f"the values are clipped at {' and '.join(f'{bound:g}' for bound in bounds)}{', all' + at if at else ''}"
        return Where("saturated", text, channels=channels)
    if width := _border(wrong, axis):
        pixels = "pixel" if width == 1 else f"{width} pixels"
        return Where("border", f"all mismatches lie in the outer {pixels}{at}", width=width, channels=channels)
    if channels:
        return Where("channels", f"all mismatches lie{at}", channels=channels)
    over = "image" if image_axes(wrong, axis) else "tensor"
    return Where("spread", f"the mismatches are spread over the whole {over}")


def image_axes(array: np.ndarray, axis: int | None) -> tuple[int, int] | None:
    """The axes of height and width of a tensor [n, ...] with channels along `axis`; None if it holds no images."""
    if array.ndim != 4 or axis is None:
        return None
    height, width = (other for other in range(1, 4) if other != axis)
    return (height, width) if min(array.shape[height], array.shape[width]) > 1 else None


def _channels(wrong: np.ndarray, axis: int | None) -> tuple[int, ...]:
    """The channels that hold all mismatches, if they are few."""
    if axis is None:
        return ()
    hit = np.flatnonzero(wrong.any(axis=tuple(other for other in range(wrong.ndim) if other != axis)))
    few = len(hit) <= max(1, _FEW_CHANNELS * wrong.shape[axis])
    return tuple(int(channel) for channel in hit) if few and len(hit) < wrong.shape[axis] else ()


def _border(wrong: np.ndarray, axis: int | None) -> int | None:
    """The width of the border that all mismatches lie in, if they fill it and an inner part is left."""
    axes = image_axes(wrong, axis)
    if axes is None:
        return None
    image = np.any(wrong, axis=tuple(other for other in range(wrong.ndim) if other not in axes))
    rows, columns = (np.minimum(np.arange(size), np.arange(size)[::-1]) for size in image.shape)
    distance = np.minimum(rows[:, None], columns[None, :])
    width = int(distance[image].max()) + 1
    outer = distance < width
    # A fault that only happens to touch no inner pixel leaves most of the border alone as well. Padding on two sides
    # only (as of even kernels) still fills nearly half of it.
    return width if not outer.all() and image[outer].mean() > 0.4 else None


def _bounds(values: np.ndarray, fit: Fit, wrong: np.ndarray) -> list[float]:
    """The values that mismatches are cut off at: they lie on the tensor's extremes, and should lie beyond them."""
    lowest, highest = float(values.min()), float(values.max())
    got, expected = values[wrong], fit.expected[wrong]
    low, high = (got == lowest) & (expected < lowest), (got == highest) & (expected > highest)
    if (low | high).mean() <= 0.95:
        return []
    return [bound for bound, cut in ((lowest, low), (highest, high)) if cut.any()]


def _listed(channels: tuple[int, ...]) -> str:
    shown = [str(channel) for channel in channels[:6]]
    if len(channels) == 1:
        return f"channel {shown[0]}"
    if len(channels) > len(shown):
        return f"channels {', '.join(shown)} and {len(channels) - len(shown)} more"
    return f"channels {listed(shown)}"
