"""The values at which a function that never falls reaches given levels: how any such function becomes thresholds.

A MultiThreshold counts the thresholds that a value has reached. So for a function that never falls, `f(x) >= t` is
`x >= s` with the lowest s that has it, and s is found among all floats by halving, with the function itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]
"""From float32 [n, channels] to float32 [n, channels], each value for itself."""

FAR = np.float32(1e20)
"""Stands for "always" (negative) and "never": no activation is as large, and products with scales stay finite."""


def crossings(function: Function, levels: np.ndarray) -> np.ndarray:
    """For each level [channels, n] the lowest float32 at which `function` reaches it, [channels, n].

    -FAR where it is reached at -FAR already, FAR where it is not reached below FAR. The function must not fall.
    """
    wanted = np.asarray(levels, np.float32).T
    low, high = np.full(wanted.shape, _key(-FAR)), np.full(wanted.shape, _key(FAR))
    with np.errstate(all="ignore"):
        always = function(_value(low)) >= wanted
        while (high - low > 1).any():  # low: not reached; high: reached, or the end
            middle = (low + high) // 2
            reached = function(_value(middle)) >= wanted
            high = np.where(reached, middle, high)
            low = np.where(reached, low, middle)
    found: np.ndarray = np.ascontiguousarray(np.where(always, -FAR, _value(high)).T, np.float32)
    return found


def _key(value: np.float32) -> Any:
    """The place of a float32 among all of them, in order of size."""
    bits = np.asarray(value, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits, -(bits + 2**31))[()]


def _value(key: np.ndarray) -> np.ndarray:
    """The float32 at a place."""
    bits: np.ndarray = np.where(key >= 0, key, -key - 2**31)
    values: np.ndarray = bits.astype(np.int32).view(np.float32)
    return values
