"""The operators of `program.py`: each takes the attributes of its node and its inputs, and returns what it computes."""

from __future__ import annotations

from functools import reduce
from typing import Any, Callable

import numpy as np

_CAST = {1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 10: "f2", 11: "f8", 12: "u4", 13: "u8"}
"""ONNX' numbers of element types."""

MOVES = frozenset({"Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice"})
"""Operators that compute nothing."""


def _reshape(attributes: dict[str, Any], x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    wanted: list[int] = [int(size) or x.shape[axis] for axis, size in enumerate(shape)]
    if x.size == 0:  # no images: then nothing tells what -1 is, except where it is the batch
        sample = int(np.prod(x.shape[1:]))
        wanted = [len(x), *(sample // -int(np.prod(wanted[1:])) if size == -1 else size for size in wanted[1:])]
    return x.reshape(wanted)


def _flatten(attributes: dict[str, Any], x: np.ndarray) -> np.ndarray:
    axis = attributes.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return x.reshape(int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:])))


def _unsqueeze(attributes: dict[str, Any], x: np.ndarray, axes: np.ndarray) -> np.ndarray:
    rank = x.ndim + len(axes)
    for axis in sorted(int(axis) % rank for axis in axes):
        x = np.expand_dims(x, axis)
    return x


def _slice(
    attributes: dict[str, Any],
    x: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    axes: np.ndarray | None = None,
    steps: np.ndarray | None = None,
) -> np.ndarray:
    axes = np.arange(len(starts)) if axes is None else axes
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        size = x.shape[int(axis)]
        down = step < 0  # ONNX begins at the first element at least, and Python has no word for an end before it
        first = max(int(start), -size) if down else int(start)
        cut[int(axis)] = slice(first, None if down and end < -size else int(end), int(step))
    return x[tuple(cut)]


def _div(attributes: dict[str, Any], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    quotient: np.ndarray = a / b if a.dtype.kind == "f" else np.abs(a) // np.abs(b) * np.sign(a) * np.sign(b)
    return quotient.astype(a.dtype, copy=False)  # integers are cut towards zero


def _clip(
    attributes: dict[str, Any], x: np.ndarray, low: np.ndarray | None = None, high: np.ndarray | None = None
) -> np.ndarray:
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _argmax(attributes: dict[str, Any], x: np.ndarray) -> np.ndarray:
    axis = attributes.get("axis", 0)
    last = attributes.get("select_last_index", 0)
    found: np.ndarray = x.shape[axis] - 1 - np.argmax(np.flip(x, axis), axis) if last else np.argmax(x, axis)
    return np.expand_dims(found, axis) if attributes.get("keepdims", 1) else found


def _topk(attributes: dict[str, Any], x: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axis = attributes.get("axis", -1)
    order = np.argsort(-x if attributes.get("largest", 1) else x, axis, kind="stable")  # of equals the first
    indices = np.take(order, np.arange(int(np.ravel(k)[0])), axis)
    return np.take_along_axis(x, indices, axis), indices


OPERATORS: dict[str, Callable[..., Any]] = {
    "Identity": lambda attributes, x: x,
    "Transpose": lambda attributes, x: np.transpose(x, attributes.get("perm")),
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": lambda attributes, x, axes=None: np.squeeze(x, None if axes is None else tuple(axes)),
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Concat": lambda attributes, *inputs: np.concatenate(inputs, attributes["axis"]),
    "Add": lambda attributes, a, b: a + b,
    "Sub": lambda attributes, a, b: a - b,
    "Mul": lambda attributes, a, b: a * b,
    "Div": _div,
    "Neg": lambda attributes, x: -x,
    "Abs": lambda attributes, x: np.abs(x),
    "Floor": lambda attributes, x: np.floor(x),
    "Ceil": lambda attributes, x: np.ceil(x),
    "Round": lambda attributes, x: np.rint(x),
    "Clip": _clip,
    "Relu": lambda attributes, x: np.where(x < 0, x.dtype.type(0), x),  # -0 stays -0
    "Min": lambda attributes, *inputs: reduce(np.minimum, inputs),
    "Max": lambda attributes, *inputs: reduce(np.maximum, inputs),
    "Cast": lambda attributes, x: x.astype(_CAST[attributes["to"]]),
    "ArgMax": _argmax,
    "TopK": _topk,
    "Greater": lambda attributes, a, b: a > b,
    "GreaterOrEqual": lambda attributes, a, b: a >= b,
    "Less": lambda attributes, a, b: a < b,
    "LessOrEqual": lambda attributes, a, b: a <= b,
    "Where": lambda attributes, condition, a, b: np.where(condition, a, b),
}
