"""Golden frames that are chosen, on two matrix layers with thresholds between them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("finn")

from finnyaml.bundle import stream_values, telling
from finnyaml.bundle.stream_values import Frames
from finnyaml.bundle.telling import Told, choose
from tests.rtl import small_network


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_a_wrong_threshold_acts_as_in_a_search_by_bisection(bits: int) -> None:
    draw = np.random.default_rng(bits)
    count = 2**bits - 1
    for _ in range(50):
        row = np.sort(draw.integers(-20, 20, count))
        place, wrong = int(draw.integers(count)), int(draw.integers(-30, 30))
        broken = row.copy()
        broken[place] = wrong
        acts = telling._searched(row.astype(np.float32), place, wrong)
        assert (np.diff(acts) >= 0).all()
        for value in range(-32, 33):
            level = 0
            for step in (1 << bit for bit in reversed(range(bits))):
                level += step * bool(value >= broken[level + step - 1])
            assert level == (value >= acts).sum()


def test_a_flipped_bit_is_one_of_twos_complement() -> None:
    assert [telling._flipped(-3, bit, 4, signed=True) for bit in range(4)] == [-4, -1, -7, 5]
    assert [telling._flipped(5, bit, 3, signed=False) for bit in range(3)] == [4, 7, 1]


@pytest.fixture(scope="module")
def chosen() -> tuple[Frames, Frames, Told]:
    model = small_network.layers()
    candidates = stream_values.at_random(model, 64)
    frames, told = choose(model, candidates, 32)
    assert told is not None
    return candidates, frames, told


def test_the_frames_show_most_of_what_all_candidates_show(chosen: tuple[Frames, Frames, Told]) -> None:
    candidates, frames, told = chosen
    assert told.candidates == 64
    assert 0.8 * told.shown <= told.found <= told.shown <= told.tried == telling.LOT
    assert len(frames.index) <= 32
    assert (candidates.inputs[frames.index] == frames.inputs).all()
    assert (candidates.outputs[frames.index] == frames.outputs).all()


def test_no_more_frames_than_asked_for_are_taken(chosen: tuple[Frames, Frames, Told]) -> None:
    candidates = chosen[0]
    frames, told = choose(small_network.layers(), candidates, 1)
    assert len(frames.index) == 1
    assert told is not None and told.found < told.shown
