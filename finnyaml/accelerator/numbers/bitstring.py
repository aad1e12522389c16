"""Codes of some bits each to a bit string of bytes, and back: the inner work of `packing.py`.

Code i of a row lies at bits [i * width, (i + 1) * width) of the row's bytes, the lowest bit first. Neighbours are
pushed together within words of 64 bits: eight codes of a byte, four of two, two of four at a time. Eight codes are
`width` bytes, so all is done on groups of eight: a handful of numpy operations on whole arrays, whatever the width.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np


def pack_codes(codes: np.ndarray, width: int) -> np.ndarray:
    """uint8 [rows, ceil(n * width / 8)] of codes [rows, n] in the smallest unsigned dtype of `width` bits.

    Bits of a code above `width` do not count. `codes` must be contiguous and not empty.
    """
    rows, n = codes.shape
    size = codes.dtype.itemsize
    row_bytes = (n * width + 7) // 8
    if width == 8 * size:
        return _bytes(codes).reshape(rows, row_bytes)
    if n * width % 8 and n * size <= 8:  # a row is a word
        words = _every(_bytes(codes.reshape(-1)), n * size, rows, _power_of_two(n * size))
        words = words & words.dtype.type((1 << 8 * size * n) - 1)
        return _low_bytes(_push(words, width, size), row_bytes)
    whole = _whole(n, width)
    packed = _pack_groups(_padded(_columns(codes, whole).reshape(-1), 8), width)
    return _columns(packed[: rows * whole * width // 8].reshape(rows, -1), row_bytes)


def unpack_codes(packed: np.ndarray, width: int, n: int) -> np.ndarray:
    """codes [rows, n] of uint8 [rows, ceil(n * width / 8)]; bits after the last code do not count.

    `packed` must be contiguous and not empty.
    """
    rows, row_bytes = packed.shape
    size = _power_of_two((width + 7) // 8)
    if width == 8 * size:
        return packed.view(f"<u{size}")
    if n * width % 8 and n * size <= 8:
        words = _every(packed.reshape(-1), row_bytes, rows, _power_of_two(row_bytes))
        words = words.astype(f"<u{_power_of_two(n * size)}")
        return _columns(_spread(words, width, size).reshape(rows, -1), n)
    whole = _whole(n, width)
    flat = _padded(_columns(packed, whole * width // 8).reshape(-1), width)
    codes = _unpack_groups(flat, width, size)
    return _columns(codes[: rows * whole].reshape(rows, whole), n)


def _pack_groups(codes: np.ndarray, width: int) -> np.ndarray:
    """A multiple of eight codes to bytes."""
    size = codes.dtype.itemsize
    if width == 1:
        return np.packbits(codes, bitorder="little")
    if width in (2, 4):  # the codes of one byte are a word
        words = _push(codes.view(f"<u{8 // width}"), width, size)
        return words.astype(np.uint8)
    if width % 8 == 0:
        return _low_bytes(codes, width // 8).reshape(-1)
    words = _push(_bytes(codes).view("<u8"), width, size)
    if width % size == 0:
        return _low_bytes(words, width // size).reshape(-1)
    words = words.reshape(-1, size)
    packed: np.ndarray = np.zeros((len(words), (width + 7) // 8), "<u8")
    for index, (place, shift, spills) in enumerate(_places(width, size)):
        packed[:, place] |= words[:, index] << np.uint64(shift)
        if spills:
            packed[:, place + 1] |= words[:, index] >> np.uint64(64 - shift)
    return _columns(_bytes(packed), width).reshape(-1)


def _unpack_groups(packed: np.ndarray, width: int, size: int) -> np.ndarray:
    """A multiple of `width` bytes to codes of `size` bytes."""
    if width == 1:
        return np.unpackbits(packed, bitorder="little")
    if width in (2, 4):
        return _spread(packed.astype(f"<u{8 // width}"), width, size)
    if width % 8 == 0:
        return _columns(packed.reshape(-1, width // 8), size).view(f"<u{size}").reshape(-1)
    if width % size == 0:
        stride = width // size
        return _spread(_every(packed, stride, len(packed) // stride, 8), width, size)
    groups: np.ndarray = _columns(packed.reshape(-1, width), 8 * ((width + 7) // 8)).view("<u8")
    words: np.ndarray = np.empty((len(groups), size), "<u8")
    for index, (place, shift, spills) in enumerate(_places(width, size)):
        np.right_shift(groups[:, place], np.uint64(shift), out=words[:, index])
        if spills:
            words[:, index] |= groups[:, place + 1] << np.uint64(64 - shift)
    return _spread(words.reshape(-1), width, size)


def _places(width: int, size: int) -> list[tuple[int, int, bool]]:
    """Where the words of eight codes lie in their bit string: in which 64 bits, how far up, and whether beyond their
    end.
    """
    bits = 8 // size * width
    return [(start // 64, start % 64, start % 64 + bits > 64) for start in range(0, size * bits, bits)]


def _push(words: np.ndarray, width: int, size: int) -> np.ndarray:
    """Words with a code in each lane of `size` bytes to words with all codes at the lower end."""
    steps = _steps(width, size, words.dtype.itemsize)
    for distance, lower, _, pushed in steps:
        uppers = words >> distance
        uppers &= pushed
        words = words & lower
        words |= uppers
    return words if steps else words & words.dtype.type((1 << width) - 1)


def _spread(words: np.ndarray, width: int, size: int) -> np.ndarray:
    """The codes of `_push`, each back in its lane of `size` bytes."""
    steps = _steps(width, size, words.dtype.itemsize)
    if not steps:
        words = words & words.dtype.type((1 << width) - 1)
    for distance, lower, upper, _ in reversed(steps):
        uppers = words << distance
        uppers &= upper
        words = words & lower
        words |= uppers
    return _bytes(words).view(f"<u{size}")


@lru_cache(maxsize=None)
def _steps(width: int, size: int, word: int) -> list[list[Any]]:
    """For lanes of `size` bytes, then twice that, up to half a word: how far the upper of two neighbours is from the
    lower one; where the bits are of the lower ones, of the upper ones, and of the upper ones once pushed down.
    """
    steps = []
    for factor in (1, 2, 4):
        lane, used = 8 * size * factor, width * factor
        if lane < 8 * word:
            lower = sum(((1 << used) - 1) << start for start in range(0, 8 * word, 2 * lane))
            steps.append([lane - used, lower, lower << lane, lower << used])
    return [[np.dtype(f"u{word}").type(number) for number in step] for step in steps]


def _every(data: np.ndarray, stride: int, count: int, size: int) -> np.ndarray:
    """So many words of `size` bytes, one every `stride` bytes; where they overlap, only their lower bytes are
    theirs.
    """
    data = _extended(data, max(0, (count - 1) * stride + size - len(data)))
    return np.ndarray(count, f"<u{size}", data, strides=(stride,))


def _whole(n: int, width: int) -> int:
    """So many codes per row, at least n, fill whole bytes; then rows follow each other without gaps."""
    step = 8 // gcd(8, width)
    return (n + step - 1) // step * step


def _power_of_two(count: int) -> int:
    """The smallest that is not below."""
    return 1 << max(0, count - 1).bit_length()


def _bytes(codes: np.ndarray) -> np.ndarray:
    """The bytes of contiguous codes, the lowest first."""
    return codes.astype(codes.dtype.newbyteorder("<"), copy=False).view(np.uint8)


def _low_bytes(words: np.ndarray, count: int) -> np.ndarray:
    """uint8 [words, count]: the lowest bytes of words."""
    if count in (1, 2, 4, 8):
        return _bytes(words.astype(f"<u{count}")).reshape(len(words), count)
    unit = count & -count  # two bytes at a time, where that is possible
    columns: np.ndarray = _bytes(words).view(f"<u{unit}").reshape(len(words), -1)
    columns = _columns(columns, count // unit)
    return columns.view(np.uint8)


def _columns(array: np.ndarray, count: int) -> np.ndarray:
    """The same rows with so many columns: cut, or with zeros behind. Contiguous."""
    rows, present = array.shape
    if present == count:
        return array
    result: np.ndarray = (np.zeros if count > present else np.empty)((rows, count), array.dtype)
    shared = min(count, present)
    if shared > 16:
        result[:, :shared] = array[:, :shared]
    else:  # numpy copies few long columns faster than many short rows
        for column in range(shared):
            result[:, column] = array[:, column]
    return result


def _padded(flat: np.ndarray, multiple: int) -> np.ndarray:
    """With zeros behind, to a multiple of so many."""
    return _extended(flat, -len(flat) % multiple)


def _extended(flat: np.ndarray, more: int) -> np.ndarray:
    return np.concatenate([flat, np.zeros(more, flat.dtype)]) if more else flat
