"""How one constant became another, in words: "[4, 2] changed sign (3 -> -3)", "columns 1 and 4 exchanged"."""

from __future__ import annotations

import numpy as np

from finnyaml.text import listed

_AXES = {
    2: (("row", "rows"), ("column", "columns")),
    4: (
        ("output channel", "output channels"),
        ("input channel", "input channels"),
        ("kernel row", "kernel rows"),
        ("kernel column", "kernel columns"),
    ),
}
_FEW = 3
"""So many elements at most are told one by one."""


def told(old: np.ndarray, new: np.ndarray) -> str:
    """What happened to the values; "" where they are equal."""
    if old.shape != new.shape:
        return _reshaped(old, new)
    a: np.ndarray = old.astype(np.float64)
    b: np.ndarray = new.astype(np.float64)
    changed = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not changed.any():
        return ""
    if how := _moved(a, b) or _clipped(a, b):
        return how
    count = int(changed.sum())
    pairs = [f"{number(x)} -> {number(y)}" for x, y in zip(a[changed][:_FEW], b[changed][:_FEW], strict=True)]
    place = _place(changed, changed | ((a == 0) & (b == 0)))
    if how := _how(a[changed], b[changed]):
        example = "" if count > _FEW else f" ({', '.join(pairs)})"
        return f"{place}{how}{example}"
    if count <= _FEW:
        return f"{place}{', '.join(pairs)}"
    return f"{place}are others, {pairs[0]} the first"


def number(value: float) -> str:
    """A value as people write it; enough digits to tell float32 apart."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.7g}"


def _place(changed: np.ndarray, whole: np.ndarray) -> str:
    """Where the changed elements are, with a space behind it. `whole`: these, and those that no factor changes."""
    if changed.size == 1:
        return ""
    if whole.all():
        return "all values "
    where = np.argwhere(changed)
    few = len(where) <= _FEW
    for axis, (one, several) in enumerate(_AXES.get(changed.ndim, ())):
        lines = np.unique(where[:, axis])
        filled = np.moveaxis(whole, axis, 0)[lines].all() and len(where) > 1
        if len(lines) <= min(_FEW, changed.shape[axis] - 1) and (filled or not few):
            return f"{several if len(lines) > 1 else one} {listed(map(str, lines))} "
    if few:
        return f"{' and '.join(str(place.tolist()) for place in where)} "
    return f"{len(where)} of {changed.size} values "


def _how(x: np.ndarray, y: np.ndarray) -> str:
    """What was done to all of these values alike; "" where nothing known was."""
    if (x == -y).all():
        return "changed sign"
    if (y == 0).all():
        return "set to 0"
    if rounding := _rounded(x, y):
        return rounding
    step = y - x
    if np.ptp(step) <= 1e-6 * np.abs(step).max() and (len(x) > 1 or abs(step[0] - round(step[0])) < 1e-4):
        return f"moved by {float(f'{step[0]:.6g}'):+.6g}"
    if len(x) > 1 and (x != 0).all():
        factor = y / x
        if np.ptp(factor) <= 1e-5 * np.abs(factor).max():
            return f"multiplied by {factor.mean():.6g}"
    return ""


def _rounded(x: np.ndarray, y: np.ndarray) -> str:
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        powers = np.sign(x) * 2.0 ** np.round(np.log2(np.abs(x)))
        if np.allclose(y, powers, rtol=1e-6, atol=0):
            return "rounded to a power of two"
        if (x % 1 == 0).all():
            return ""
        for function, how in ((np.round, "rounded"), (np.floor, "rounded down"), (np.ceil, "rounded up")):
            if (y == function(x)).all():
                return f"{how} to integers"
        if (y == x.astype(np.float16)).all():
            return "rounded to 16-bit floats"
        for digits in range(1, 7):
            if np.allclose(y, np.round(x, digits), rtol=1e-6, atol=0):
                return f"rounded to {digits} decimal{'s' if digits > 1 else ''}"
    for digits in range(1, 5):
        if np.allclose(y, [float(f"{value:.{digits}g}") for value in x[:1000]], rtol=1e-6, atol=0) and len(x) <= 1000:
            return f"rounded to {digits} digit{'s' if digits > 1 else ''}"
    return ""


def _clipped(a: np.ndarray, b: np.ndarray) -> str:
    low, high = b.min(), b.max()
    if low == high or not np.array_equal(b, np.clip(a, low, high)):
        return ""
    ends = [number(end) for end, beyond in ((low, a < low), (high, a > high)) if beyond.sum() > 1]
    return f"cut off at {' and '.join(ends)}" if ends else ""


def _moved(a: np.ndarray, b: np.ndarray) -> str:
    """Where the same values stand in other places: lines exchanged, turned round, transposed; "" otherwise."""
    if a.size < 2 or not np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)):
        return ""
    names = _AXES.get(a.ndim, tuple((f"index of axis {axis}", f"indices of axis {axis}") for axis in range(a.ndim)))
    if a.ndim == 1:
        names = (("value", "values"),)
    for axis, (_, several) in enumerate(names):
        if np.array_equal(np.flip(a, axis), b) and a.shape[axis] > 2:
            return f"{several} in reverse order"
        if order := _order(np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)):
            moved = [place for place, source in enumerate(order) if place != source]
            if len(moved) == 2:
                return f"{several} {moved[0]} and {moved[1]} exchanged"
            return f"{len(moved)} {several} in another order ({moved[0]} is the former {order[moved[0]]})"
    for first in range(a.ndim):
        for second in range(first + 1, a.ndim):
            if a.shape[first] == a.shape[second] and np.array_equal(np.swapaxes(a, first, second), b):
                return f"{names[first][1]} and {names[second][1]} exchanged"
    return ""


def _order(a: np.ndarray, b: np.ndarray) -> list[int]:
    """Which line of `a` each line of `b` is; [] where they are not the same lines."""
    unused: dict[bytes, list[int]] = {}
    for index, line in enumerate(a):
        unused.setdefault(line.tobytes(), []).append(index)
    order = []
    for index, line in enumerate(b):
        places = unused.get(line.tobytes())
        if not places:
            return []
        order.append(places.pop(places.index(index) if index in places else 0))
    return order


def _reshaped(old: np.ndarray, new: np.ndarray) -> str:
    shapes = f"{list(old.shape)} -> {list(new.shape)}"
    if old.size == new.size:
        if old.ndim == 2 and np.array_equal(old.T, new):
            return f"rows and columns exchanged ({shapes})"
        if np.array_equal(old.ravel(), new.ravel()):
            return f"another shape ({shapes})"
    return f"other values in another shape ({shapes})"
