"""Where each weight is in a file that FINN writes: found out by writing numbered weights.

No layout is known here: whatever FINN does to a tensor on the way to its file, the bits of the numbers tell where they
went.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from finnyaml.accelerator.numbers.codes import decode
from finnyaml.accelerator.numbers.datatypes import Datatype, container_bytes


def words(content: bytes) -> np.ndarray:
    """The bits of a `.dat` file, uint8 [32 * words]: 32-bit words in hexadecimal, the lowest bit first."""
    numbers = np.array([int(word, 16) for word in content.split()], "<u4")
    return np.unpackbits(numbers.view(np.uint8), bitorder="little")


def stored(content: bytes) -> np.ndarray:
    """The bits of an `.npy` file of bytes, uint8 [8 * bytes]: the lowest bit first."""
    array: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return np.unpackbits(array.reshape(-1), bitorder="little")


def probed(encode: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], datatype: Datatype) -> np.ndarray | None:
    """Where the lowest bit of each weight is among the bits that `encode` makes: int64 of the shape; None: nowhere.

    Of a weight that is there several times, the first place. `encode` is given tensors whose weights are the datatype's
    values for the codes 0 and 1: first all alike, then by the bits of the number of each weight.
    """
    size = int(np.prod(shape))
    codes: np.ndarray = np.arange(2, dtype=f"u{container_bytes(datatype.bits)}")
    low, high = (float(value) for value in decode(codes, datatype))
    numbers: np.ndarray = np.arange(size, dtype=np.int64)

    def bits(ones: np.ndarray) -> np.ndarray:
        return encode(np.where(ones, high, low).astype(np.float32).reshape(shape))

    zeros = bits(numbers < 0)
    places = np.flatnonzero(zeros ^ bits(numbers >= 0))
    found: np.ndarray = np.zeros(len(places), np.int64)
    for bit in range((size - 1).bit_length()):
        found |= (zeros ^ bits(numbers >> bit & 1 == 1))[places].astype(np.int64) << bit
    positions: np.ndarray = np.full(size, -1, np.int64)
    fits = found < size
    positions[found[fits][::-1]] = places[fits][::-1]
    return None if (positions < 0).any() else positions.reshape(shape)


@contextmanager
def quickly() -> Iterator[None]:
    """While this lasts, FINN packs weights of the codes 0 and 1 by numpy instead of number by number: 50 times faster.

    Only for probing: files for the board are written by FINN alone, and what was found must explain them.
    """
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("finn.custom_op.fpgadataflow.") and hasattr(module, "pack_innermost_dim_as_hex_string"):
                stack.enter_context(mock.patch.object(module, "pack_innermost_dim_as_hex_string", _packed))
                if hasattr(module, "textwrap"):
                    wrapped = SimpleNamespace(wrap=lambda text, n: [text[i : i + n] for i in range(0, len(text), n)])
                    stack.enter_context(mock.patch.object(module, "textwrap", wrapped))
        yield


def _packed(values: Any, datatype: Any, bits: int, reverse_inner: bool = False, prefix: str = "0x") -> np.ndarray:
    """As FINN's `pack_innermost_dim_as_hex_string`, for values of the codes 0 and 1: not positive, positive."""
    ones = np.asarray(values) > 0
    ones = ones[..., ::-1] if reverse_inner else ones
    count, width = ones.shape[-1], datatype.bitwidth()
    lines: np.ndarray = np.zeros((int(np.prod(ones.shape[:-1])), -(-bits // 8) * 8), bool)
    lines[:, lines.shape[1] - count * width + width - 1 :: width] = ones.reshape(len(lines), count)
    digits = bits // 4
    text = [prefix + line.tobytes().hex()[-digits:] for line in np.packbits(lines, axis=1)]
    packed: np.ndarray = np.array(text).reshape(ones.shape[:-1])
    return packed
