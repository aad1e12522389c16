"""The Pareto set: what nothing else beats in one figure without being worse in another."""

from __future__ import annotations

from collections.abc import Sequence


def front(points: Sequence[Sequence[float]]) -> list[int]:
    """The positions of the points that no other dominates, in order; of each coordinate, more is better.

    One dominates another if it is nowhere less and somewhere more; so equal points are in the set together.
    """
    # What dominates a point comes before it in this order, and so does something of the set that dominates it, too.
    order = sorted(range(len(points)), key=lambda at: tuple(points[at]), reverse=True)
    found: list[int] = []
    for at in order:
        if not any(_dominates(points[other], points[at]) for other in found):
            found.append(at)
    return sorted(found)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return tuple(one) != tuple(other) and all(a >= b for a, b in zip(one, other, strict=True))
