"""The smallest FIFO depths with which a design keeps its throughput, found by simulating it.

The gauge method (FIFOs without bounds, frames at the wanted rate, the high-water marks are the depths) gives every
FIFO room for whatever its producer can run ahead, wanted or not. Here that is only the start of a search: what is too
shallow shows as a longer interval between frames or, where branches join, as a deadlock.

All of it counts cycles of the design with sv/fifo_dynamic.sv in place of fifo.sv, which takes the same cycles.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from math import ceil, inf
from typing import TYPE_CHECKING, Any

import numpy as np

from finnyaml.errors import StepFailed, VerificationFailed
from finnyaml.rtl.depth_search import MINIMUM, Depths, Seen, bits, holds, search
from finnyaml.rtl.design import Design
from finnyaml.text import duration

if TYPE_CHECKING:
    from finnyaml.rtl.simulation import Run, Simulator

UNBOUNDED = 1 << 30
"""As a depth: no bounds. Only sv/fifo_dynamic.sv has it."""

_MOST_EXTRA = 256
"""Beats beyond the high-water marks. With far more, no simulation is long enough to see them full."""


@dataclass(frozen=True)
class Candidate:
    """Depths by FIFO node, the bits that FIFOs of them hold, and the cycles between frames (None: a deadlock)."""

    depths: Depths
    bits: int
    interval: float | None


@dataclass(frozen=True)
class Sizes:
    """What was found. `chosen` are the depths to build.

    target: cycles between frames that `chosen` keeps, but for `slack` (a fraction of it). reachable: cycles between
    frames with FIFOs without bounds. gauge: the depths of the gauge method; minimal: all as shallow as FINN has them.
    frames: how many the final depths were simulated with; runs, cycles, seconds: what the search took.
    """

    target: int
    slack: float
    reachable: float
    chosen: Candidate
    gauge: Candidate
    minimal: Candidate
    frames: int
    runs: int
    cycles: int
    seconds: float

    def report(self, design: Design) -> dict[str, Any]:
        """All but the time it took as plain data, with a row per FIFO. Bits count what fifo.sv really holds."""
        rows = [
            {
                "node": fifo.node,
                "producer": fifo.producer,
                "consumer": fifo.consumer,
                "width": fifo.width,
                "depth": self.chosen.depths[fifo.node],
                "holds": holds(fifo, self.chosen.depths[fifo.node]),
                "gauge": self.gauge.depths[fifo.node],
            }
            for fifo in design.fifos
        ]
        plain = asdict(self)
        del plain["seconds"]  # equal searches, equal reports
        for name in ("chosen", "gauge", "minimal"):
            del plain[name]["depths"]
        return {**plain.pop("chosen"), **plain, "max_cycles": design.max_cycles, "fifos": rows}


def size(
    simulator: Simulator,
    inputs: np.ndarray,
    *,
    target: int | None,
    slack: float,
    tell: Callable[[str], None] = lambda _: None,
) -> Sizes:
    """Search the smallest depths that keep a throughput.

    The result never holds more bits than the gauge method's depths, where these reach the target: they are the start.
    Every step of the search was simulated, until everything repeats, or with just enough frames to fill the pipeline
    and see an interval. At its end the depths are simulated for longer; where that shows what the short simulations did
    not, the search goes back to the last depths that last, and on with long simulations.

    simulator: of the design, built with dynamic FIFOs. inputs: [frames, ...] as `Simulator.run` takes them, repeated as
    needed: what FINN's RTL computes does not change how long it takes. target: cycles between frames; None for the
    fewest that the network reaches. slack: by which fraction of the target it may take longer. tell: is given how far
    the search is, now and then.
    Raises StepFailed: the design stands still even with FIFOs without bounds, cannot be as fast as the target, or
    breaks a rule once a FIFO is full.
    """
    design = simulator.design
    if not design.fifos:
        raise StepFailed("the design has no FIFOs to size", hint="FINN's step_set_fifo_depths inserts them")
    bench = _Bench(simulator, inputs, tell)
    reachable = bench.reachable()
    target = ceil(reachable) if target is None else target
    limit = target * (1 + slack)
    if reachable > limit:
        slowest = max(design.nodes, key=lambda node: node.cycles)
        raise StepFailed(
            f"no FIFO depths give one frame every {target} cycles: with FIFOs without bounds it takes {reachable:.10g}",
            hint=f"{slowest.name} takes {slowest.cycles} cycles by itself: fold it less, or ask for no less than "
            f"{ceil(reachable)} cycles",
        )

    def lasts(depths: Depths) -> bool:
        return bench.long([depths])[0].interval <= limit

    gauged = bench.high_water_marks(target)
    bench.hurry(limit)
    least: Depths = {fifo.node: MINIMUM for fifo in design.fifos}
    gauge, minimal = bench.short([gauged, least])
    start = _enough(gauged, lambda depths: bench.short([depths])[0].interval <= limit)
    trail = search(design.fifos, start, limit, bench.short, bench.tell)
    lasting = next((depths for depths in reversed(trail) if lasts(depths)), None) or _enough(trail[0], lasts)
    if lasting is not trail[-1]:
        trail = search(design.fifos, lasting, limit, bench.long, bench.tell)
    return Sizes(
        target=target,
        slack=slack,
        reachable=reachable,
        chosen=bench.candidate(trail[-1], *bench.long([trail[-1]])),
        gauge=bench.candidate(gauged, gauge),
        minimal=bench.candidate(least, minimal),
        frames=bench.frames(_LONG),
        runs=bench.runs,
        cycles=bench.cycles,
        seconds=time.perf_counter() - bench.started,
    )


_FILLS, _WINDOW = 2, 2
"""A simulation has so many times the frames that are in flight (residual networks need two until they are steady), then
some frames for bounded FIFOs to fill up and push back, then so many that the interval is the mean of. Short ones end
as soon as everything repeats, which most do in half of the time."""
_SHORT, _LONG = 1, 2
"""How many those are between, in short and in long simulations."""
_AT_ONCE = 2
"""Simulations. The same on every machine: which depths are tried depends on it."""


class _Bench:
    """Simulates depths, each only once, and keeps count."""

    def __init__(self, simulator: Simulator, inputs: np.ndarray, progress: Callable[[str], None]) -> None:
        self.simulator = simulator
        self.inputs = inputs
        self.progress = progress
        self.runs = self.cycles = 0
        self.started = time.perf_counter()
        self._latency = 0  # of the first frame
        self._in_flight = 1
        self._patience: int | None = None
        self._known: dict[tuple[tuple[int, ...], int], Seen] = {}

    def frames(self, length: int) -> int:
        """How many frames a simulation has, `_SHORT` or `_LONG`; the short ones may end before."""
        return _FILLS * self._in_flight + length + _WINDOW

    def reachable(self) -> float:
        """Cycles between frames with FIFOs without bounds. Raises StepFailed: the design stands still."""
        while True:
            assumed = self._in_flight
            run = self._run(self._unbounded(), _SHORT)
            self._count(run)
            if not run.finished:
                raise _standstill(self.simulator.design, run, self.frames(_SHORT))
            interval = _interval(run)
            self._latency = int(run.last_out[0] - run.first_in[0]) + 1
            self._in_flight = ceil(self._latency / interval)
            if self._in_flight <= assumed:
                return interval

    def high_water_marks(self, every: int) -> Depths:
        """The gauge method's depths: the fill of FIFOs without bounds while a frame enters every so many cycles."""
        run = self._run(self._unbounded(), _LONG, every=every, steady=True)
        self._count(run)
        return {name: max(MINIMUM, run.fill[name]) for name in self._unbounded()}

    def hurry(self, limit: float) -> None:
        """From now on give up where nothing moves for longer than in a design that gives a frame in `limit` cycles."""
        self._patience = 2 * (self._latency + ceil(limit))

    def short(self, candidates: Sequence[Depths]) -> list[Seen]:
        """What depths do, simulated until everything repeats."""
        return self._seen(candidates, _SHORT)

    def long(self, candidates: Sequence[Depths]) -> list[Seen]:
        """What depths do, simulated to the end."""
        return self._seen(candidates, _LONG)

    def _seen(self, candidates: Sequence[Depths], length: int) -> list[Seen]:
        """What each of some depths does.

        Raises StepFailed: a check in FINN's sources failed.
        """
        keys = [self._key(depths, length) for depths in candidates]
        new = {key: depths for key, depths in zip(keys, candidates, strict=True) if key not in self._known}
        try:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                runs = list(pool.map(lambda depths: self._run(depths, length, steady=length == _SHORT), new.values()))
        except StepFailed as error:
            raise VerificationFailed(
                f"the design works as long as no layer has to wait for another, and with FIFOs that get full "
                f"it does not: {error.message}",
                hint="deeper FIFOs would only hide that until more frames come; change the folding of that layer "
                "(`finnyaml lint` knows some that lose data: output-queue-too-short)",
            ) from error
        for key, run in zip(new, runs, strict=True):
            self._count(run)
            self._known[key] = Seen(_interval(run) if run.finished else inf, run.swing)
        return [self._known[key] for key in keys]

    def _key(self, depths: Depths, length: int) -> tuple[tuple[int, ...], int]:
        return tuple(holds(fifo, depths[fifo.node]) for fifo in self.simulator.design.fifos), length

    def candidate(self, depths: Depths, seen: Seen) -> Candidate:
        interval = None if seen.interval == inf else seen.interval
        return Candidate(depths, bits(self.simulator.design.fifos, depths), interval)

    def tell(self, done: int, fifos: int) -> None:
        """Say how far the search is; the first FIFOs are the largest, so what is left is rather less."""
        seconds = time.perf_counter() - self.started
        left = f", at most about {duration(seconds / done * (fifos - done))} left" if done else ""
        self.progress(f"FIFO {done + 1} of {fifos} that may be shallower, {self.runs} simulations until now{left}")

    def _unbounded(self) -> Depths:
        return {fifo.node: UNBOUNDED for fifo in self.simulator.design.fifos}

    def _run(self, depths: Depths, length: int, **how: Any) -> Run:
        some = self.inputs[np.arange(self.frames(length)) % len(self.inputs)]
        return self.simulator.run(some, depths=depths, patience=self._patience, **how)

    def _count(self, run: Run) -> None:
        self.runs += 1
        self.cycles += run.cycles


