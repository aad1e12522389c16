"""The weight files that a driver gives to the accelerator before its first inference.

A layer with runtime-writeable weights has a `.dat` file: 32-bit words in hexadecimal, written over AXI-lite. One with
external weights has a `.npy` file: bytes, which a DMA engine of its own streams from memory. Without them the
accelerator computes, but not the network.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..contract import Bundle
from ..errors import damaged

_WORD = re.compile("(0x)?[0-9a-fA-F]{1,8}")


def runtime_weights(bundle: Bundle) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Each entry of `driver.runtime_weights` with the words of its file, uint32 [words].

    Raises AcceleratorError: "weights not loaded": a file is missing; "weights damaged": it is not what FINN writes, or
    not as long as it was.
    """
    return [(entry, _read_words(bundle, entry["file"])) for entry in bundle.data["driver"]["runtime_weights"]]


def external_weights(bundle: Bundle) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Each entry of `driver.external_weights` with the array of its file, uint8 in the shape that FINN gave it.

    Raises AcceleratorError: as `runtime_weights`.
    """
    return [(entry, _read_bytes(bundle, entry["file"])) for entry in bundle.data["driver"]["external_weights"]]


def _read_words(bundle: Bundle, relative: str) -> np.ndarray:
    """The words of a `.dat` file, uint32 [words], as the driver writes them over AXI-lite."""
    path = _present(bundle, relative)
    words = path.read_text(encoding="ascii", errors="replace").split()
    for number, word in enumerate(words, 1):
        if not _WORD.fullmatch(word):
            message = f"{path.name}: word {number} is '{word[:20]}', not 32 bits in hexadecimal"
            raise damaged(message, "weights damaged")
    _check_size(bundle, relative, path)
    values: np.ndarray = np.array([int(word, 16) for word in words], np.uint32)
    return values


def _read_bytes(bundle: Bundle, relative: str) -> np.ndarray:
    """The array of a `.npy` file, uint8."""
    path = _present(bundle, relative)
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except Exception as error:  # of a damaged file NumPy says it with a dozen types
        raise damaged(f"{relative}: {error}", "weights damaged") from error
    if array.dtype != np.uint8:
        raise damaged(f"{relative} holds {array.dtype}, not uint8", "weights damaged")
    _check_size(bundle, relative, path)
    return array


def _present(bundle: Bundle, relative: str) -> Path:
    path = bundle.path(relative)
    if not path.is_file():
        message = f"there is no {relative}, so its layer would compute with whatever is in its memory"
        raise damaged(message, "weights not loaded")
    return path


def _check_size(bundle: Bundle, relative: str, path: Path) -> None:
    """New values are welcome (that is what runtime-writeable is for), another number of them is not."""
    recorded = bundle.data["files"].get(relative)
    size = path.stat().st_size
    if recorded is not None and size != recorded["bytes"]:
        raise damaged(f"{relative} has {size} bytes, {recorded['bytes']} when the bundle was made", "weights damaged")
