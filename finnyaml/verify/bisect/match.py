"""The first tensor that disagrees with what it was in the state before.

Names change across a transformation, axes are permuted, scales and offsets wander. So a tensor is *sound* when some
tensor of the state before equals it in every element, up to a change of layout and an affine map, one for all or one
per channel (so a wrong scale shows at the thresholds behind it). A tensor without such a counterpart need not be
wrong: transformations split and merge operators. It is suspicious only if it reaches the output through no sound
tensor, because then the network has not recovered behind it. The first suspicious one that has a counterpart to
compare with is the answer. So there is nothing to find, whatever a transformation did, where the outputs agree.

The outputs themselves are compared exactly: nothing behind them makes up for a wrong scale or offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from finnyaml.verify.bisect.fit import Fit, affine, is_affine
from finnyaml.verify.bisect.run import Run
from finnyaml.verify.executor.check import ROUNDING


@dataclass(frozen=True)
class Difference:
    """Tensor `name` of the state after, fitted from `counterpart` of the state before; `fit` is in its layout."""

    name: str
    counterpart: str
    fit: Fit


def first_difference(before: Run, after: Run) -> Difference | None:
    """The first tensor of `after` that disagrees with `before`, both run on the same samples; None if none does."""
    sound = {name for name in after.values if _is_sound(name, before, after)}
    for name in _unrecovered(after, sound):
        if after.graph.is_window(name):
            continue  # the product of the windows shows it better
        difference = _nearest(name, before, after)
        if difference is not None and not difference.fit.agree.all():
            return difference
    return None


def compared(name: str, counterpart: str, before: Run, after: Run) -> Difference | None:
    """A tensor of `after` beside one of `before`, without any scale or offset; None where they cannot be compared."""
    a, b = before.values.get(counterpart), after.values.get(name)
    if a is None or b is None or a[0].size != b[0].size:
        return None
    fits = [_identity(view, b) for view in _views(a, b.shape)]
    best = max(fits, key=lambda fit: fit.fraction, default=None)
    return None if best is None or best.agree.all() else Difference(name, counterpart, best)


def is_exact(name: str, before: Run, after: Run) -> bool:
    """Whether a tensor of `before` equals this one of `after`, but for its layout and the rounding of floats."""
    b = after.values[name]
    return any(_identity(a, b).agree.all() for _, a in _candidates(name, before, after))


def _identity(a: np.ndarray, b: np.ndarray) -> Fit:
    allowed = ROUNDING * float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    with np.errstate(invalid="ignore"):
        return Fit(a, (np.abs(a - b) <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b)))


def _unrecovered(after: Run, sound: set[str]) -> list[str]:
    """The tensors from which an output is reached through unsound tensors only, in the order of the graph."""
    suspects: set[str] = set()
    graph = after.graph
    todo = [name for name in graph.outputs if name in after.values and name not in sound]
    while todo:
        name = todo.pop()
        if name in suspects:
            continue
        suspects.add(name)
        inputs = graph.dynamic_inputs(graph.producer(name))
        todo += [source for source in inputs if source in after.values and source not in sound]
    return sorted(suspects, key=graph.position)


def _is_sound(name: str, before: Run, after: Run) -> bool:
    if name in after.exact_outputs:
        return is_exact(name, before, after)
    b = after.values[name]
    axes = (None, *_channel_axes(name, after, b))
    return any(
        np.array_equal(a, b) or any(is_affine(a, b, axis) for axis in axes) for _, a in _candidates(name, before, after)
    )


def _nearest(name: str, before: Run, after: Run) -> Difference | None:
    """The tensor of the state before that most of `name` agrees with, if that is more than chance."""
    b = after.values[name]
    best: Difference | None = None
    for other, a in _candidates(name, before, after):
        fit = _best_fit(name, after, a, b)
        chance = _best_fit(name, after, np.roll(a, 1, axis=0), b).fraction  # of other samples, as near as it may get
        related = fit.fraction > chance + 0.1 * (1 - chance)
        if (related or other == name or name in after.exact_outputs) and (
            best is None or fit.fraction > best.fit.fraction
        ):
            best = Difference(name, other, fit)
    return best


def _best_fit(name: str, after: Run, a: np.ndarray, b: np.ndarray) -> Fit:
    """One map for all where it explains nearly as much as one per channel, which may explain a fault away."""
    if name in after.exact_outputs:
        return _identity(a, b)
    fit = affine(a, b, None)
    for axis in _channel_axes(name, after, b):
        other = affine(a, b, axis)
        if 0.8 * other.fraction > fit.fraction:
            fit = other
    return fit


def _channel_axes(name: str, after: Run, b: np.ndarray) -> tuple[int, ...]:
    """The axes along which maps of their own are allowed."""
    axis = after.graph.channel_axis(name, b.shape)
    return () if axis is None else (axis,)


def _candidates(name: str, before: Run, after: Run) -> Iterator[tuple[str, np.ndarray]]:
    """Tensors of the state before in a layout that fits, the one of the same name and those of the same kind first.

    Of an output that is compared exactly it is that output alone.
    """
    b = after.values[name]
    kind = after.graph.producer(name).op_type
    known = {**dict.fromkeys(before.graph.inputs, before.source), **before.values}
    if name in after.exact_outputs:  # an output has to be what that output was, and not some other tensor
        former = before.graph.outputs[after.graph.outputs.index(name)]
        known = {former: known[former]} if former in known else {}

    def rank(other: str) -> tuple[bool, bool]:
        producer = before.graph.producer(other)
        return other != name, producer is None or producer.op_type != kind

    for other in sorted((other for other, a in known.items() if a[0].size == b[0].size), key=rank):
        for view in _views(known[other], b.shape):
            yield other, view


def _views(a: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """`a` [n, ...] as an array of `shape`: as it is, with channels moved last or first, flattened."""
    layouts = [a] if a.ndim < 3 else [a, np.moveaxis(a, 1, -1), np.moveaxis(a, -1, 1)]
    wanted = [size for size in shape[1:] if size > 1]
    seen: list[np.ndarray] = []
    for layout in layouts:
        sizes = [size for size in layout.shape[1:] if size > 1]
        if sizes == wanted or len(sizes) < 2 or len(wanted) < 2:
            view = layout.reshape(shape)
            if not any(np.array_equal(view, other) for other in seen):
                seen.append(view)
                yield view
