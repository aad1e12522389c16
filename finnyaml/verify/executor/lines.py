"""Steps that are evenly spaced, as those of a uniform quantiser: their number is a straight line, rounded down.

Four operations on each value take the place of a search in a table, which is what thresholds cost most of their time.
Whether float32 arithmetic gives the right number is tried at every step of every channel; as rounding keeps the order,
it is then right everywhere between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEARCHES = 80
"""Thirds by which the search for a slope goes on: more than float32 can tell apart."""


@dataclass(frozen=True)
class Line:
    """floor(x * slope + offset), clipped to 0 .. T: arrays [channels, 1], float32."""

    slope: np.ndarray
    offset: np.ndarray


def exact(thresholds: np.ndarray, lows: np.ndarray, highs: np.ndarray) -> Line | None:
    """The line that counts the thresholds that an integer x reaches; None if there is none.

    thresholds: [channels, T], float32, sorted. lows, highs: what x can be, [channels] or [1], integers or infinite.
    """
    steps = np.ceil(thresholds.astype(np.float64))
    counts = np.arange(1, steps.shape[1] + 1, dtype=np.float64)
    low, high = lows.reshape(-1, 1), highs.reshape(-1, 1)
    # at a step, or at the lowest value if that reaches it: at least as many; one below it, or at the highest: fewer
    reached = np.where(steps <= high, np.maximum(steps, low), np.nan)
    missed = np.where(steps > low, np.minimum(steps - 1, high), np.nan)
    return _line(reached, counts, missed, counts)


def nearly(thresholds: np.ndarray) -> Line | None:
    """A line that gives the number of thresholds that x, any float32, reaches, or one less; None if there is none.

    thresholds: [channels, T], float32, sorted.
    """
    counts = np.arange(1, thresholds.shape[1] + 1, dtype=np.float64)
    if not np.isfinite(thresholds).all():
        return None
    below = np.nextafter(thresholds, np.float32(-np.inf))
    return _line(thresholds.astype(np.float64), counts - 1, below.astype(np.float64), counts)


def spacing(thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Distance and first of thresholds [channels, T], float64 [channels, 1], if each is first + k * distance, rounded.

    None if there are no such. The first is often half a distance: so does FINN make thresholds of a quantised ReLU.
    """
    number: np.ndarray = np.arange(thresholds.shape[1], dtype=np.float64)
    first: np.ndarray = thresholds[:, :1].astype(np.float64)
    found = np.full_like(first, np.nan)
    distances: tuple[np.ndarray, ...] = (2 * first, (thresholds[:, -1:] - first) / max(len(number) - 1, 1))
    for distance in distances:
        right = (number * distance + first).astype(np.float32) == thresholds
        found = np.where(right.all(axis=1, keepdims=True), distance, found)
    return None if np.isnan(found).any() else (found, first)


def _line(reached: np.ndarray, least: np.ndarray, missed: np.ndarray, bound: np.ndarray) -> Line | None:
    """A line that is at least `least` [T] at `reached` [channels, T] and below `bound` [T] at `missed`; NaN: anywhere.

    How much room a slope leaves for the offset is concave in the slope, so thirds find the best one.
    """
    if not (np.isfinite(reached).any() or np.isfinite(missed).any()):
        return None
    with np.errstate(all="ignore"):
        slope: np.ndarray = _slopes(reached, least, missed, bound).astype(np.float32)
        over, under = _limits(slope.astype(np.float64), reached, least, missed, bound)
        middle = np.where(np.isinf(over), under - 1, np.where(np.isinf(under), over + 1, (over + under) / 2))
        offset = np.where(np.isinf(over) & np.isinf(under), 0, middle).astype(np.float32)
        there = np.floor(reached.astype(np.float32) * slope + offset)
        before = np.floor(missed.astype(np.float32) * slope + offset)
        right = np.all(~(there < least)) and np.all(~(before >= bound))
    exact_points = _same(reached) and _same(missed)
    return Line(slope, offset) if right and exact_points and np.isfinite(slope + offset).all() else None


def _slopes(reached: np.ndarray, least: np.ndarray, missed: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Per channel [channels, 1] the slope with the most room."""
    low: np.ndarray = np.zeros((len(reached), 1))
    last = np.where(np.isnan(reached), -np.inf, reached).max(axis=1, keepdims=True)
    spans = last - np.where(np.isnan(missed), np.inf, missed).min(axis=1, keepdims=True)
    high = np.where(spans > 0, 4 * (bound.max() + 1) / spans, 0.0)
    for _ in range(SEARCHES):
        third = (high - low) / 3
        room, other = (_room(slope, reached, least, missed, bound) for slope in (low + third, high - third))
        better = room < other
        low, high = np.where(better, low + third, low), np.where(better, high, high - third)
    found: np.ndarray = np.where(np.isinf(room), 0.0, (low + high) / 2)
    return found


def _room(slope: np.ndarray, *points: np.ndarray) -> np.ndarray:
    over, under = _limits(slope, *points)
    room: np.ndarray = under - over
    return room


def _limits(
    slope: np.ndarray, reached: np.ndarray, least: np.ndarray, missed: np.ndarray, bound: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The offset is at least the first, and below the second: [channels, 1], infinite where nothing bounds it."""
    over = np.where(np.isnan(reached), -np.inf, least - slope * reached).max(axis=1, keepdims=True)
    under = np.where(np.isnan(missed), np.inf, bound - slope * missed).min(axis=1, keepdims=True)
    return over, under


def _same(points: np.ndarray) -> bool:
    """Whether float32 holds the points, so that what was tried is what will come."""
    return bool(np.all(np.isnan(points) | (points.astype(np.float32) == points)))
