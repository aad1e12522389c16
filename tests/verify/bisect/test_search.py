"""The bisection, on made-up metrics."""

import pytest

from finnyaml.verify.bisect.search import Drop, drops


def metric_of(values):
    asked = []

    def metric(index):
        asked.append(index)
        return values[index]

    return metric, asked


def test_a_drop_among_many_states_is_found_in_few_evaluations():
    values = [0.98] * 91 + [0.87] * 55
    metric, asked = metric_of(values)
    assert drops([0, *[1] * 144, 0], metric, 0.005) == [Drop(90, 91, 0.98, 0.87)]
    assert len(set(asked)) <= 10


@pytest.mark.parametrize("place", range(1, 12))
def test_any_place(place):
    metric, _ = metric_of([0.9] * place + [0.5] * (12 - place))
    assert [(drop.good, drop.bad) for drop in drops([0, *[1] * 10, 0], metric, 0.0)] == [(place - 1, place)]


def test_nothing_is_found_within_the_tolerance():
    metric, asked = metric_of([0.98, 0.5, 0.975])
    assert drops([0, 1, 0], metric, 0.005) == []
    assert set(asked) == {0, 2}


def test_states_that_do_not_execute_widen_the_answer():
    metric, _ = metric_of([0.9, 0.9, None, None, 0.5, 0.5])
    assert drops([0, 1, 1, 1, 1, 0], metric, 0.0) == [Drop(1, 4, 0.9, 0.5)]


def test_where_no_state_executes_the_answer_is_the_whole_step():
    metric, _ = metric_of([0.9, None, None, 0.5])
    assert drops([0, 1, 1, 0], metric, 0.0) == [Drop(0, 3, 0.9, 0.5)]


def test_of_several_drops_the_largest_comes_first():
    metric, _ = metric_of([0.98, 0.95, 0.95, 0.80, 0.80, 0.80])
    found = drops([0, 1, 1, 1, 1, 0], metric, 0.01)
    assert [(drop.good, drop.bad) for drop in found] == [(2, 3), (0, 1)]
    assert found[0].size == pytest.approx(0.15)


def test_of_equal_drops_the_first_is_enough():
    metric, _ = metric_of([1.0, 0.75, 0.75, 0.5])
    assert drops([0, 1, 1, 0], metric, 0.0) == [Drop(0, 1, 1.0, 0.75)]


def test_half_done_graphs_inside_a_sound_transformation_do_not_mislead():
    """States of level 2 are inside a transformation; there the metric may dip and recover."""
    values = [0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.5, 0.5]
    metric, _ = metric_of(values)
    assert drops([0, 2, 2, 2, 2, 2, 1, 2, 2, 0], metric, 0.0) == [Drop(7, 8, 0.9, 0.5)]
