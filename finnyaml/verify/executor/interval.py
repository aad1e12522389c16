"""Intervals: what values a tensor can hold, and arithmetic on that knowledge.

An `Interval` bounds each channel of a tensor and says whether the values are integers, and on which grid: a sum of
bipolar values is -K, -K + 2, ..., K.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

EXACT = 2.0**24  # float32 holds every integer of at most this magnitude
ROUNDING = 1e-5  # bounds of real values are widened by this part, more than float32 arithmetic can err


@dataclass(frozen=True)
class Interval:
    """lows <= x <= highs (arrays that broadcast to the tensor); with step > 0 also x = lows + k * step, all integer.

    step 0: any real value. A constant has its own values as bounds.
    """

    lows: np.ndarray
    highs: np.ndarray
    step: int = 0

    @property
    def low(self) -> float:
        return float(self.lows.min())

    @property
    def high(self) -> float:
        return float(self.highs.max())

    @property
    def is_integer(self) -> bool:
        return self.step > 0

    @property
    def magnitude(self) -> float:
        return max(abs(self.low), abs(self.high))

    def overall(self) -> Interval:
        """The same for all channels."""
        step = self.step
        if step and self.lows.size > 1:
            step = _gcd(step, self.lows - self.low) if math.isfinite(self.low) else 1
        return Interval(np.float64(self.low) * np.ones(()), np.float64(self.high) * np.ones(()), step)

    def fits(self, datatype: Any) -> bool:
        """Whether every possible value is allowed by the qonnx datatype."""
        if datatype.name == "BIPOLAR":
            odd = self.step > 0 and self.step % 2 == 0 and bool(np.all(self.lows % 2 == 1))
            return odd and self.low >= -1 and self.high <= 1
        if datatype.is_integer():
            return self.is_integer and self.low >= datatype.min() and self.high <= datatype.max()
        return False


def interval(low: float, high: float, step: int = 0) -> Interval:
    return Interval(np.float64(low) * np.ones(()), np.float64(high) * np.ones(()), step)


ANYTHING = interval(-math.inf, math.inf)
BOOLEAN = interval(0, 1, 1)


def of_constant(value: np.ndarray) -> Interval:
    """The interval of a constant of any shape: each element is its own bound."""
    values = np.asarray(value)
    if values.dtype.kind not in "iufb" or values.size == 0 or np.isnan(values).any():
        return ANYTHING
    reals = values.astype(np.float64)
    integer = bool(np.isfinite(reals).all() and (reals % 1 == 0).all())
    # one point has every grid: step 0 would say "real", so it takes the coarsest grid that arithmetic can use
    return Interval(reals, reals, POINT if integer else 0)


POINT = 1 << 40  # the grid of a value that is known: gcd with any smaller power of two is that power


def of_datatype(datatype: Any) -> Interval:
    """What an annotation promises."""
    if datatype.name == "BIPOLAR":
        return interval(-1, 1, 2)
    if datatype.is_integer():
        return interval(float(datatype.min()), float(datatype.max()), 1)
    return ANYTHING


def _gcd(step: int, differences: np.ndarray) -> int:
    """The largest step that reaches all these differences, too."""
    return math.gcd(step, *(int(d) for d in np.unique(np.abs(differences))))


def _grid(lows: np.ndarray, highs: np.ndarray, step: int) -> Interval:
    """An integer interval; one that is too large for exact bounds is only real."""
    lows, highs = np.asarray(lows, np.float64), np.asarray(highs, np.float64)
    if not np.isfinite(lows).all() or not np.isfinite(highs).all():
        return Interval(
            np.nan_to_num(lows, nan=-math.inf, neginf=-math.inf), np.nan_to_num(highs, nan=math.inf, posinf=math.inf), 1
        )
    magnitude = max(np.abs(lows).max(initial=0), np.abs(highs).max(initial=0))
    if magnitude >= 2.0**53:
        return reals(lows, highs)
    if magnitude > EXACT:  # float32 rounds such integers: to integers, but off the grid
        return Interval(np.floor(lows - ROUNDING * magnitude), np.ceil(highs + ROUNDING * magnitude), 1)
    return Interval(lows, highs, step)


def reals(lows: np.ndarray, highs: np.ndarray) -> Interval:
    """A real interval after float32 arithmetic: widened, undefined bounds open. Bounds: of one shape, float64."""
    lows = np.where(np.isnan(lows), -math.inf, lows)
    highs = np.where(np.isnan(highs), math.inf, highs)
    slack = ROUNDING * np.maximum(np.abs(lows), np.abs(highs))
    slack = np.where(np.isfinite(slack), slack, 0.0)
    return Interval(lows - slack, highs + slack, 0)


def add(a: Interval, b: Interval) -> Interval:
    lows, highs = a.lows + b.lows, a.highs + b.highs
    if a.step and b.step:
        return _grid(lows, highs, math.gcd(a.step, b.step))
    return reals(lows, highs)


def negative(a: Interval) -> Interval:
    # the highs are on the grid too, because bounds of integers are always attained or conservative by whole steps
    if a.step:
        return _grid(-a.highs, -a.lows, a.step if _aligned(a) else 1)
    return Interval(-a.highs, -a.lows, 0)


def _aligned(a: Interval) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.all((a.highs - a.lows) % a.step == 0))


def multiply(a: Interval, b: Interval) -> Interval:
    with np.errstate(invalid="ignore"):
        corners = [a.lows * b.lows, a.lows * b.highs, a.highs * b.lows, a.highs * b.highs]
    corners = [np.where(np.isnan(c), 0.0, c) for c in corners]  # 0 * infinity: a factor that is always 0
    lows, highs = np.minimum.reduce(corners), np.maximum.reduce(corners)
    for varying, fixed in ((a, b), (b, a)):
        if varying.step and np.array_equal(fixed.lows, fixed.highs) and np.isfinite(fixed.lows).all():
            steps = np.abs(fixed.lows) * varying.step
            bases = varying.lows * fixed.lows
            if np.all(steps % 1 == 0) and np.all(bases % 1 == 0) and steps.max() < 2.0**53:
                step = math.gcd(*(int(s) for s in np.unique(steps))) or POINT
                return _grid(lows, highs, step if _aligned(varying) else math.gcd(step, _gcd(step, lows - bases)) or 1)
    if a.step and b.step:
        return _grid(lows, highs, 1)
    return reals(lows, highs)


def union(*parts: Interval) -> Interval:
    """Bounds of a value that is one of several; the same for all channels."""
    whole = [p.overall() for p in parts]
    low, high = min(p.low for p in whole), max(p.high for p in whole)
    if not all(p.step for p in whole):
        return interval(low, high)
    if not math.isfinite(low):
        return interval(low, high, 1)
    step = math.gcd(*(p.step for p in whole))
    return interval(low, high, _gcd(step, np.array([p.low - low for p in whole])))


def monotone(a: Interval, function: Callable[[np.ndarray], np.ndarray], step: int | None = None) -> Interval:
    """Bounds, shape as before, after a function that never decreases; `step`: of the result (None: as it was)."""
    kept = (1 if a.step else 0) if step is None else step
    return Interval(np.asarray(function(a.lows), np.float64), np.asarray(function(a.highs), np.float64), kept)


def weighted_sum(x: Interval, weights: np.ndarray, axes: tuple[int, ...]) -> Interval:
    """Bounds of sum(x * w) over `axes` of the weights, for an x with scalar bounds; shape: the other axes."""
    w: np.ndarray = weights.astype(np.float64)
    positive, negatives = np.maximum(w, 0).sum(axis=axes), np.minimum(w, 0).sum(axis=axes)
    with np.errstate(invalid="ignore"):
        lows = np.nan_to_num(positive * x.low, nan=0.0, posinf=math.inf, neginf=-math.inf)
        lows = lows + np.nan_to_num(negatives * x.high, nan=0.0, posinf=math.inf, neginf=-math.inf)
        highs = np.nan_to_num(positive * x.high, nan=0.0, posinf=math.inf, neginf=-math.inf)
        highs = highs + np.nan_to_num(negatives * x.low, nan=0.0, posinf=math.inf, neginf=-math.inf)
    if x.step and bool(np.all(w % 1 == 0)):
        step = math.gcd(*(int(v) for v in np.unique(np.abs(w)))) * x.step
        return _grid(lows, highs, (step or POINT) if _aligned(x) else 1)
    return reals(lows, highs)
