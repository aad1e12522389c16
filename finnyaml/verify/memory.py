"""How many samples are computed at once, so that a worker's memory is bounded whatever the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MOST = 256
"""Samples that are computed at once where they are small."""

BOUND = 16_000_000
"""Bytes that the values of all samples computed at once may take: about what caches hold, or it waits for memory."""

_SHARE = 16
"""Of the machine's memory, where a part of this is less than the bound: several workers run, each with libraries."""

_GROUPS = ("memory.max", "memory/memory.limit_in_bytes")
"""Where control groups (version 2 and 1) keep the limit of a container."""


def at_once(each: int) -> int:
    """How many samples to compute at once, at least one; `each`: bytes that are held while one of them is computed."""
    return max(1, min(MOST, min(BOUND, memory() // _SHARE) // max(each, 1)))


def memory(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory of this machine, or of the container this runs in."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits(groups)])


def _limits(groups: Path) -> Iterator[int]:
    for name in _GROUPS:
        try:
            text = (groups / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():  # "max" where there is none
            yield int(text)
