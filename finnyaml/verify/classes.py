"""The outputs of a classifier, as classes.

They have a row of scores per sample, [n, classes], or class indices: [n], or [n, k] from TopK, the best first.
Dimensions of 1 do not matter. One value per sample is an index; several are indices where they are of an integer type
or the caller says so (FINN's layers put integers into floating-point arrays), else scores. Pure numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from finnyaml.errors import StepFailed

_OTHERS = "other models are measured by mse, psnr, max_abs or a function of your own"


def predictions(outputs: np.ndarray, indices: bool = False) -> np.ndarray:
    """The class that each sample is given: int64 [n]. Of equal scores the lowest index counts, as in FINN's TopK.

    -1 where a score is not a number. `indices`: several values per sample are class indices, whatever their type.
    Raises StepFailed: the outputs are neither scores nor class indices.
    """
    table = _table(outputs)
    if _holds_indices(table, indices):
        return _whole(table)[:, 0]
    found: np.ndarray = np.where(np.isnan(table).any(axis=1), -1, table.argmax(axis=1))
    return found.astype(np.int64)


def ranked(outputs: np.ndarray, labels: np.ndarray, indices: bool = False) -> np.ndarray:
    """At which place, from 0, each sample has its label (int64 [n]): int64 [n]; very large where it has none.

    Raises StepFailed: the outputs are neither scores nor class indices, or have no class for a label.
    """
    table = _table(outputs)
    nowhere = np.iinfo(np.int64).max
    if _holds_indices(table, indices):
        equal = _whole(table) == labels[:, np.newaxis]
        return np.where(equal.any(axis=1), equal.argmax(axis=1), nowhere)  # type: ignore[no-any-return]
    classes = table.shape[1]
    if labels.max() >= classes:
        hint = "labels count from 0" if labels.max() == classes and labels.min() > 0 else None
        raise StepFailed(f"there is a label {labels.max()}, but the model has only {classes} classes", hint=hint)
    own = np.take_along_axis(table, labels[:, np.newaxis], axis=1)
    equal_before = (table == own) & (np.arange(classes) < labels[:, np.newaxis])
    place = np.count_nonzero((table > own) | equal_before, axis=1)
    # A comparison with NaN is false, which would be the first place.
    return np.where(np.isnan(table).any(axis=1), nowhere, place)  # type: ignore[no-any-return]


def class_labels(labels: np.ndarray) -> np.ndarray:
    """Labels [n, ...] as class indices, int64 [n]. Raises StepFailed: they are one-hot, not integers, or negative."""
    if labels.ndim > 1 and labels.size > len(labels):
        one_hot = labels.ndim == 2 and bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())
        raise StepFailed(
            "the labels are one-hot" if one_hot else f"the labels have the shape {list(labels.shape)}",
            hint=f"labels are one class index per sample: {'store labels.argmax(axis=1)' if one_hot else '[n]'}",
        )
    if labels.dtype.kind not in "iu":
        hint = "labels are class indices: store labels.astype(numpy.int64)"
        raise StepFailed(f"the labels are of type {labels.dtype}, not integers", hint=hint)
    found: np.ndarray = labels.reshape(-1).astype(np.int64)
    if found.min() < 0:
        hint = "leave out samples without a class; classes count from 0"
        raise StepFailed(f"there is a negative label, {found.min()}", hint=hint)
    return found


def _table(outputs: np.ndarray) -> np.ndarray:
    """The outputs as [n, values per sample]."""
    if sum(size != 1 for size in outputs.shape[1:]) > 1:
        raise StepFailed(
            f"outputs of the shape {list(outputs.shape)} are neither scores nor class indices",
            hint=f"top1, top_k and agreement are for classifiers; {_OTHERS}",
        )
    return outputs.reshape(len(outputs), -1)


def _holds_indices(table: np.ndarray, indices: bool) -> bool:
    return indices or table.shape[1] == 1 or table.dtype.kind in "iu"


def _whole(table: np.ndarray) -> np.ndarray:
    """Class indices as int64; floating-point numbers have to be whole."""
    strange: Any = table[~(np.isfinite(table) & (table == np.rint(table)))] if table.dtype.kind == "f" else ()
    if len(strange):
        raise StepFailed(
            f"the model gives {strange[0]}, which is not a class index",
            hint=f"a single output per sample has to be the class (`postprocess: [{{top_k: 1}}]`); {_OTHERS}",
        )
    return table.astype(np.int64)
