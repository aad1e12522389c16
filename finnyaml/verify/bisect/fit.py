"""Whether one array is another one up to scale and offset, where some elements may be anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SAMPLE = 1024
"""So many elements per row decide on scale and offset."""
_TRIES = 64


@dataclass(frozen=True)
class Fit:
    """`expected` is the fitted array in the unit of the other, `agree` where the other equals it; same shapes."""

    expected: np.ndarray
    agree: np.ndarray

    @property
    def fraction(self) -> float:
        """How many of the elements agree, 0 to 1."""
        return float(self.agree.mean())


def is_affine(a: np.ndarray, b: np.ndarray, axis: int | None) -> bool:
    """Whether b == scale * a + offset for all elements [n, ...], the scale not being 0; arguments as of `affine`."""
    x, y = _rows(a, axis), _rows(b, axis)
    rows, low, high = np.arange(len(x)), x.argmin(axis=1), x.argmax(axis=1)
    slope, shift = _line(x, y, rows, low, high)
    if not _usable(x, y, slope).all():
        return False
    return bool((np.abs(slope[:, None] * x + shift[:, None] - y) <= _tolerance(y)).all())


def affine(a: np.ndarray, b: np.ndarray, axis: int | None) -> Fit:
    """Find scale and offset with b == scale * a + offset for as many elements as possible.

    a, b: [n, ...] of one shape. axis: one scale and offset for each index along this axis (of the channels); None: one
    for all. Of many candidates (the identity, and lines through two points) the one that most elements lie on wins, so
    that elements that differ do not move it. Elements agree within float32 rounding: 1e-5 of the range of b.
    """
    x, y = _rows(a, axis), _rows(b, axis)
    scale, offset = _consensus(x, y, _tolerance(y))
    expected = scale[:, None] * x + offset[:, None]
    agree = np.abs(expected - y) <= _tolerance(y)
    return Fit(_unrows(expected, b.shape, axis), _unrows(agree, b.shape, axis))


def _tolerance(y: np.ndarray) -> np.ndarray:
    tolerance: np.ndarray = 1e-5 * np.ptp(y, axis=1) + 1e-6 * np.abs(y).max(axis=1)
    return tolerance[:, None]


def _line(
    x: np.ndarray, y: np.ndarray, rows: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slope and shift [rows] of the line through two points of each row; slope 0 where their x is the same."""
    run, rise = x[rows, second] - x[rows, first], y[rows, second] - y[rows, first]
    slope = np.divide(rise, run, out=np.zeros_like(run), where=run != 0)
    return slope, y[rows, first] - slope * x[rows, first]


def _usable(x: np.ndarray, y: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Rows whose line is a map worth having: only a constant may be made of a constant."""
    both_constant = (np.ptp(x, axis=1) == 0) & (np.ptp(y, axis=1) == 0)
    usable: np.ndarray = (slope != 0) | both_constant
    return usable


def _consensus(x: np.ndarray, y: np.ndarray, tolerance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset [rows] that most elements of a sample agree with."""
    random = np.random.default_rng(0)
    count = x.shape[1]
    columns = random.choice(count, _SAMPLE, replace=False) if count > _SAMPLE else np.arange(count)
    xs, ys = x[:, columns], y[:, columns]
    rows = np.arange(len(xs))
    scale, offset = np.ones(len(xs)), np.zeros(len(xs))
    best = _support(xs, ys, scale, offset, tolerance)
    for attempt in range(_TRIES):
        if (best == len(columns)).all():
            break
        # A wide pair makes an exact slope, but extremes are where clipped values are: half the tries take any pair.
        few = random.integers(0, len(columns), 2 if attempt % 2 else 12)
        first, second = few[xs[:, few].argmin(axis=1)], few[xs[:, few].argmax(axis=1)]
        slope, shift = _line(xs, ys, rows, first, second)
        support = np.where(_usable(xs, ys, slope), _support(xs, ys, slope, shift, tolerance), -1)
        better = support > best
        scale, offset = np.where(better, slope, scale), np.where(better, shift, offset)
        best = np.maximum(best, support)
    return _refined(xs, ys, scale, offset, tolerance)


def _refined(
    x: np.ndarray, y: np.ndarray, scale: np.ndarray, offset: np.ndarray, tolerance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least squares over the elements that agree, taken where it loses none of them."""
    near = np.abs(scale[:, None] * x + offset[:, None] - y) <= 4 * tolerance
    count = np.maximum(near.sum(axis=1), 1)
    mean_x, mean_y = (x * near).sum(axis=1) / count, (y * near).sum(axis=1) / count
    dx, dy = (x - mean_x[:, None]) * near, (y - mean_y[:, None]) * near
    spread = (dx * dx).sum(axis=1)
    slope = np.divide((dx * dy).sum(axis=1), spread, out=scale.copy(), where=spread > 0)
    shift = mean_y - slope * mean_x
    better = _support(x, y, slope, shift, tolerance) > _support(x, y, scale, offset, tolerance)
    return np.where(better, slope, scale), np.where(better, shift, offset)


def _support(x: np.ndarray, y: np.ndarray, scale: np.ndarray, offset: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    agree: np.ndarray = (np.abs(scale[:, None] * x + offset[:, None] - y) <= tolerance).sum(axis=1)
    return agree


def _rows(array: np.ndarray, axis: int | None) -> np.ndarray:
    if axis is None:
        return array.reshape(1, -1).astype(np.float64)
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).astype(np.float64)


def _unrows(rows: np.ndarray, shape: tuple[int, ...], axis: int | None) -> np.ndarray:
    if axis is None:
        return rows.reshape(shape)
    return np.moveaxis(rows.reshape((shape[axis], *np.delete(shape, axis))), 0, axis)
