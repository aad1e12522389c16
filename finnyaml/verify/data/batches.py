"""Samples that a function of the user's makes: whole arrays, or batch after batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from finnyaml.errors import StepFailed
from finnyaml.steps.code import explain
from finnyaml.verify.data.arrays import checked

Pair = tuple[np.ndarray, np.ndarray | None]
"""Inputs [n, ...] and, where there are any, labels [n, ...]."""

_EXPECTED = (
    "it has to return inputs, (inputs, labels), or an iterable of such batches: NumPy arrays with a row per sample"
)


def call(name: str, function: Callable[[], Any]) -> Any:
    """What `function` returns; StepFailed with the user's line where it raises. `name` is what errors call it."""
    try:
        return function()
    except StepFailed:
        raise
    except Exception as error:
        raise StepFailed(f"{name} failed: {explain(error)}") from error


def pair(name: str, value: Any) -> Pair | None:
    """Inputs and labels, if `value` is an array or a tuple of two; else None.

    Raises StepFailed: arrays of different lengths, empty ones, or ones without numbers.
    """
    labels: Any = None
    if isinstance(value, (tuple, list)) and len(value) == 2 and hasattr(value[0], "__array__"):
        value, labels = value
    if not hasattr(value, "__array__"):  # not an array of NumPy, or (as a torch tensor) something that can be one
        return None
    inputs = call(name, lambda: checked(f"the inputs of {name}", value))
    if labels is None:
        return inputs, None
    wanted = call(name, lambda: checked(f"the labels of {name}", labels))
    if len(inputs) != len(wanted):
        raise StepFailed(f"{name} returned {len(inputs)} inputs, but {len(wanted)} labels")
    return inputs, wanted


def refused(name: str, value: Any) -> StepFailed:
    """The error for something else than samples."""
    what = f"a tuple of {len(value)}" if isinstance(value, tuple) else f"an object of type {type(value).__name__}"
    return StepFailed(f"{name} returned {what}", hint=_EXPECTED)


class Batches:
    """Samples from an iterable of batches of any size; `make` makes it anew for every pass over the data."""

    def __init__(self, name: str, first: Iterable[Any], make: Callable[[], Any], most: int | None) -> None:
        """`first` is what `make` returned already: it is used up to count samples, but no more than `most`.

        Raises StepFailed: the iterable raises, or yields something else than samples.
        """
        self._name = name
        self._make = make
        count = 0
        for inputs, labels in self._pairs(first):
            self.labelled = labels is not None
            self.shape = inputs.shape
            count += len(inputs)
            if most is not None and count >= most:
                break
        if not count:
            raise StepFailed(f"{name} returned no batch at all", hint=_EXPECTED)
        self._count = count

    def __len__(self) -> int:
        return self._count

    def pieces(self, chunks: Iterable[np.ndarray]) -> Iterator[Pair]:
        """For each of `chunks` (sample numbers, int64 [n], rising within and over all chunks), those samples.

        Raises StepFailed: as on the first pass; or there are fewer samples than then.
        """
        batches = self._pairs(call(self._name, self._make))
        start, stop = 0, 0
        inputs, labels = np.empty(0), None
        for chunk in chunks:
            parts: list[Pair] = []
            while len(chunk):
                while stop <= chunk[0]:
                    found = next(batches, None)
                    if found is None:
                        hint = "it is called once for every pass over the data, and must return the same each time"
                        raise StepFailed(f"{self._name} had {self._count} samples first, now only {stop}", hint=hint)
                    inputs, labels = found
                    start, stop = stop, stop + len(inputs)
                here, chunk = chunk[chunk < stop] - start, chunk[chunk >= stop]
                parts.append((inputs[here], None if labels is None else labels[here]))
            yield self._joined(parts)

    def _joined(self, parts: list[Pair]) -> Pair:
        shapes = sorted({part[0].shape[1:] for part in parts})
        if len(shapes) > 1:
            raise StepFailed(f"{self._name} returned samples of shape {list(shapes[0])} and of {list(shapes[1])}")
        inputs = np.concatenate([part[0] for part in parts])
        labels = [part[1] for part in parts if part[1] is not None]
        if labels and len(labels) < len(parts):
            raise StepFailed(f"{self._name} returned labels with some batches, and none with others")
        return inputs, np.concatenate(labels) if labels else None

    def _pairs(self, iterable: Any) -> Iterator[Pair]:
        iterator = call(self._name, lambda: iter(iterable))
        while True:
            value = call(self._name, lambda: next(iterator, _END))
            if value is _END:
                return
            found = pair(self._name, value)
            if found is None:
                raise refused(self._name, value)
            yield found


_END = object()
