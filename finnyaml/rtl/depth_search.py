"""What FIFO depths cost, and the search for the smallest that do. Knows no simulator: it asks whether depths do."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from finnyaml.rtl.design import Fifo

MINIMUM = 2
"""The smallest depth that FINN's fifo.sv takes."""

Depths = Mapping[str, int]
"""By FIFO node, in beats."""


def holds(fifo: Fifo, depth: int) -> int:
    """How many beats fifo.sv (of finn-plus 1.6.1) really holds at a depth: at least 5, and memories are powers of two.

    sv/fifo_dynamic.sv has the same rules; the tests hold both against fifo.sv. (One more, for data of less than 5 bits,
    never applies: FINN pads to whole bytes.)
    """
    style = fifo.ram_style
    if style == "auto":
        style = "distributed" if depth <= 257 else "block" if depth <= 2028 else "ultra"
    if depth > 33 and style == "block":
        return _memory(depth - 1, 9) + 2  # and the registers of its read path
    if depth > 33 and style == "ultra":
        return _memory(depth - 17, 12) + 17  # and an output queue
    return max(depth, 5)


def _memory(wanted: int, smallest: int) -> int:
    """Beats of a power of two, or of two of them from 2**smallest on, that hold `wanted` beats."""
    low = (wanted - 1).bit_length()
    high = (wanted - (1 << (low - 1)) - 1).bit_length() if low > smallest else low
    return 1 << low if high >= low - 1 else (1 << (low - 1)) + (1 << max(high, 1))


def bits(fifos: Sequence[Fifo], depths: Depths) -> int:
    """Bits that these FIFOs hold together."""
    return sum(holds(fifo, depths[fifo.node]) * fifo.width for fifo in fifos)


def search(fifos: Sequence[Fifo], start: Depths, do: Callable[[Depths], bool]) -> list[Depths]:
    """Make FIFOs as shallow as they still do, one after the other, that with the most bits first.

    `start` is taken to do. Deeper FIFOs do where shallower ones do (where that is not so, the result is larger than
    it had to be, never wrong): so FIFOs that are minimal together take one question, and depths are found by bisection.

    Returns: all depths on the way, each smaller than the one before, from what is the same hardware as `start` to the
        result. Each one did.
    """
    trail: list[Depths] = [{fifo.node: _smallest(fifo, start[fifo.node]) for fifo in fifos}]
    known: dict[tuple[int, ...], bool] = {}

    def try_(changes: Depths) -> bool:
        depths = {**trail[-1], **changes}
        key = tuple(depths[fifo.node] for fifo in fifos)
        if key not in known:
            known[key] = do(depths)
            if known[key]:
                trail.append(depths)
        return known[key]

    def settle(group: Sequence[Fifo]) -> None:
        if not group or try_({fifo.node: MINIMUM for fifo in group}):
            return
        if len(group) == 1:
            (fifo,) = group
            between = range(MINIMUM, trail[-1][fifo.node] + 1)  # the first does not do, the last does
            different = [depth for depth in between if holds(fifo, depth) > holds(fifo, depth - 1)]
            bisect_left(different, True, key=lambda depth: try_({fifo.node: depth}))
            return
        half = len(group) // 2
        settle(group[:half])
        settle(group[half:])

    larger = [fifo for fifo in fifos if trail[0][fifo.node] > MINIMUM]
    settle(sorted(larger, key=lambda fifo: bits([fifo], start), reverse=True))
    return trail


def _smallest(fifo: Fifo, depth: int) -> int:
    """The smallest depth that is the same hardware."""
    while depth > MINIMUM and holds(fifo, depth - 1) == holds(fifo, depth):
        depth -= 1
    return depth
