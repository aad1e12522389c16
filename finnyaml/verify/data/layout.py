"""From samples as the data set has them to samples as a graph takes them: transposes, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finnyaml.errors import StepFailed

_OTHER = {"NCHW": "NHWC", "NHWC": "NCHW", "NCW": "NWC", "NWC": "NCW"}


def delivered(batch: np.ndarray, given: str | None, wanted: str | None) -> np.ndarray:
    """`batch` [n, ...] from the layout `given` to `wanted`, where both are known and have the same axes."""
    if given and wanted and given != wanted and sorted(given) == sorted(wanted):
        return batch.transpose([given.index(axis) for axis in wanted])
    return batch


def taken(batch: np.ndarray, shape: Sequence[int], given: str | None, recipe: str | None) -> np.ndarray:
    """Samples of a data set whose layout is `given` as a graph input of `shape` takes them; `recipe` says how they are
    delivered to the accelerator.
    """
    return fitted(delivered(batch, given, recipe), shape, recipe or given)


def fitted(batch: np.ndarray, shape: Sequence[int], layout: str | None) -> np.ndarray:
    """`batch` [n, ...], in `layout` (NCHW, NHWC, NC, ...) where that is known, as a graph input takes it.

    `shape` is that of the input, with a batch dimension of 1. Raises StepFailed: no layout makes the shapes fit.
    """
    wanted = tuple(shape[1:])
    if batch.shape[1:] == wanted:
        return batch
    for name in [layout] if layout else _OTHER:
        if name in _OTHER and len(name) == batch.ndim:
            turned = delivered(batch, name, _OTHER[name])
            if turned.shape[1:] == wanted:
                return turned
    if batch.size == len(batch) * int(np.prod(wanted)) and 1 in (batch.ndim - 1, len(wanted)):
        return batch.reshape(len(batch), *wanted)  # a flat list of values: only one order is possible
    raise StepFailed(
        f"the data has samples of the shape {list(batch.shape[1:])}, the graph takes {list(wanted)}",
        hint="verify.data has to be what the accelerator will get: the raw data, before any pre-processing",
    )
