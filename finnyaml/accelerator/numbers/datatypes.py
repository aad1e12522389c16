"""FINN's datatypes, as far as a host needs them: how wide a value is, what it may be, what holds it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import AcceleratorError

_FLOAT_BITS = {"FLOAT16": 16, "FLOAT32": 32, "FLOAT64": 64}
_INTEGER = re.compile(r"(U?)INT(\d+)")
_FIXED = re.compile(r"FIXED<\s*(\d+)\s*,\s*(-?\d+)\s*>")


@dataclass(frozen=True)
class Datatype:
    """One of FINN's datatypes.

    `bits` is the width of a value in a packed stream, 1 to 64. `kind` is "integer", "bipolar", "ternary", "fixed" or
    "float". A fixed-point value is an integer of `bits` bits times 2 to the power of minus `fraction_bits`.
    """

    name: str
    bits: int
    signed: bool
    kind: str
    fraction_bits: int = 0

    @property
    def step(self) -> float:
        """The distance of two neighbouring values; 1 for all but fixed-point types."""
        return float(2.0**-self.fraction_bits)

    @property
    def low(self) -> float:
        """The smallest value; an int but for fixed-point and float types."""
        if self.kind == "float":
            return -self.high
        return self.integers[1] * self.step if self.kind == "fixed" else self.integers[1]

    @property
    def high(self) -> float:
        """The largest value; an int but for fixed-point and float types."""
        if self.kind == "float":
            return float(np.finfo(self.numpy).max)
        return self.integers[2] * self.step if self.kind == "fixed" else self.integers[2]

    @cached_property
    def numpy(self) -> np.dtype:
        """The smallest dtype that holds every value exactly."""
        if self.kind == "float":
            return np.dtype(f"f{self.bits // 8}")
        if self.kind == "fixed":
            return np.dtype(np.float32 if self.bits <= 24 else np.float64)
        return self.integers[0]

    @cached_property
    def integers(self) -> tuple[np.dtype, int, int]:
        """The smallest dtype for the integers that values are (times `step`), the smallest of them, the largest."""
        container = np.dtype(f"{'i' if self.signed else 'u'}{container_bytes(self.bits)}")
        if self.kind in ("bipolar", "ternary"):
            return container, -1, 1
        high = (1 << (self.bits - self.signed)) - 1
        return container, -high - 1 if self.signed else 0, high


def container_bytes(bits: int) -> int:
    """Bytes of the smallest numpy integer of at least `bits` bits: 1, 2, 4 or 8."""
    return next(size for size in (1, 2, 4, 8) if bits <= 8 * size)


def parse(name: str) -> Datatype:
    """The datatype of a name as FINN and QONNX write it: BIPOLAR, BINARY, TERNARY, INT4, UINT8, FIXED<8,4>, FLOAT32.

    Raises AcceleratorError: no such datatype, or one that is not packed into at most 64 bits.
    """
    if name == "BIPOLAR":
        return Datatype(name, 1, True, "bipolar")
    if name == "BINARY":
        return Datatype(name, 1, False, "integer")
    if name == "TERNARY":
        return Datatype(name, 2, True, "ternary")
    if name in _FLOAT_BITS:
        return Datatype(name, _FLOAT_BITS[name], True, "float")
    integer = _INTEGER.fullmatch(name)
    if integer and 1 <= int(integer.group(2)) <= 64:
        return Datatype(name, int(integer.group(2)), not integer.group(1), "integer")
    fixed = _FIXED.fullmatch(name)
    if fixed and 1 <= int(fixed.group(1)) <= 64 and int(fixed.group(2)) < int(fixed.group(1)):
        bits, whole = int(fixed.group(1)), int(fixed.group(2))
        return Datatype(name, bits, True, "fixed", bits - whole)
    raise AcceleratorError(f"'{name}' is not a datatype that this package can pack", name="unknown datatype")
