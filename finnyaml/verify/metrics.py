"""Metrics over a data set, fed batch by batch. Runs in workers.

A metric gets the outputs of a model, and what it needs beside them: the labels, or the outputs of the reference.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from finnyaml.errors import StepFailed
from finnyaml.steps.code import explain, load_function, reference
from finnyaml.text import percent
from finnyaml.verify.classes import class_labels, predictions, ranked


class Metric(ABC):
    """An accumulator: `update` with every batch, then ask for `value`."""

    name: str
    higher_is_better = True
    needs_labels = False
    needs_reference = False
    is_fraction = False
    """Whether the value is a fraction of the samples, from 0 to 1."""

    @abstractmethod
    def update(self, outputs: np.ndarray, labels: np.ndarray | None, reference: np.ndarray | None) -> None:
        """Take in a batch: the outputs of the model [n, ...], labels [n], and the outputs of the reference [n, ...].

        Labels and reference may be None where the metric does not need them. Raises StepFailed: they do not fit it.
        """

    @property
    @abstractmethod
    def value(self) -> float:
        """The metric of all batches so far; at least one is needed."""

    def shown(self, value: float) -> str:
        """A value of this metric as people read it."""
        return percent(value) if self.is_fraction else f"{value:.4g}"


class _Fraction(Metric):
    """The fraction of the samples for which something holds.

    `indices`: the model (and the reference) gives class indices, best first, and not scores (see `classes`).
    """

    is_fraction = True

    def __init__(self, indices: bool = False) -> None:
        self._indices = indices
        self._hits = 0
        self._count = 0

    def _take(self, held: np.ndarray) -> None:
        """`held`: bool [n], whether it holds for each sample."""
        self._hits += int(np.count_nonzero(held))
        self._count += len(held)

    @property
    def value(self) -> float:
        return self._hits / self._count


class TopK(_Fraction):
    """The fraction of samples whose label is among the k classes with the highest scores."""

    needs_labels = True

    def __init__(self, k: int, indices: bool = False) -> None:
        super().__init__(indices)
        self.name = f"top{k}"
        self.k = k

    def update(self, outputs: np.ndarray, labels: np.ndarray | None, reference: np.ndarray | None) -> None:
        self._take(ranked(outputs, class_labels(_given(labels, self.name, "labels")), self._indices) < self.k)


class Agreement(_Fraction):
    """The fraction of samples for which the model predicts the class that the reference predicts."""

    name = "agreement"
    needs_reference = True

    def update(self, outputs: np.ndarray, labels: np.ndarray | None, reference: np.ndarray | None) -> None:
        own = predictions(outputs, self._indices)
        others = predictions(_given(reference, self.name, "reference"), self._indices)
        self._take((own == others) & (own >= 0))


class MeanSquaredError(Metric):
    """The mean of (output - reference) squared, over all outputs of all samples."""

    name = "mse"
    higher_is_better = False
    needs_reference = True

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def update(self, outputs: np.ndarray, labels: np.ndarray | None, reference: np.ndarray | None) -> None:
        difference = _difference(outputs, _given(reference, self.name, "reference"))
        self._sum += float(np.square(difference).sum())
        self._count += difference.size

    @property
    def value(self) -> float:
        return self._sum / self._count


class PeakSignalToNoise(MeanSquaredError):
    """10 log10(peak^2 / mse) in decibels. The peak is the range (highest less lowest) of the reference's outputs."""

    name = "psnr"
    higher_is_better = True

    def __init__(self) -> None:
        super().__init__()
        self._low = math.inf
        self._high = -math.inf

    def update(self, outputs: np.ndarray, labels: np.ndarray | None, reference: np.ndarray | None) -> None:
        super().update(outputs, labels, reference)
        assert reference is not None
        self._low = min(self._low, float(reference.min()))
        self._high = max(self._high, float(reference.max()))

    @property
    def value(self) -> float:
        """Infinite where outputs and reference are equal; minus infinity where only the reference is constant."""
        error, peak = super().value, self._high - self._low
        if error == 0:
            return math.inf
        return -math.inf if peak == 0 else 10 * math.log10(peak * peak / error)

    def shown(self, value: float) -> str:
        return f"{value:.1f} dB" if math.isfinite(value) else "infinite" if value > 0 else f"{value} dB"


