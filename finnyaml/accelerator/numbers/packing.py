"""Values to the bytes that FINN's DMA engines move, and back.

The innermost dimension becomes a bit string: value i at bits [i * bits, (i + 1) * bits), the lowest bit first, filled
up to whole bytes with zeros. So does `finn.util.data_packing` with `reverse_inner=True` and `reverse_endian=True`, as
FINN's drivers call it.
"""

from __future__ import annotations

from math import prod
from typing import Iterator

import numpy as np

from .bitstring import pack_codes, unpack_codes
from .codes import NotAllowed, decode, encode, refusal
from .datatypes import Datatype

_BLOCK = 1 << 18
"""Values at a time, so that what is computed on the way stays in the processor's cache."""


def pack(values: np.ndarray, datatype: Datatype) -> np.ndarray:
    """Values [..., n] of any numeric dtype to uint8 [..., ceil(n * bits / 8)].

    Where the values already are the bytes, the result shares their memory.
    Raises AcceleratorError: "wrong range": a value that the datatype does not have; nothing is cut off or rounded.
    """
    values = np.asarray(values)
    *outer, n = values.shape
    rows = values.reshape(prod(outer), n)
    packed: np.ndarray = np.empty((len(rows), _row_bytes(n, datatype)), np.uint8)
    already = values.dtype == datatype.numpy and _whole_bytes(datatype)
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # encode looks at what came of it
            if already and rows.size:
                packed = pack_codes(encode(rows, datatype), datatype.bits)
            else:
                for block in _blocks(len(rows), n):
                    packed[block] = pack_codes(encode(rows[block], datatype), datatype.bits)
    except NotAllowed:
        raise refusal(values, datatype) from None
    return packed.reshape(*outer, packed.shape[1])


def unpack(packed: np.ndarray, datatype: Datatype, n: int) -> np.ndarray:
    """uint8 [..., ceil(n * bits / 8)] to values [..., n] in the smallest dtype that holds all values of the datatype.

    Where the bytes already are the values, the result shares their memory.
    Raises AcceleratorError: "wrong output": bits that are not values of the datatype (only TERNARY has such).
    """
    *outer, width = packed.shape
    if width != _row_bytes(n, datatype):
        raise ValueError(f"{n} values of {datatype.name} are {_row_bytes(n, datatype)} bytes, not {width}")
    rows = np.ascontiguousarray(packed).reshape(prod(outer), width)
    if rows.size and _whole_bytes(datatype):
        return decode(unpack_codes(rows, datatype.bits, n), datatype).reshape(*outer, n)
    values: np.ndarray = np.empty((len(rows), n), datatype.numpy)
    for block in _blocks(len(rows), n):
        values[block] = decode(unpack_codes(rows[block], datatype.bits, n), datatype)
    return values.reshape(*outer, n)


def _row_bytes(n: int, datatype: Datatype) -> int:
    return (n * datatype.bits + 7) // 8


def _whole_bytes(datatype: Datatype) -> bool:
    """The bytes of a value in its dtype are those in the stream."""
    return datatype.kind != "fixed" and datatype.bits == 8 * datatype.numpy.itemsize


def _blocks(rows: int, n: int) -> Iterator[slice]:
    step = max(1, _BLOCK // max(1, n))
    return (slice(start, start + step) for start in range(0, rows, step))
