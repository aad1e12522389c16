"""The lowest float at which a function reaches a level: found among all floats."""

from __future__ import annotations

import numpy as np

from finnyaml.steps.crossings import FAR, crossings


def test_the_value_before_does_not_reach_the_level() -> None:
    levels = np.array([[0.1, 0.5, 0.75], [-0.9, 0.0, 0.99]], np.float32)
    found = crossings(np.tanh, levels)
    assert (np.tanh(found) >= levels).all()
    assert (np.tanh(np.nextafter(found, np.float32(-np.inf))) < levels).all()


def test_what_is_always_or_never_reached() -> None:
    assert crossings(np.tanh, np.array([[-2.0, 2.0]], np.float32)).tolist() == [[-FAR, FAR]]


def test_channels_are_looked_at_each_for_itself() -> None:
    slopes = np.array([1.0, 2.0], np.float32)
    assert crossings(lambda values: values * slopes, np.array([[3.0], [3.0]])).tolist() == [[3.0], [1.5]]
