"""A stand-in for a stitched design and its simulator: processes that pass beats through FIFOs, in plain Python.

It has what FIFO sizing is about: bursts, layers that give nothing before they have taken much, branches that join. A
process is a generator that yields what it waits for: ("take", FIFO), ("give", FIFO) or ("wait", None), which is a
cycle; between two beats of a FIFO it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from finnyaml.rtl.depth_search import holds
from finnyaml.rtl.design import FORMAT, Design, Fifo, Node, Stream
from finnyaml.rtl.simulation import Run
from finnyaml.rtl.sizing import UNBOUNDED

BEATS = 32
"""Per frame, on every stream."""

Process = Iterator[tuple[str, str | None]]


def layer(source: str, sink: str, *, cycles: int = 1, window: int = 0) -> Callable[[], Process]:
    """Takes a beat in so many cycles; has to hold `window` beats before it gives the first."""

    def process() -> Process:
        while True:
            for beat in range(BEATS):
                yield "take", source
                for _ in range(cycles):
                    yield "wait", None
                if beat >= window:
                    yield "give", sink
            for _ in range(min(window, BEATS)):
                yield "give", sink
                yield "wait", None

    return process


def fork(source: str, *sinks: str) -> Callable[[], Process]:
    def process() -> Process:
        while True:
            yield "take", source
            for sink in sinks:
                yield "give", sink
            yield "wait", None

    return process


def join(first: str, second: str, sink: str) -> Callable[[], Process]:
    def process() -> Process:
        while True:
            yield "take", first
            yield "take", second
            yield "give", sink
            yield "wait", None

    return process


def hole(source: str) -> Callable[[], Process]:
    """Takes one frame, and nothing comes of it."""

    def process() -> Process:
        for _ in range(BEATS):
            yield "take", source
            yield "wait", None

    return process


@dataclass
class Toy:
    """FIFOs are (name, width, producer, consumer); the first takes what comes in, the last gives what goes out."""

    fifos: Sequence[tuple[str, int, str | None, str | None]]
    layers: Mapping[str, Callable[[], Process]]
    latency_cycles: int = 1
    max_cycles: int = 1
    asked: list[Mapping[str, int]] = field(default_factory=list)

    @property
    def design(self) -> Design:
        shape = (1, BEATS)

        def stream(name: str, producer: str | None, consumer: str | None) -> Stream:
            return Stream(name, name, "UINT8", shape, (1, BEATS, 1), 8, producer, consumer)

        return Design(
            format=FORMAT,
            top="finn_design",
            finn="toy",
            part="none",
            clock_ns=10.0,
            sources=(),
            data=(),
            input=stream("s_axis_0", None, self.fifos[0][0]),
            output=stream("m_axis_0", self.fifos[-1][0], None),
            edges=tuple(stream(f"{name}_out0", name, consumer) for name, _, _, consumer in self.fifos if consumer),
            nodes=tuple(Node(name, "Layer_rtl", 7, (), {}) for name in self.layers),
            fifos=tuple(Fifo(name, 2, width, "auto", *around) for name, width, *around in self.fifos),
            max_cycles=self.max_cycles,
            latency_cycles=self.latency_cycles,
            device={},
        )

    def run(
        self,
        inputs: np.ndarray,
        *,
        depths: Mapping[str, int],
        every: int = 0,
        patience: int | None = None,
        steady: bool = False,
    ) -> Run:
        """As `Simulator.run`; a deadlock is seen at once."""
        self.asked.append(depths)
        room = {
            fifo.node: UNBOUNDED if depths[fifo.node] == UNBOUNDED else holds(fifo, depths[fifo.node])
            for fifo in self.design.fifos
        }
        count, fill, now, frames = dict.fromkeys(room, 0), dict.fromkeys(room, 0), 0, len(inputs)
        first_in: list[int] = []
        last_out: list[int] = []
        states: list[tuple[int, ...]] = []  # what the FIFOs hold at the end of each frame, and where the input is
        levels: list[dict[str, set[int]]] = [{name: {0} for name in room}]  # that they had, frame by frame
        period = 0

        def source() -> Process:
            while steady or len(first_in) < frames:
                while first_in and now < first_in[-1] + every:
                    yield "wait", None
                for beat in range(BEATS):
                    yield "give", self.fifos[0][0]
                    if not beat:
                        first_in.append(now)
                    yield "wait", None

        def sink() -> Process:
            for _ in range(frames):
                for _ in range(BEATS):
                    yield "take", self.fifos[-1][0]
                    yield "wait", None
                last_out.append(now)

        running = [source(), *(make() for make in self.layers.values()), sink()]
        wants = [next(process, None) for process in running]
        while len(last_out) < frames and not period:
            before, moved = dict(count), False  # what a process does is seen by others in the next cycle
            for index, process in enumerate(running):
                while (want := wants[index]) is not None:
                    what, fifo = want
                    if fifo is not None:
                        if not (before[fifo] > 0 if what == "take" else before[fifo] < room[fifo]):
                            break
                        count[fifo] += -1 if what == "take" else 1
                        fill[fifo] = max(fill[fifo], count[fifo])
                    moved = True
                    wants[index] = next(process, None)
                    if fifo is None:
                        break
            now += 1
            for name, beats in count.items():
                levels[-1][name].add(beats)
            if steady and len(last_out) > len(states):
                states.append((*count.values(), len(first_in) - len(last_out), now - first_in[-1]))
                levels.append({name: {beats} for name, beats in count.items()})
                same = (p for p in range(1, len(states) - 1) if states[-2:] == states[-2 - p : -p])
                period = next(same, 0)
            if not moved:
                break
        taking = {want[1] for want in wants if want is not None and want[0] == "take"}
        return Run(
            outputs=np.zeros((len(last_out), BEATS), np.uint8),
            finished=len(last_out) == frames or period > 0,
            cycles=now,
            seconds=0.0,
            first_in=np.array(first_in),
            last_out=np.array(last_out),
            chunks=(frames,),
            period=period,
            swing=_swings(levels[-1 - (period or 1) : -1]) if states else {},
            fill=fill,
            stuck={f"{name}_out0": (count[name] > 0, name in taking) for name in count},
            edges={},
        )


def _swings(levels: Sequence[Mapping[str, set[int]]]) -> dict[str, int]:
    """By how many beats the fill of each FIFO changes, from all levels that it had, frame by frame."""
    held = {name: set().union(*(each[name] for each in levels)) for name in levels[0]}
    return {name: max(beats) - min(beats) for name, beats in held.items()}
