"""What outputs say as classes, which of them are right, and how far such a fraction can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..contract import User
from ..errors import AcceleratorError

SURE = 1.96
"""Standard deviations that hold 95 % of a normal distribution."""


@dataclass(frozen=True)
class Fraction:
    """`hits` of `count` samples; `count` is at least 1."""

    hits: int
    count: int

    @classmethod
    def of(cls, held: np.ndarray) -> Fraction:
        """The fraction of those that are true, bool [n]."""
        return cls(int(np.count_nonzero(held)), len(held))

    @property
    def value(self) -> float:
        """From 0 to 1."""
        return self.hits / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of Wilson's score: where the fraction on all data of this kind lies."""
        square = SURE * SURE
        centre = (self.value + square / (2 * self.count)) / (1 + square / self.count)
        spread = math.sqrt(self.value * (1 - self.value) / self.count + square / (4 * self.count * self.count))
        half = SURE / (1 + square / self.count) * spread
        return max(0.0, centre - half), min(1.0, centre + half)

    def differs(self, other: Fraction) -> bool:
        """Whether two fractions of different samples differ by more than chance explains (5 % level).

        They do when 0 is outside Newcombe's interval of their difference, which is made of the two Wilson intervals and
        holds for few samples and for fractions near 0 and 1 too, where the usual z test does not.
        """
        low, high = (self, other) if self.value <= other.value else (other, self)
        room = math.hypot(high.value - high.interval[0], low.interval[1] - low.value)
        return high.value - low.value > room

    def __str__(self) -> str:
        return f"{percent(self.value)} ({self.hits} of {self.count})"


def percent(value: float) -> str:
    """A fraction with one decimal; 100.0 % and 0.0 % only where it is all or nothing."""
    if not 0 < value < 1:
        return f"{100 * value:.1f} %"
    return f"{min(max(100 * value, 0.1), 99.9):.1f} %"


def classifies(output: User) -> bool:
    """Whether the outputs are classes or a row of scores, so that labels say which are right."""
    return output.meaning in ("class index", "scores") and sum(size != 1 for size in output.shape) <= 1


def predictions(outputs: np.ndarray, output: User) -> np.ndarray:
    """The class that each sample is given, int64 [n]; of equal scores the lowest index counts.

    outputs: [n, *output.shape]; class indices (the best first) or scores, as `output.meaning` says.
    """
    table = outputs.reshape(len(outputs), -1)
    chosen = table[:, 0] if output.meaning == "class index" else table.argmax(axis=1)
    found: np.ndarray = chosen.astype(np.int64)
    return found


def right(outputs: np.ndarray, labels: np.ndarray, output: User, k: int = 1) -> np.ndarray:
    """Whether each sample's label (int64 [n]) is among the first k of its answer: bool [n]."""
    table = outputs.reshape(len(outputs), -1)
    if output.meaning == "class index":
        found: np.ndarray = (table[:, :k].astype(np.int64) == labels[:, np.newaxis]).any(axis=1)
        return found
    inside = (labels >= 0) & (labels < table.shape[1])
    own = np.take_along_axis(table, np.where(inside, labels, 0)[:, np.newaxis], axis=1)
    equal_before = (table == own) & (np.arange(table.shape[1]) < labels[:, np.newaxis])
    place = np.count_nonzero((table > own) | equal_before, axis=1)
    among: np.ndarray = inside & (place < k)
    return among


def class_labels(labels: np.ndarray | None, count: int) -> np.ndarray:
    """Labels as int64 [count].

    Raises AcceleratorError: "wrong labels": not there, not one for every image, one-hot, or not integers.
    """
    wrong = partial(AcceleratorError, name="wrong labels")
    if labels is None:
        raise wrong("there are no labels", hint="name their array with --labels")
    try:
        found = np.asarray(labels)
    except ValueError as error:
        raise wrong("the labels are not one class index per image") from error
    if isinstance(labels, np.ma.MaskedArray):
        raise wrong("the labels are a masked array", hint="keep labels.compressed()")
    if found.ndim > 1 and found.size > len(found):
        shaped = f"the labels have the shape {list(found.shape)}, not one class index per image"
        raise wrong(shaped, hint="one-hot labels become class indices by labels.argmax(axis=1)")
    if len(found) != count:
        raise wrong(f"there are {count} images but {len(found)} labels")
    if found.dtype.kind not in "iu":
        raise wrong(f"the labels are {found.dtype}, not integers", hint="labels.astype(numpy.int64)")
    one_each: np.ndarray = found.reshape(-1).astype(np.int64)
    return one_each
