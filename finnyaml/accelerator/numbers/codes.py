"""Values to the unsigned bit patterns (codes) that a stream carries, and back. What a datatype has not is refused."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..errors import AcceleratorError
from .datatypes import Datatype

_STREAM = "the accelerator sends something else: is the bitfile that of this bundle?"


class NotAllowed(ValueError):
    """A value that the datatype does not have; `refusal` says which one."""


def encode(values: np.ndarray, datatype: Datatype) -> np.ndarray:
    """Codes of values of any numeric dtype: of the same shape, in the smallest unsigned dtype of the datatype's width.

    Contiguous; bits above that width are the sign's. Where values already are codes, the result shares their memory.
    Raises NotAllowed: a value outside the datatype, or between two of its values.
    Raises AcceleratorError: "wrong dtype": no numbers.
    """
    values = _plain(np.ascontiguousarray(values))
    if datatype.kind == "float":
        codes = values.astype(datatype.numpy, copy=False)
        allowed = codes is values or bool((np.isinf(codes) == np.isinf(values)).all())
    elif datatype.kind == "bipolar":
        codes, allowed = values > 0, _all_one(values)
    elif datatype.kind == "fixed":
        scale = np.result_type(values, np.float32).type(1 / datatype.step)
        codes, allowed = _integers(values * scale, datatype)
    else:
        codes, allowed = _integers(values, datatype)
    if not allowed:
        raise NotAllowed
    return codes.view(f"u{codes.dtype.itemsize}")


def decode(codes: np.ndarray, datatype: Datatype) -> np.ndarray:
    """The values of codes of any shape, which have no bits above the datatype's width, as `Datatype.numpy`.

    Raises AcceleratorError: "wrong output": a code that no value has; only TERNARY has such.
    """
    if datatype.kind == "float":
        return codes.view(datatype.numpy)
    if datatype.kind == "bipolar":
        values: np.ndarray = codes.view(np.int8) * np.int8(2)
        values -= np.int8(1)
        return values
    if not datatype.signed:
        return codes
    integers: np.ndarray = codes.view(f"i{codes.dtype.itemsize}")
    unused = 8 * codes.dtype.itemsize - datatype.bits
    if unused:  # the sign moves to the top, then fills what is above the value
        integers = integers << integers.dtype.type(unused)
        integers >>= integers.dtype.type(unused)
    if datatype.kind == "ternary" and not within(integers, -1, 1):
        raise AcceleratorError("the bits 10 are not a TERNARY value", name="wrong output", hint=_STREAM)
    if datatype.kind == "fixed":
        integers = integers.astype(datatype.numpy) * datatype.numpy.type(datatype.step)
    return integers


def _plain(values: np.ndarray) -> np.ndarray:
    """As integers, or floats of at least 32 bits, in the byte order of this machine."""
    kind = values.dtype.kind
    if kind not in "biuf":
        raise AcceleratorError(f"values are {values.dtype}, not numbers", name="wrong dtype")
    if kind == "b":
        return values.view(np.uint8)
    if values.dtype == np.float16:
        return values.astype(np.float32)
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _integers(values: np.ndarray, datatype: Datatype) -> tuple[np.ndarray, bool]:
    """Values as integers of the datatype's container, and whether they are integers that the datatype has."""
    container, low, high = datatype.integers
    if values.dtype.kind in "iu":
        return values.astype(container, copy=False), within(values, low, high)
    small = container.itemsize < 4
    if not small and not within(values, low, high):
        return values, False
    integers = values.astype(container)
    # a fraction, NaN, or what does not fit into 16 bits: whatever the cast makes of it is another value
    same = integers.astype(values.dtype) == values
    return integers, bool(np.logical_and.reduce(same, axis=None)) and (not small or within(integers, low, high))


def within(values: np.ndarray, low: float, high: float) -> bool:
    """No value (of any shape) is below `low`, above `high` or NaN. Looks only where the dtype leaves a doubt."""
    if values.size == 0:
        return True
    least, most = _range(values.dtype)
    # .item(): Python compares integers and floats exactly, numpy first rounds them to one dtype
    if least < low and not np.minimum.reduce(values, axis=None).item() >= low:
        return False
    return bool(most <= high or np.maximum.reduce(values, axis=None).item() <= high)


def all_whole(values: np.ndarray) -> bool:
    """No value, of any shape and dtype, has a fraction, or is NaN."""
    return bool((np.rint(values) == values).all())


@lru_cache(maxsize=None)
def _range(dtype: np.dtype) -> tuple[float, float]:
    if dtype.kind == "f":
        return -np.inf, np.inf
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def _all_one(values: np.ndarray) -> bool:
    """All are -1 or 1: every bit pattern has the bits that are common to both, and none but the bits of either."""
    if values.dtype.kind != "f":
        return within(values, -1, 1) and bool((values != 0).all())
    if not values.size:
        return True
    unsigned = np.dtype(f"u{values.dtype.itemsize}")
    patterns: np.ndarray = values.view(unsigned)
    one, minus_one = np.array([1, -1], values.dtype).view(unsigned)
    common, either = one & minus_one, one | minus_one
    has_common = np.bitwise_and.reduce(patterns, axis=None) & common == common
    return bool(has_common and np.bitwise_or.reduce(patterns, axis=None) | either == either)


def refusal(values: np.ndarray, datatype: Datatype) -> AcceleratorError:
    """Names the first of these values (of any shape) that is not allowed, and where it is."""
    exact = values.astype(np.float64) if values.dtype.kind == "f" else values
    has = f"{datatype.low} to {datatype.high}"
    with np.errstate(invalid="ignore"):
        allowed = (exact >= datatype.low) & (exact < datatype.high + datatype.step)
        if datatype.kind != "float":
            allowed &= exact / datatype.step % 1 == 0
    if datatype.kind == "bipolar":
        allowed &= exact != 0
        has = "-1 and 1"
    elif datatype.kind == "fixed":
        has += f" in steps of {datatype.step}"
    first = np.unravel_index(int(np.argmin(allowed)), values.shape)
    return AcceleratorError(
        f"the value {values[first]} at {list(map(int, first))} is none of {datatype.name}, which has {has}",
        name="wrong range",
    )
