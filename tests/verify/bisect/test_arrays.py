"""How it is told what became of the values of a constant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from finnyaml.verify.bisect.arrays import told

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.integers(-7, 8, (12, 8)).astype(np.float32)
WEIGHTS[4, 2] = 3
KERNELS = RANDOM.integers(-3, 4, (4, 2, 3, 3)).astype(np.float32)
THRESHOLDS = np.sort(RANDOM.integers(-40, 40, (5, 7)), axis=1).astype(np.float32)

TWO = THRESHOLDS[2, :2]


def written(index: tuple[int | slice, ...], value: float) -> Callable[[np.ndarray], np.ndarray]:
    def write(values: np.ndarray) -> np.ndarray:
        values[index] = value
        return values

    return write


def exchanged(axis: int, a: int, b: int) -> Callable[[np.ndarray], np.ndarray]:
    def exchange(values: np.ndarray) -> np.ndarray:
        lines = np.moveaxis(values, axis, 0)
        lines[[a, b]] = lines[[b, a]]
        return values

    return exchange


def moved(index: tuple[int | slice, ...], by: float) -> Callable[[np.ndarray], np.ndarray]:
    def move(values: np.ndarray) -> np.ndarray:
        values[index] += by
        return values

    return move


@pytest.mark.parametrize(
    ("before", "change", "words"),
    [
        (WEIGHTS, lambda values: values, ""),
        (WEIGHTS, written((4, 2), -3), "[4, 2] changed sign (3 -> -3)"),
        (WEIGHTS, lambda values: -values, "all values changed sign"),
        (WEIGHTS, written((3, slice(None)), 0), "row 3 set to 0"),
        (WEIGHTS, moved((slice(None), 5), 1), "column 5 moved by +1"),
        (WEIGHTS, exchanged(1, 1, 4), "columns 1 and 4 exchanged"),
        (WEIGHTS, exchanged(0, 1, 4), "rows 1 and 4 exchanged"),
        (WEIGHTS, lambda values: values[::-1], "rows in reverse order"),
        (WEIGHTS, lambda values: np.roll(values, 1, axis=0), "12 rows in another order (0 is the former 11)"),
        (WEIGHTS, lambda values: values.T, "rows and columns exchanged ([12, 8] -> [8, 12])"),
        (WEIGHTS[:8], lambda values: values.T, "rows and columns exchanged"),
        (WEIGHTS, lambda values: 2 * values, "all values multiplied by 2"),
        (WEIGHTS, lambda values: np.clip(values, -4, 4), "cut off at -4 and 4"),
        (WEIGHTS, lambda values: np.minimum(values, 5), "cut off at 5"),
        (WEIGHTS, lambda values: values[:4], "other values in another shape ([12, 8] -> [4, 8])"),
        (KERNELS, exchanged(1, 0, 1), "input channels 0 and 1 exchanged"),
        (KERNELS, lambda values: np.swapaxes(values, 2, 3), "kernel rows and kernel columns exchanged"),
        (THRESHOLDS, moved((2, 5), 1), f"[2, 5] moved by +1 ({THRESHOLDS[2, 5]:g} -> {THRESHOLDS[2, 5] + 1:g})"),
        (THRESHOLDS, moved((2, slice(None)), 40), "row 2 moved by +40"),
        (
            THRESHOLDS[:, :2],
            moved((2, slice(None)), 40),
            f"row 2 moved by +40 ({TWO[0]:g} -> {TWO[0] + 40:g}, {TWO[1]:g} -> {TWO[1] + 40:g})",
        ),
        (np.sign(WEIGHTS), lambda values: values[::-1], "rows in reverse order"),
        (THRESHOLDS + 0.3, np.floor, "all values rounded to integers"),
        (THRESHOLDS + 0.3, np.ceil, "all values rounded up to integers"),
        (np.float32(0.00199), lambda _: np.float32(0.002), "rounded to 3 decimals (0.00199 -> 0.002)"),
        (np.float32(0.3), lambda _: np.float32(0.25), "rounded to a power of two (0.3 -> 0.25)"),
        (np.float32(0.3), lambda _: np.float32(0.2871), "0.3 -> 0.2871"),
    ],
)
def test_a_change_is_told(before: np.ndarray, change: Callable[[np.ndarray], np.ndarray], words: str) -> None:
    assert told(before, change(before.copy())) == words


def test_what_has_no_pattern_is_counted() -> None:
    other = WEIGHTS.copy()
    other[:6] += RANDOM.integers(1, 4, (6, 8))
    assert told(WEIGHTS, other).startswith("48 of 96 values are others, ")
