"""The Pareto set beside its definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finnyaml.api.pareto import front

POINTS = st.integers(1, 4).flatmap(lambda size: st.lists(st.tuples(*[st.integers(0, 4)] * size), max_size=30))


def dominated(point: tuple[int, ...], points: list[tuple[int, ...]]) -> bool:
    return any(all(b >= a for a, b in zip(point, other, strict=True)) and other != point for other in points)


@given(POINTS)
def test_it_is_what_nothing_dominates(points: list[tuple[int, ...]]) -> None:
    assert front(points) == [at for at, point in enumerate(points) if not dominated(point, points)]
