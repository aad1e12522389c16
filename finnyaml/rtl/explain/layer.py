"""What is wrong inside one layer: its inputs are right, and some of its output values are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finnyaml.rtl.explain.explanation import listed

_LOOK = 64
"""Rows of each kind that are looked at for all pairs of inputs; what holds for them is then tried on all rows."""
_ENOUGH = 4
"""Rows (pixels of all frames) from which on equal columns are not an accident."""


@dataclass(frozen=True)
class Layer:
    """A node with wrong output values.

    got, want: the output as [rows, channels] of integers, a row for each pixel of each frame; they differ somewhere.
    source: its first input alike, [rows, input values], None where it has other rows.
    """

    op_type: str
    got: np.ndarray
    want: np.ndarray
    source: np.ndarray | None

    @property
    def channels(self) -> list[int]:
        """The output channels with wrong values."""
        return [int(each) for each in np.flatnonzero((self.got != self.want).any(axis=0))]


@dataclass(frozen=True)
class Fault:
    """What a recogniser saw: the kind of explanation, a sentence, and its parts as plain data."""

    kind: str
    sentence: str
    details: Mapping[str, Any]


def recognise(layer: Layer) -> Fault | None:
    """The fault, if it is one with a known look."""
    return next((fault for known in _KNOWN if (fault := known(layer)) is not None), None)


def _exchanged(layer: Layer) -> Fault | None:
    """The wrong channels hold each other's values."""
    wrong = layer.channels
    if len(wrong) < 2 or len(layer.got) < _ENOUGH:
        return None
    wanted: dict[bytes, list[int]] = {}
    for channel in wrong:
        wanted.setdefault(layer.want[:, channel].tobytes(), []).append(channel)
    holds: dict[int, int] = {}
    for channel in wrong:
        found = wanted.get(layer.got[:, channel].tobytes())
        if not found:
            return None
        holds[channel] = found.pop(0)
    if len(wrong) == 2:
        sentence = f"Its output channels {wrong[0]} and {wrong[1]} are exchanged: each has the values of the other."
    else:
        pairs = [f"{channel} has those of {other}" for channel, other in holds.items()]
        sentence = f"Its output channels are exchanged: {listed(_some(pairs))}."
    return Fault("channels", sentence, {"channels": wrong, "holds": {str(a): b for a, b in holds.items()}})


def _exchanged_inputs(layer: Layer) -> Fault | None:
    """All errors are the difference of two inputs, times a constant per channel."""
    wrong = layer.channels
    if not layer.op_type.startswith("MVAU") or len(wrong) < 2 or layer.source is None:
        return None
    source, error = layer.source, (layer.got - layer.want)[:, wrong]
    rows = np.flatnonzero(error[:, 0])
    first, some = rows[0], np.concatenate([rows[:_LOOK], np.flatnonzero(error[:, 0] == 0)[:_LOOK]])
    for one in range(source.shape[1] - 1):
        difference = source[some, one, None] - source[some, one + 1 :]
        alike = (difference * error[first, 0] == difference[0] * error[some, :1]).all(axis=0) & (difference[0] != 0)
        for other in (int(place) + one + 1 for place in np.flatnonzero(alike)):
            whole = source[:, one] - source[:, other]
            if np.array_equal(error * whole[first], whole[:, None] * error[first]):
                sentence = f"It takes its inputs {one} and {other} for each other."
                return Fault("channels", sentence, {"inputs": [one, other], "channels": wrong})
    return None


def _weight(layer: Layer) -> Fault | None:
    """All errors of the only wrong channel are one of its inputs times a constant."""
    wrong = layer.channels
    if not layer.op_type.startswith(("MVAU", "VVAU")) or len(wrong) != 1 or layer.source is None:
        return None
    column = wrong[0]
    error = layer.got[:, column] - layer.want[:, column]
    first = int(np.flatnonzero(error)[0])
    found = []
    for row in np.flatnonzero(layer.source[first]).tolist():
        delta, rest = divmod(int(error[first]), int(layer.source[first, row]))
        if rest == 0 and np.array_equal(error, delta * layer.source[:, row]):
            found.append((row, delta))
    if not found:
        return Fault(
            "values",
            f"All wrong values lie in its output channel {column}, and no single weight explains them: several weights "
            "of that channel are wrong, or its accumulation.",
            {"channel": column},
        )
    row, delta = found[0]
    sentence = (
        f"One wrong weight explains all of it: that of input {row} for output channel {column} is too "
        f"{'large' if delta > 0 else 'small'} by {abs(delta)}."
    )
    if len(found) > 1:
        others = [f"input {row} by {delta}" for row, delta in found[1:]]
        sentence += f" On these frames other weights of the channel explain it as well: {listed(_some(others))}."
    candidates = [{"row": row, "delta": delta} for row, delta in found]
    return Fault("weight", sentence, {"row": row, "column": column, "delta": delta, "candidates": candidates})


def _threshold(layer: Layer) -> Fault | None:
    """Only one channel is wrong.

    The hardware searches the levels by bisection. With one wrong threshold, inputs between its right and its wrong
    value take the wrong branch, and end at the level next to that threshold: one level for all of them.
    """
    wrong = layer.channels
    if not layer.op_type.startswith("Thresholding") or len(wrong) != 1:
        return None
    channel = wrong[0]
    where = layer.got[:, channel] != layer.want[:, channel]
    got, want = layer.got[where, channel], layer.want[where, channel]
    details: dict[str, Any] = {"channel": channel}
    sentence = f"All wrong values lie in its channel {channel}: thresholds of that channel are wrong"
    low, high = int(want.min()), int(want.max())
    level = int(got[0])
    if (got != level).any() or low < level < high:
        return Fault("thresholds", f"{sentence}.", details)
    below, size = (level, "large") if low > level else (level - 1, "small")
    details.update(levels=[below, below + 1], got=level, want=[low, high])
    sentence = (
        f"All wrong values lie in its channel {channel}, at level {level} instead of {_range(low, high)}: there, the "
        f"threshold between the levels {below} and {below + 1} is too {size}"
    )
    if layer.source is not None and layer.source.shape == layer.got.shape:
        taken = layer.source[where, channel]
        details["inputs"] = [int(taken.min()), int(taken.max())]
        sentence += f" (the inputs concerned are {_range(*details['inputs'])})"
    return Fault("thresholds", f"{sentence}.", details)


def _range(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _some(words: Sequence[str], most: int = 4) -> list[str]:
    return [*words[:most], f"{len(words) - most} more"] if len(words) > most else list(words)


_KNOWN = (_exchanged, _weight, _threshold, _exchanged_inputs)
