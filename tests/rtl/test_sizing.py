"""The search for FIFO depths, on pipelines in plain Python that stand in for simulated designs.

Real designs are sized in tests/finn/test_fifos.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnyaml.errors import StepFailed
from finnyaml.rtl import sizing
from finnyaml.rtl.depth_search import Depths, Seen, bits, holds, search
from finnyaml.rtl.design import Fifo
from finnyaml.rtl.sizing import Sizes
from tests.rtl.toy_pipeline import BEATS, Toy, fork, hole, join, layer

WINDOW = 20


def chain(slow: int) -> Toy:
    """Three layers; the second gives a frame in one burst, for which the third needs so many cycles a beat."""
    return Toy(
        [("f0", 8, None, "A"), ("f1", 8, "A", "B"), ("f2", 4, "B", "C"), ("f3", 8, "C", None)],
        {"A": layer("f0", "f1"), "B": layer("f1", "f2", window=BEATS), "C": layer("f2", "f3", cycles=slow)},
    )


def residual(window: int = WINDOW) -> Toy:
    """A branch with a layer that has to hold a window, beside one with a FIFO only."""
    return Toy(
        [
            ("f0", 8, None, "Fork"),
            ("long", 8, "Fork", "Conv"),
            ("bypass", 16, "Fork", "Add"),
            ("f3", 8, "Conv", "Add"),
            ("f4", 8, "Add", None),
        ],
        {
            "Fork": fork("f0", "long", "bypass"),
            "Conv": layer("long", "f3", window=window),
            "Add": join("f3", "bypass", "f4"),
        },
    )


def size(toy: Any, *, target: int | None = None, slack: float = 0.0) -> Sizes:
    return sizing.size(cast(Any, toy), np.zeros((3, BEATS), np.uint8), target=target, slack=slack)


def interval(toy: Toy, depths: dict[str, int]) -> float | None:
    run = toy.run(np.zeros((30, BEATS)), depths=depths)
    return float(np.diff(run.last_out)[-6:].mean()) if run.finished else None


@pytest.mark.parametrize("toy", [chain(3), chain(1), residual(), residual(window=3)])
def test_the_result_keeps_the_interval_and_no_fifo_can_be_shallower(toy: Toy) -> None:
    sizes = size(toy)
    chosen = dict(sizes.chosen.depths)
    assert interval(toy, chosen) == sizes.chosen.interval == sizes.reachable == sizes.target
    assert sizes.chosen.bits == bits(toy.design.fifos, chosen) <= sizes.gauge.bits
    for name, depth in chosen.items():
        shallower = interval(toy, {**chosen, name: depth - 1})
        assert depth == 2 or shallower is None or shallower > sizes.target


def test_what_a_producer_can_run_ahead_needs_no_room() -> None:
    """The fast first layer makes the gauge method give its FIFOs room for most of a frame."""
    toy = Toy([("f0", 8, None, "A"), ("f1", 8, "A", "B"), ("f2", 8, "B", None)], {})
    toy = Toy(toy.fifos, {"A": layer("f0", "f1"), "B": layer("f1", "f2", cycles=4)})
    sizes = size(toy)
    assert sizes.gauge.depths["f1"] > 10 and sizes.gauge.interval == 4 * BEATS
    assert set(sizes.chosen.depths.values()) == {2} and sizes.chosen.interval == 4 * BEATS
    assert sizes.chosen.bits == 3 * 5 * 8  # fifo.sv holds five


def test_a_burst_is_given_the_room_that_the_interval_needs() -> None:
    sizes = size(chain(3))
    assert sizes.minimal.interval is not None and sizes.minimal.interval > sizes.target == 3 * BEATS
    assert 5 < sizes.chosen.depths["f2"] <= sizes.gauge.depths["f2"]
    relaxed = size(chain(3), target=int(sizes.minimal.interval))
    assert set(relaxed.chosen.depths.values()) == {2}
    assert size(chain(3), slack=0.2).chosen.bits < sizes.chosen.bits


def test_depths_below_which_branches_deadlock_are_found() -> None:
    sizes = size(residual())
    assert sizes.minimal.interval is None
    assert sizes.chosen.depths["bypass"] > WINDOW - 5
    assert interval(residual(), {**sizes.chosen.depths, "bypass": WINDOW // 2}) is None


def test_nothing_is_simulated_twice_and_most_fifos_take_no_run_of_their_own() -> None:
    toy = Toy(
        [("f0", 8, None, "L0"), *((f"f{i}", 8, f"L{i - 1}", f"L{i}") for i in range(1, 20)), ("f20", 8, "L19", None)],
        {f"L{i}": layer(f"f{i}", f"f{i + 1}", cycles=1 + 3 * (i == 19)) for i in range(20)},
    )
    sizes = size(toy)
    assert sizes.runs == len(toy.asked) <= 8
    assert sizes.cycles > 8 * 4 * BEATS


def test_a_target_that_no_depths_reach_is_refused() -> None:
    with pytest.raises(StepFailed, match=r"no FIFO depths give one frame every 50 cycles.* it takes 96") as error:
        size(chain(3), target=50)
    assert error.value.hint is not None and "no less than 96 cycles" in error.value.hint


def test_a_design_that_stands_still_without_a_full_fifo_is_refused_with_the_place() -> None:
    toy = residual()
    dead = Toy(toy.fifos, {**toy.layers, "Conv": hole("long")})
    with pytest.raises(StepFailed, match=r"stands still after 0 of \d+ frames") as error:
        size(dead)
    told = error.value.message
    assert "Conv does not take what Fork has for it in long" in told
    assert "Add does not take what Fork has for it in bypass" in told and "Add waits for Conv" in told


def test_a_design_without_fifos_is_refused() -> None:
    class Bare:
        design = type("D", (), {"fifos": ()})

    with pytest.raises(StepFailed, match="no FIFOs"):
        size(Bare())


class Breaking(Toy):
    """A check in its sources fails once a layer has to wait."""

    def run(self, inputs: np.ndarray, **options: Any) -> Any:
        if set(options["depths"].values()) != {sizing.UNBOUNDED}:
            raise StepFailed("Overflowing output queue in A")
        return super().run(inputs, **options)


def test_a_layer_that_loses_data_when_it_has_to_wait_is_refused() -> None:
    toy = residual()
    with pytest.raises(
        StepFailed, match="with FIFOs that get full it does not: Overflowing output queue in A"
    ) as error:
        size(Breaking(toy.fifos, toy.layers))
    assert error.value.hint is not None and "folding" in error.value.hint


class Slowed(Toy):
    """Slower with bounds of any depth."""

    def run(self, inputs: np.ndarray, **options: Any) -> Any:
        run = super().run(inputs, **options)
        bounded = set(options["depths"].values()) != {sizing.UNBOUNDED}
        return type(run)(**{**vars(run), "last_out": run.last_out + bounded * np.arange(len(run.last_out))})


def test_high_water_marks_are_not_raised_for_ever() -> None:
    toy = residual()
    with pytest.raises(StepFailed, match="nor with 256 beats more"):
        size(Slowed(toy.fifos, toy.layers))


class Tiring(Toy):
    """Its interval gets longer once a FIFO that is too shallow has been full for long: after five frames."""

    def run(self, inputs: np.ndarray, **options: Any) -> Any:
        run = super().run(inputs, **options)
        late = 5 * np.maximum(0, np.arange(len(run.last_out)) - 5) * (options["depths"]["f2"] < 14)
        return type(run)(**{**vars(run), "last_out": run.last_out + late})


def test_what_only_a_long_simulation_shows_is_seen() -> None:
    toy = chain(3)
    assert size(toy).chosen.depths["f2"] < 14
    sizes = size(Tiring(toy.fifos, toy.layers))
    assert sizes.chosen.depths["f2"] == 14 and sizes.chosen.interval == sizes.target
    assert [depth for name, depth in sizes.chosen.depths.items() if name != "f2"] == [2, 2, 2]


class OneTooLow(Toy):
    """Reports less fill than there was."""

    def run(self, inputs: np.ndarray, **options: Any) -> Any:
        run = super().run(inputs, **options)
        return type(run)(**{**vars(run), "fill": {name: most // 2 for name, most in run.fill.items()}})


def test_where_high_water_marks_are_not_enough_the_search_starts_deeper() -> None:
    toy = residual()
    sizes = size(OneTooLow(toy.fifos, toy.layers))
    assert sizes.gauge.interval is None
    assert sizes.chosen == size(toy).chosen


def test_the_report_is_plain_data() -> None:
    toy = chain(3)
    report = size(toy).report(toy.design)
    assert report["interval"] == report["target"] == 96 and report["slack"] == 0.0 and report["max_cycles"] == 1
    assert report["gauge"]["bits"] >= report["bits"] >= report["minimal"]["bits"] == 5 * (8 + 8 + 4 + 8)
    assert sum(row["width"] * row["holds"] for row in report["fifos"]) == report["bits"]
    assert report["fifos"][2].keys() == {"node", "producer", "consumer", "width", "depth", "holds", "gauge"}
    assert report["runs"] > 3 and report["frames"] >= 8
    assert report == size(toy).report(toy.design)


def test_two_depths_that_are_too_small_tell_which_one_will_do() -> None:
    """Below 600 beats something else is what is slow."""
    deep, asked = Fifo("deep", 2, 8, "distributed", None, None), []

    def simulate(candidates: Sequence[Depths]) -> list[Seen]:
        asked.extend(depths["deep"] for depths in candidates)
        return [Seen(100 + max(0, 7 * (1311 - max(depths["deep"], 600))), {}) for depths in candidates]

    trail = search([deep], {"deep": 1500}, 100, simulate, lambda done, fifos: None)
    assert trail[-1] == {"deep": 1311}
    assert len(asked) <= 8


FIFOS = [Fifo(name, 2, width, "auto", None, None) for name, width in (("a", 8), ("b", 32), ("c", 1), ("d", 9))]
DEPTHS = st.tuples(*[st.integers(2, 700)] * len(FIFOS))


@settings(deadline=None)
@given(st.lists(DEPTHS, min_size=1, max_size=3), DEPTHS, st.integers(0, 3), st.booleans())
def test_whatever_does_is_found_as_small_as_it_gets(
    enough: list[tuple[int, ...]], extra: tuple[int, ...], slope: int, swings: bool
) -> None:
    """Depths do where they hold at least what one of `enough` holds: there can be several ways. With the others, the
    interval gets longer with each beat that is missing, or there is a deadlock."""

    def interval(depths: Depths) -> float:
        held = [holds(fifo, depths[fifo.node]) for fifo in FIFOS]
        missing = min(sum(max(0, holds(f, d) - h) for h, f, d in zip(held, FIFOS, one, strict=True)) for one in enough)
        return inf if missing and not slope else 100 + min(slope * missing, 50)

    def simulate(candidates: Sequence[Depths]) -> list[Seen]:
        assert 1 <= len(candidates) <= 2
        swing = {fifo.node: one for fifo, one in zip(FIFOS, enough[-1], strict=True)} if swings else {}
        return [Seen(interval(depths), swing) for depths in candidates]

    start = {fifo.node: one + more for fifo, one, more in zip(FIFOS, enough[0], extra, strict=True)}
    trail = search(FIFOS, start, 100, simulate, lambda done, fifos: None)
    assert all(interval(depths) == 100 for depths in trail)
    sums = [bits(FIFOS, depths) for depths in trail]
    assert sums == sorted(sums, reverse=True) and sums[0] == bits(FIFOS, start)
    found = trail[-1]
    for fifo in FIFOS:
        assert found[fifo.node] == 2 or interval({**found, fifo.node: found[fifo.node] - 1}) > 100