class MaxAbs(Metric):
    """The largest difference between an output and the reference's."""

    name = "max_abs"
    higher_is_better = False
    needs_reference = True

    def __init__(self) -> None:
        self._most = np.float64(0)

    def update(self, outputs: np.ndarray, labels: np.ndarray | None, reference: np.ndarray | None) -> None:
        difference = _difference(outputs, _given(reference, self.name, "reference"))
        self._most = np.maximum(self._most, np.abs(difference).max())  # keeps NaN, as Python's max does not

    @property
    def value(self) -> float:
        return float(self._most)


class Own(Metric):
    """A function of the user's over whole arrays: `function(outputs, labels, reference)`. Higher is better.

    All outputs are kept in memory for it.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self._function = function
        self._batches: list[tuple[np.ndarray | None, ...]] = []

    def update(self, outputs: np.ndarray, labels: np.ndarray | None, reference: np.ndarray | None) -> None:
        self._batches.append((outputs, labels, reference))

    @property
    def value(self) -> float:
        columns = [
            None if any(part is None for part in column) else np.concatenate(column)
            for column in zip(*self._batches, strict=True)
        ]
        try:
            return float(self._function(*columns))
        except Exception as error:
            raise StepFailed(
                f"the metric {self.name} failed: {explain(error)}",
                hint="it gets (outputs, labels, reference), arrays with a row per sample, and returns one number; "
                "labels and reference are None where there are none",
            ) from error


def make_metric(
    params: Mapping[str, Any], file: Callable[[str], Path], recipe_dir: Path, indices: bool = False
) -> Metric:
    """A new metric. Raises StepFailed: the user's function cannot be loaded.

    Args:
        params: the metric of a task: `kind`, with `k` or `code` (as the plan has them).
        file: turns a name that travels into a path, and notes it as read.
        recipe_dir: where code that is named by its module is looked for.
        indices: the outputs are class indices, best first, and not scores (see `classes`).
    """
    kind = params["kind"]
    if kind == "top_k":
        return TopK(params["k"], indices)
    if kind == "agreement":
        return Agreement(indices)
    if kind == "python":
        code = reference(params["code"], file)
        return Own(code.function, load_function(code, recipe_dir))
    known: dict[str, type[Metric]] = {"mse": MeanSquaredError, "psnr": PeakSignalToNoise, "max_abs": MaxAbs}
    return known[kind]()


def wilson(hits: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of Wilson's score for `hits` in `count` samples (95 % for z = 1.96), never below 0 or above 1.

    How far a fraction measured on so many samples can be from that on all data.
    """
    fraction, square = hits / count, z * z
    centre = (fraction + square / (2 * count)) / (1 + square / count)
    half = z / (1 + square / count) * math.sqrt(fraction * (1 - fraction) / count + square / (4 * count * count))
    return max(0.0, centre - half), min(1.0, centre + half)


def _given(array: np.ndarray | None, name: str, what: str) -> np.ndarray:
    if array is None:
        hint = "deliver (inputs, labels), or measure `metric: agreement`" if what == "labels" else None
        raise StepFailed(f"the metric {name} compares with {what}, but there are none", hint=hint)
    return array


def _difference(outputs: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """outputs - reference in float64, [n, ...] without dimensions of 1: not every graph keeps those."""
    own, others = ([size for size in array.shape[1:] if size != 1] for array in (outputs, reference))
    if own != others or len(outputs) != len(reference):
        raise StepFailed(
            f"the outputs have the shape {list(outputs.shape)}, those of the reference {list(reference.shape)}",
            hint="only outputs of one shape can be compared number by number; where both are scores or class indices, "
            "`metric: agreement` compares the predictions",
        )
    shape = (len(outputs), *own)
    difference: np.ndarray = outputs.reshape(shape).astype(np.float64) - reference.reshape(shape).astype(np.float64)
    return difference
