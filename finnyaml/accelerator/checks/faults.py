"""From outputs that differ from the golden ones to the samples, the channels and the fault.

Everything here compares arrays; nothing is executed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .report import Problem

SHOWN = 3
"""Samples and values that are shown of all that differ."""

EVIDENCE = 8
"""So many outputs have to be stale: where outputs are classes, a few wrong ones look so by chance."""

_AXES = {"C": "channel", "H": "row", "W": "column"}


@dataclass(frozen=True, eq=False)
class Observed:
    """Golden samples as one run took them: `rows` [N] in the order of execution, `got` [N, ...] what came out for each,
    `batch` at a time.
    """

    batch: int
    order: str
    rows: np.ndarray
    got: np.ndarray

    def calls(self) -> Iterator[slice]:
        """The samples of each call of the accelerator."""
        count = len(self.rows)
        return (slice(start, min(start + self.batch, count)) for start in range(0, count, self.batch))


def wrong_rows(expected: np.ndarray, got: np.ndarray) -> np.ndarray:
    """Which rows of two arrays [n, ...] differ anywhere: int64, rising."""
    if expected.shape != got.shape:
        return np.arange(len(expected))
    return np.flatnonzero(_unequal(expected, got).any(axis=1))


def difference(
    expected: np.ndarray, got: np.ndarray, layout: str | None, names: Sequence[int] | np.ndarray | None = None
) -> str:
    """Which samples and channels of two arrays [n, ...] differ, with the first few values; empty where none does.

    layout: of both arrays, "NHWC" for example; the innermost axis counts as channels where it is not known. names: what
    the rows are called; their numbers by default.
    """
    if expected.shape != got.shape:
        return f"the shape is {list(got.shape)}, {list(expected.shape)} was expected"
    rows = wrong_rows(expected, got)
    if not len(rows):
        return ""
    called = [int(row if names is None else names[row]) for row in rows]
    text = f"{len(rows)} of {len(expected)} samples differ ({listed(called)})"
    shape = expected.shape[1:]
    axis = layout.index("C") - 1 if layout and "C" in layout and len(layout) == len(shape) + 1 else len(shape) - 1
    different = _unequal(expected, got).reshape(expected.shape)
    if shape and shape[axis] > 1:
        channels = np.flatnonzero(np.moveaxis(different, axis + 1, 0).reshape(shape[axis], -1).any(axis=1))
        some = "all" if len(channels) == shape[axis] else f"{len(channels)} of"
        text += f", in {some} {shape[axis]} channels ({listed(channels)})"
    for row, name in list(zip(rows, called))[:SHOWN]:
        places = np.argwhere(different[row])
        values = "; ".join(
            f"{_place(place, shape, layout)}expected {expected[(row, *place)]:.6g}, got {got[(row, *place)]:.6g}"
            for place in places[:SHOWN]
        )
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        text += f"\nsample {name}: {values}{more}"
    return text


def recognised(runs: Sequence[Observed], expected: np.ndarray, without_weights: np.ndarray | None) -> Problem | None:
    """The fault that explains what was observed; None where it is not a known one, or nothing is wrong.

    runs: in the order of execution; the first has a batch of 1. expected: the golden outputs [N, ...]. without_weights:
    those [N, ...] of an accelerator whose weights are all zero bits.
    """
    if any(run.got.shape != expected[run.rows].shape for run in runs):
        return None
    wrong = [wrong_rows(expected[run.rows], run.got) for run in runs]
    if not any(map(len, wrong)):
        return None
    got, rows = np.concatenate([run.got for run in runs]), np.concatenate([run.rows for run in runs])
    if without_weights is not None and _equal(got, without_weights[rows]):
        message = "every output is exactly what comes out when the weights that are loaded at run time are all zero"
        return Problem("weights not loaded", f"{message}; so it is where nothing works" if _constant(got) else message)
    due = expected[rows]
    if got.any() and _equal(got[:1], due[:1]) and _later_wrong(got, due):
        if _constant(got[1:]):
            later = f"are {listed(got[1].ravel())}"
        else:
            later = "are those of the sample before" if _equal(got[1:], due[:-1]) else "are wrong"
        return Problem("only the first inference is correct", f"the first sample is right, all later outputs {later}")
    if _constant(got):
        return Problem("constant output", f"all outputs are {listed(got[0].ravel())}")
    tables = [run.got[np.argsort(run.rows)] for run in runs]
    if all(_equal(table, tables[0]) for table in tables):
        return None  # whatever comes before a sample and beside it, its output is the same
    if _only_first_of_each_call(runs, expected):
        text = "in batches of more than one, only the first sample of each is right"
        return Problem("only the first inference is correct", text)
    if _stale(runs, expected):
        return Problem("stale outputs", "wrong outputs are those of an earlier sample, left over from before")
    if _out_of_order(runs, expected):
        text = "every call gives the right outputs, but not in the order of the samples"
        return Problem("samples out of order", text)
    return None


def _later_wrong(got: np.ndarray, due: np.ndarray) -> bool:
    """Outputs after the first are right only by chance: where they never change, or have to be equal to the first one
    or to the one before.
    """
    right = ~_unequal(got[1:], due[1:]).any(axis=1)
    if right.all():
        return False
    first = np.broadcast_to(due[0], due[1:].shape)
    chance = ~_unequal(due[1:], first).any(axis=1) | ~_unequal(due[1:], due[:-1]).any(axis=1)
    return _constant(got[1:]) or not (right & ~chance).any()


def _only_first_of_each_call(runs: Sequence[Observed], expected: np.ndarray) -> bool:
    """Larger batches have their first sample right and no other that differs from it."""
    seen = False
    for run in runs:
        for call in run.calls():
            due, got = expected[run.rows[call]], run.got[call]
            if not _equal(got[:1], due[:1]):
                return False
            others = _unequal(due, np.broadcast_to(due[0], due.shape)).any(axis=1)
            wrong = _unequal(due, got).any(axis=1)
            if (others & ~wrong).any():
                return False
            seen = seen or bool(others.any())
    return seen


def _stale(runs: Sequence[Observed], expected: np.ndarray) -> bool:
    """All wrong outputs are what was due, or came out, one sample before or at the same place of the call before.

    Where nothing like that was before (the first sample, a call of another size), any output counts.
    """
    got, due = np.concatenate([run.got for run in runs]), np.concatenate([expected[run.rows] for run in runs])
    sizes = [call.stop - call.start for run in runs for call in run.calls()]
    size: np.ndarray = np.repeat(sizes, sizes)
    call: np.ndarray = np.repeat(np.arange(len(sizes)), sizes)
    wrong = wrong_rows(due, got)
    for call_wise in (False, True):
        earlier: np.ndarray = wrong - (size[wrong] if call_wise else 1)
        known: np.ndarray = earlier >= 0
        if call_wise:
            known = known & (call[earlier] == call[wrong] - 1) & (size[earlier] == size[wrong])
        late, before = wrong[known], earlier[known]
        stale = ~_unequal(got[late], due[before]).any(axis=1) | ~_unequal(got[late], got[before]).any(axis=1)
        if len(late) >= EVIDENCE and stale.all():
            return True
    return False


def _out_of_order(runs: Sequence[Observed], expected: np.ndarray) -> bool:
    """Each call gives the right outputs, in another order."""
    pairs = ((run.got[call], expected[run.rows[call]]) for run in runs for call in run.calls())
    return all(
        sorted(map(bytes, got.astype(np.float64))) == sorted(map(bytes, due.astype(np.float64))) for got, due in pairs
    )


def listed(values: Sequence[int] | np.ndarray, most: int = 8) -> str:
    """Numbers [n] as `3, 7, 12` and, where there are more than `most`, how many more."""
    shown = ", ".join(f"{value:.6g}" for value in values[:most])
    return f"{shown} and {len(values) - most} more" if len(values) > most else shown


def _place(place: np.ndarray, shape: tuple[int, ...], layout: str | None) -> str:
    """A position within a sample in words; empty where there is only one."""
    axes = layout[1:] if layout and len(layout) == len(shape) + 1 else "?" * (len(shape) - 1) + "C"
    named = [f"{_AXES.get(axes[axis], 'position')} {number}" for axis, number in enumerate(place) if shape[axis] > 1]
    return f"{', '.join(named)}: " if named else ""


def _constant(got: np.ndarray) -> bool:
    return len(got) > 1 and _equal(got, np.broadcast_to(got[0], got.shape))


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and not _unequal(one, other).any()


def _unequal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which values differ, [n, values]; two NaN are equal."""
    different: np.ndarray = (one != other) & ~((one != one) & (other != other))
    return different.reshape(len(one), int(np.prod(one.shape[1:])))  # -1 is ambiguous where there are none
