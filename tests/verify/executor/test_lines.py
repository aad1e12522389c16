"""Counts of thresholds as straight lines: right for every value they may be asked, and found where steps are even."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnyaml.verify.executor import lines
from tests.verify.executor.graphs import agrees, node
from tests.verify.executor.test_core_qonnx import multithreshold

INTEGERS = st.integers(-200, 200)


def counted(line: lines.Line, x: np.ndarray, steps: int) -> np.ndarray:
    """What the line says of values [n] in every channel, in float32: [channels, n]."""
    with np.errstate(over="ignore"):
        return np.clip(np.floor(x.astype(np.float32) * line.slope + line.offset), 0, steps)


def reached(thresholds: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (x[None, :, None] >= thresholds[:, None, :]).sum(axis=2)


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    """Thresholds [channels, T]: those of uniform quantisers, some with one or two that are elsewhere."""
    channels, steps = draw(st.integers(1, 4)), draw(st.integers(1, 20))
    starts = draw(st.lists(st.floats(-50, 50), min_size=channels, max_size=channels))
    sizes = draw(st.lists(st.floats(0.05, 20), min_size=channels, max_size=channels))
    table = np.array(starts)[:, None] + np.array(sizes)[:, None] * np.arange(steps)
    for _ in range(draw(st.integers(0, 2))):
        table[draw(st.integers(0, channels - 1)), draw(st.integers(0, steps - 1))] += draw(st.floats(-3, 3))
    return np.sort(table.astype(np.float32), axis=1)


@settings(max_examples=200, deadline=None)
@given(table=tables(), bounds=st.tuples(INTEGERS, INTEGERS).map(sorted))
def test_a_line_of_integers_is_right_for_each_of_them(table: np.ndarray, bounds: list[int]) -> None:
    low, high = (np.array([float(bound)]) for bound in bounds)
    line = lines.exact(table, low, high)
    if line is not None:
        x = np.arange(bounds[0], bounds[1] + 1)
        np.testing.assert_array_equal(counted(line, x, table.shape[1]), reached(table, x))


@settings(max_examples=200, deadline=None)
@given(table=tables())
def test_a_line_beside_the_count_is_right_or_one_less(table: np.ndarray) -> None:
    line = lines.nearly(table)
    if line is not None:
        ends = np.array([-1e30, 1e30], np.float32)
        ulps = [np.nextafter(table, np.float32(way)) for way in (-np.inf, np.inf)]
        x = np.concatenate([each.reshape(-1) for each in (table, *ulps, ends)])
        missing = reached(table, x) - counted(line, x, table.shape[1])
        assert set(np.unique(missing)) <= {0, 1}


def test_even_steps_have_a_line_whatever_they_round_to() -> None:
    """What FINN makes of a uniform quantiser: thresholds rounded up to integers, another scale in each channel."""
    scales = np.array([[0.7], [1.0], [3.3], [41.7]])
    table = np.ceil((np.arange(1, 256) - 0.5) * scales - 17.3).astype(np.float32)
    line = lines.exact(table, np.array([-1e6]), np.array([1e6]))
    assert line is not None
    x = np.arange(-100, 12000)
    np.testing.assert_array_equal(counted(line, x, 255), reached(table, x))


def test_uneven_steps_have_none() -> None:
    assert lines.exact(np.float32([[0, 1, 2, 50, 51, 52]]), np.array([-100.0]), np.array([100.0])) is None
    assert lines.nearly(np.float32([[0, 1, 2, 50, 51, 52]])) is None
    assert lines.nearly(np.float32([[0, 1, np.inf]])) is None


@pytest.mark.parametrize("steps", [3, 15, 255])
def test_no_table_is_searched_for_even_steps(steps: int) -> None:
    random = np.random.default_rng(1)
    table = np.ceil(np.arange(steps) * random.uniform(0.5, 9, (5, 1)) - 40).astype(np.float32)
    batched = agrees(multithreshold([1, 4, 5], table, datatype="INT12"), random.integers(-2000, 2000, (6, 4, 5)))
    assert not {n.op_type for n in batched.program.steps[0].nodes} & {"Gather", "GreaterOrEqual"}


def test_real_values_ask_for_one_threshold() -> None:
    random = np.random.default_rng(1)
    table = (np.arange(15, dtype=np.float32) * random.uniform(0.5, 9, (5, 1)) - 40).astype(np.float32)
    model = multithreshold([1, 4, 5], table, datatype="INT12")
    model.graph.node[0].input[0] = "scaled"
    model.graph.node.insert(0, node("Mul", ["x", "s"], ["scaled"]))
    model.set_initializer("s", np.float32(0.07))
    model.set_tensor_shape("scaled", [1, 4, 5])
    batched = agrees(model, random.integers(-2000, 2000, (6, 4, 5)))
    assert [n.op_type for n in batched.program.steps[0].nodes].count("Gather") == 1
