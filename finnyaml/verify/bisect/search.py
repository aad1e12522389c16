"""Bisection on the metric: between which two states of a step accuracy falls.

The search goes from the outside in: first among the states between the step's transformations, then inside the one
that was found, and so on, so that half-done graphs inside a transformation that is right cannot mislead it. States
that do not execute are left out and their neighbours are tried.

Each bisection finds *a* place where the metric falls below its value at the start, less the tolerance. If more
than that is lost behind it, the rest is searched too: of drops at several places the largest is the answer, the first
of equal ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Metric = Callable[[int], "float | None"]
"""The metric of a state, by its number; None where the state does not execute."""


_ROUNDING = 1e-9


@dataclass(frozen=True)
class Drop:
    """The metric falls from `before` in state `good` to `after` in state `bad`; no state between them executes."""

    good: int
    bad: int
    before: float
    after: float

    @property
    def size(self) -> float:
        """How much is lost."""
        return self.before - self.after


def drops(levels: list[int], metric: Metric, tolerance: float) -> list[Drop]:
    """The drops of more than `tolerance`, the largest first; empty where first and last state differ by no more.

    Args:
        levels: the level of each state, see `trace.State`. First and last state must execute.
        metric: the metric of a state; asked often, so it should remember.
        tolerance: how much may be lost, in the unit of the metric.
    """
    found: list[Drop] = []
    start, last = 0, len(levels) - 1
    while start < last:
        rest = value(metric, start) - value(metric, last)
        if rest <= max(tolerance, *(drop.size for drop in found), 0.0) + _ROUNDING:
            break  # what is left is not a single drop larger than one that is known
        drop = _bisect(levels, metric, start, last, tolerance)
        found.append(drop)
        start = drop.bad
    return sorted(found, key=lambda drop: -drop.size)


def _bisect(levels: list[int], metric: Metric, good: int, bad: int, tolerance: float) -> Drop:
    floor = value(metric, good) - tolerance - _ROUNDING
    for level in range(1, max(levels) + 1):
        while True:
            between = [index for index in range(good + 1, bad) if levels[index] <= level]
            middle = next((index for index in _from_the_middle(between) if metric(index) is not None), None)
            if middle is None:
                break
            if value(metric, middle) >= floor:
                good = middle
            else:
                bad = middle
    return Drop(good, bad, value(metric, good), value(metric, bad))


def _from_the_middle(items: list[int]) -> list[int]:
    middle = len(items) // 2
    return sorted(items, key=lambda item: abs(items.index(item) - middle))


def value(metric: Metric, index: int) -> float:
    """The metric of a state that is known to execute."""
    found = metric(index)
    if found is None:
        raise ValueError(f"state {index} does not execute")
    return found
