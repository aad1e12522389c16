"""What FIFO depths cost, and the search for the smallest that do. Knows no simulator: it asks whether depths do."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

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


@dataclass(frozen=True)
class Seen:
    """What a simulation of depths showed. interval: cycles between frames, infinite for a deadlock. swing: by how many
    beats the fill of each FIFO changed at last; empty where that was not seen."""

    interval: float
    swing: Mapping[str, int]


Simulate = Callable[[Sequence[Depths]], Sequence[Seen]]
"""What some depths do, each for itself; two take little longer than one."""


def search(
    fifos: Sequence[Fifo], start: Depths, limit: float, simulate: Simulate, tell: Callable[[int, int], None]
) -> list[Depths]:
    """Make FIFOs as shallow as they can be with at most `limit` cycles between frames.

    First all at once: a FIFO whose fill changes by few beats needs no more than these, whether it is nearly full,
    nearly empty or still filling up. Then one after the other, that with the most bits first. Deeper FIFOs are taken to
    do where shallower ones do (where that is not so, the result is larger than it had to be, never wrong).

    start: depths that are taken to do. tell: is given how many FIFOs are done, of how many.
    Returns: all depths on the way, each smaller than the one before, from what is the same hardware as `start` to the
        result. Each one did.
    """
    trail: list[Depths] = [{fifo.node: _least(fifo, holds(fifo, start[fifo.node])) for fifo in fifos}]

    def shrink(seen: Seen) -> None:
        """Give each FIFO of the last depths, which were simulated, what it uses of them, as long as that does."""
        while seen.swing:
            used = {fifo.node: min(trail[-1][fifo.node], _least(fifo, seen.swing[fifo.node])) for fifo in fifos}
            if used == trail[-1]:
                return
            (seen,) = simulate([used])
            if seen.interval > limit:
                return
            trail.append(used)

    def settle(fifo: Fifo) -> None:
        """Find the least depth of one FIFO, two questions at a time."""
        steps = sorted({_least(fifo, holds(fifo, depth)) for depth in range(MINIMUM, trail[-1][fifo.node] + 1)})
        low, high = -1, len(steps) - 1  # steps[low] does not do, steps[high] does
        late: list[tuple[int, float]] = []  # of those that do not, what they hold and the interval, from the shallowest
        found: Seen | None = None
        while high - low > 1:
            probes = _probes([holds(fifo, depth) for depth in steps], low, high, late, limit)
            answers = simulate([{**trail[-1], fifo.node: steps[probe]} for probe in probes])
            for probe, seen in zip(probes, answers, strict=True):
                if seen.interval <= limit:
                    high, found = probe, seen
                    break
                low = probe
                late.append((holds(fifo, steps[probe]), seen.interval))
        if found is not None:
            trail.append({**trail[-1], fifo.node: steps[high]})
            shrink(found)

    shrink(simulate(trail)[0])
    larger = [fifo for fifo in fifos if trail[-1][fifo.node] > MINIMUM]
    for done, fifo in enumerate(sorted(larger, key=lambda fifo: bits([fifo], trail[-1]), reverse=True)):
        tell(done, len(larger))
        settle(fifo)
    return trail


def _probes(held: Sequence[int], low: int, high: int, late: Sequence[tuple[int, float]], limit: float) -> list[int]:
    """Which of the depths between two to try next, one or two, the shallower first.

    Most FIFOs need nearly all that they use, some nothing of it. Where one is too shallow, each beat that is missing
    costs the same number of cycles, as far as nothing else is slower: two that fail tell where it ends.
    """
    if low < 0:
        last = len(held) - 1
        probes = [high - high // 4, high - high // 8] if high == last else [0, high // 2]
    elif len(late) > 1 and limit < late[-1][1] < late[-2][1] < inf:
        (fewer, slower), (more, faster) = late[-2:]
        need = more + (faster - limit) * (more - fewer) / (slower - faster)
        guess = max(bisect_left(held, need), low + 1)
        if guess >= high:
            return [high - 1]
        probes = [(guess + high) // 2 if 2 * guess < low + high else guess - max(1, (guess - low) // 4), guess]
    else:
        probes = [low + (high - low) // 3, high - (high - low) // 3]
    return sorted({min(max(probe, low + 1), high - 1) for probe in probes})


def _least(fifo: Fifo, beats: int) -> int:
    """The least depth that holds so many beats."""
    return MINIMUM + bisect_left(range(MINIMUM, max(beats, MINIMUM)), beats, key=lambda depth: holds(fifo, depth))