def _interval(run: Run) -> float:
    frames = run.period or _WINDOW
    return float(run.last_out[-1] - run.last_out[-1 - frames]) / frames


def _enough(depths: Depths, do: Callable[[Depths], bool]) -> Depths:
    """These depths, or all of them deeper by the smallest power of two that does.

    High-water marks can be too low by one: a full fifo.sv takes nothing in the cycle in which it gives something.
    """
    enough, more = depths, 1
    while not do(enough):
        if more > _MOST_EXTRA:
            raise StepFailed(
                "the design keeps the target with FIFOs without bounds, but not with FIFOs of the depths that were "
                f"used then, nor with {_MOST_EXTRA} beats more in each",
                hint="allow more slack, or more cycles",
            )
        enough, more = {name: depth + more for name, depth in depths.items()}, 2 * more
    return enough


def _standstill(design: Design, run: Run, frames: int) -> StepFailed:
    """The error for a design that stands still although no FIFO is ever full: the streams at which it does."""
    before = {fifo.node: fifo.producer or "the input" for fifo in design.fifos}
    held = [edge for edge in design.edges if run.stuck.get(edge.name) == (True, False)]
    starved = [edge for edge in design.edges if run.stuck.get(edge.name) == (False, True)]
    places = [
        f"{edge.consumer} does not take what {before[edge.producer]} has for it in {edge.producer}"
        if edge.producer in before
        else f"{edge.consumer} does not take what {edge.producer} has for it"
        for edge in held
    ]
    consumers = {edge.consumer for edge in held}
    places += [
        f"{edge.consumer} waits for {before.get(edge.producer or '', edge.producer)}"
        for edge in starved
        if edge.consumer in consumers
    ]
    return StepFailed(
        f"the design stands still after {len(run.outputs)} of {frames} frames, although no FIFO is full: "
        + ("; ".join(places) or "no stream inside it has anything to pass on"),
        hint="no FIFO depth helps against that: simulate the first node named here by itself",
    )
