"""Data sets by batch: whatever `verify.data` names, memory is bounded by the batch. Runs in workers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from finnyaml.errors import StepFailed
from finnyaml.steps.code import load_function, reference
from finnyaml.verify.data import arrays
from finnyaml.verify.data.batches import Batches, Pair, call, pair, refused
from finnyaml.verify.data.images import Images
from finnyaml.verify.memory import at_once

_COPIES = 8 * 4
"""Bytes for each value of a batch: float32, and what readers, layouts and pre-processing make of it on the way."""


@dataclass(frozen=True)
class Batch:
    """Some samples in the order of the data set: `index` (int64 [n]) says which ones, counted without any limit.

    `inputs` are [n, ...] as the data has them (any integer or floating type), `labels` [n, ...] or None.
    """

    index: np.ndarray
    inputs: np.ndarray
    labels: np.ndarray | None


_Samples: TypeAlias = "_Arrays | Batches | Images"


class DataSet:
    """The samples that a recipe asks for, of `total`. `layout` is NHWC for image folders, else unknown."""

    def __init__(self, samples: _Samples, limit: int | None, shuffle: int | None, layout: str | None) -> None:
        self._samples = samples
        self._index = _chosen(len(samples), limit, shuffle)
        self.total = len(samples)
        self.layout = layout
        self.labelled = samples.labelled

    @property
    def size(self) -> int:
        """How many samples there are, after `limit`."""
        return len(self._index)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self._samples.shape[1:]

    @property
    def batch(self) -> int:
        """How many samples to read at once: fewer where they are large."""
        return at_once(_COPIES * math.prod(self.shape))

    def chunks(self, count: int) -> list[np.ndarray]:
        """The numbers of the samples, int64 [count]: the `index` of every batch that `batches` gives."""
        return [self._index[start : start + count] for start in range(0, self.size, count)]

    def batches(self, count: int) -> Iterator[Batch]:
        """All samples, `count` at a time (the last batch may have fewer). Every call is a new pass.

        Raises StepFailed: what the user's files or code do not deliver.
        """
        chunks = self.chunks(count)
        for index, (inputs, labels) in zip(chunks, self._samples.pieces(chunks), strict=True):
            yield Batch(index, inputs, labels)


def open_data(spec: Mapping[str, Any], file: Callable[[str], Path], recipe_dir: Path) -> DataSet:
    """The data set that `spec` describes.

    Args:
        spec: a `DataSpec` as parameters of a task (`plan.points.data_params`), its files under names that travel.
        file: turns such a name into a path, and notes it as read.
        recipe_dir: where code that is named by its module is looked for.

    Raises:
        StepFailed: files that are not there or not what they should be; code that fails or returns something else;
            no samples; inputs and labels of different lengths.
    """
    kind, limit, shuffle = spec["kind"], spec["limit"], spec["shuffle"]
    samples: _Samples
    if kind == "npz":
        archive, key = file(spec["file"]), spec["labels_key"]
        samples = _stored(arrays.npz(archive, spec["inputs_key"]), arrays.npz(archive, key) if key else None)
    elif kind == "npy":
        labels = spec["labels_file"]
        samples = _stored(arrays.npy(file(spec["file"])), arrays.npy(file(labels)) if labels else None)
    elif kind == "images":
        samples = Images(file(spec["file"]))
    else:
        samples = _made(spec["code"], spec["args"], file, recipe_dir, limit if shuffle is None else None)
    return DataSet(samples, limit, shuffle, "NHWC" if kind == "images" else None)


def _stored(inputs: arrays.Rows, labels: arrays.Rows | None) -> _Arrays:
    if labels is not None and len(inputs) != len(labels):
        raise StepFailed(
            f"there are {len(inputs)} inputs ({inputs.name}), but {len(labels)} labels ({labels.name})",
            hint="both need one row per sample",
        )
    return _Arrays(inputs, labels)


class _Arrays:
    """Samples in NumPy files, or in arrays that code made as a whole: inputs [n, ...], labels [n, ...]."""

    def __init__(self, inputs: arrays.Rows | np.ndarray, labels: arrays.Rows | np.ndarray | None) -> None:
        self._inputs, self._labels = inputs, labels
        self.shape: tuple[int, ...] = inputs.shape
        self.labelled = labels is not None

    def __len__(self) -> int:
        return len(self._inputs)

    def pieces(self, chunks: Iterable[np.ndarray]) -> Iterator[Pair]:
        chunks = list(chunks)
        labels = (None for _ in chunks) if self._labels is None else _pieces(self._labels, chunks)
        return zip(_pieces(self._inputs, chunks), labels, strict=True)


def _pieces(rows: arrays.Rows | np.ndarray, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    return (rows[chunk] for chunk in chunks) if isinstance(rows, np.ndarray) else rows.pieces(chunks)


def _made(
    code: Mapping[str, Any], args: Mapping[str, Any], file: Callable[[str], Path], recipe_dir: Path, most: int | None
) -> _Samples:
    """What the user's code makes: arrays, or batches of which no more than `most` samples are wanted."""
    name = code["text"]
    function = load_function(reference(code, file), recipe_dir)
    made = call(name, lambda: function(**args))
    if found := pair(name, made):
        return _Arrays(*found)
    if not isinstance(made, Iterable) or isinstance(made, (str, bytes, Mapping)):
        raise refused(name, made)
    return Batches(name, made, lambda: function(**args), most)


def _chosen(count: int, limit: int | None, shuffle: int | None) -> np.ndarray:
    """The numbers of the samples to take, rising: the first, or with the seed `shuffle` a choice from all.

    Of one seed, a smaller limit chooses among those that a larger one chooses.
    """
    if limit is None or limit >= count or shuffle is None:
        return np.arange(count if limit is None else min(limit, count), dtype=np.int64)
    # NumPy keeps what RandomState draws for good; of its newer generators it does not promise that.
    drawn: np.ndarray = np.random.RandomState(np.random.MT19937(shuffle)).permutation(count)
    chosen: np.ndarray = np.sort(drawn[:limit])
    return chosen.astype(np.int64)
