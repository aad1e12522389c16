"""Stitched RTL of FINN's networks in Verilator: is it exact, how fast is it, what FIFOs does it need?

Every network goes from Brevitas to hardware by FINN's own steps, in a process of its own, and is simulated against
FINN's Python execution (the batched executor): with FIFOs of least depth, after sizing, with stalls, with extreme
images. At last one design, that of digits-rtl, in Verilator and in CXXRTL, in turn. Nothing is compared with Vivado.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import rivals
from benchmarks.bench import in_turn, table
from benchmarks.rtl_networks import CASES, CLOCK_NS, hardware

if TYPE_CHECKING:
    from finnyaml.rtl.simulation import Run, Simulator
    from finnyaml.rtl.sizing import Sizes

OURS = "digits-rtl"
"""The network that the bars of time are for."""
FIFO, CONVERTER = "StreamingFIFO_rtl", "StreamingDataWidthConverter_rtl"
STALLS = ((30, 30), (0, 70), (70, 0))
"""Per cent of cycles without a word at the input, without room at the output."""
EXTREMES = 8
ENOUGH = 2_000_000
"""Cycles that a measurement of speed takes, at least."""
ROUNDS = 3
INTERVAL_BAR, COMPILE_BAR, SPEED_BAR = 0.015, 30, 1e6

ANSWERS = ("network", "frames", "least FIFOs", "sized", *(f"stalls {i}/{o} %" for i, o in STALLS), "extremes")


@dataclass(frozen=True)
class Measured:
    """answers: what became of each simulation of `ANSWERS`. layers: how many of what. interval, latency: cycles, with
    FINN's estimates. compile: seconds to verilate and compile the sized design, all from nothing. speeds: simulated
    cycles per second with one process, and with two. seconds: FINN's steps."""

    name: str
    answers: list[str]
    layers: dict[str, int]
    interval: float
    latency: int
    expected: tuple[int, int]
    sizes: Sizes
    compile: float
    speeds: tuple[float, float]
    seconds: float


def run(folder: Path) -> None:
    """Print the tables."""
    found = []
    for name in CASES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # FINN reads its settings once per process
            found.append(pool.apply(measure, (name, folder / name.replace(" ", "-"))))
        print(f"{name}: done", file=sys.stderr, flush=True)
    table(ANSWERS, [[each.name, *each.answers] for each in found])
    print()
    _print_speed(found)
    _print_fifos(found)
    _print_simulation(found)
    rivals.compare(folder / OURS / "sized", folder / "rivals", ROUNDS)


def measure(name: str, folder: Path) -> Measured:
    """Make, size and simulate a network."""
    from finnyaml.bundle import stream_values
    from finnyaml.finn import fifos
    from finnyaml.rtl import performance, sizing, verilator

    warnings.filterwarnings("ignore")
    case = CASES[name]
    started = time.perf_counter()
    with _quietly():
        made = hardware(case, folder / "finn")
    seconds = time.perf_counter() - started
    model = made.model
    frames = stream_values.at_random(model, case.frames)
    _refuse_dull(name, frames.outputs)
    _stitch(model, made.part, folder / "least")
    cache = folder / "cache"
    least = verilator.compile(folder / "least", folder / "work", cache, verilator.Build(dynamic_fifos=True))
    answers = [str(case.frames), _answer(least, frames.inputs, frames.outputs)]

    sizes = sizing.size(least, frames.inputs, target=None, slack=0.0)
    with _quietly():
        model = fifos.with_depths(model, sizes.chosen.depths, made.part, CLOCK_NS)
    _stitch(model, made.part, folder / "sized")
    started = time.perf_counter()
    sized = verilator.compile(folder / "sized", folder / "work", folder / "empty")
    compiled = time.perf_counter() - started

    answers.append(_answer(sized, frames.inputs, frames.outputs))
    answers += [_answer(sized, frames.inputs, frames.outputs, stalls) for stalls in STALLS]
    inputs = _extremes(sized)
    expected = stream_values.inside(made.model, inputs, [])[model.graph.output[0].name]
    both = [_answer(sized, inputs, expected, stalls) for stalls in ((0, 0), STALLS[0])]
    answers.append(both[0] if both[0] == both[1] else f"{both[0]}; with stalls {both[1]}")

    single, speeds = _speeds(sized, frames.inputs)
    figures = performance.metrics(sized.design, single)
    return Measured(
        name=name,
        answers=answers,
        layers=dict(Counter(node.op_type for node in model.graph.node)),
        interval=figures["interval"],
        latency=figures["latency"],
        expected=(sized.design.max_cycles, sized.design.latency_cycles),
        sizes=sizes,
        compile=compiled,
        speeds=speeds,
        seconds=seconds,
    )


def _stitch(model: Any, part: str, folder: Path) -> None:
    import copy

    from finnyaml.finn.stitched import stitch

    with _quietly():
        stitch(copy.deepcopy(model), part, CLOCK_NS, folder)


def _answer(simulator: Simulator, inputs: np.ndarray, expected: np.ndarray, stalls: tuple[int, int] = (0, 0)) -> str:
    """What came of a simulation, in one or a few words."""
    from finnyaml.bundle.stream_values import mismatches
    from finnyaml.errors import StepFailed
    from finnyaml.rtl.simulation import Stalls

    try:
        run: Run = simulator.run(inputs, stalls=Stalls(*stalls), processes=2)
    except StepFailed as error:
        return f"REFUSED: {error.message}"
    if not run.finished:
        return f"stands still after {len(run.outputs)}"
    wrong = mismatches(run.outputs, expected)["frames"]
    return f"{wrong} WRONG" if wrong else "exact"


def _refuse_dull(name: str, outputs: np.ndarray) -> None:
    """Equal answers for all images would be exact for nothing."""
    different = len(np.unique(outputs.reshape(len(outputs), -1), axis=0))
    if different < 0.9 * len(outputs):
        raise SystemExit(f"{name}: only {different} of {len(outputs)} random images have answers of their own")


def _extremes(simulator: Simulator) -> np.ndarray:
    """Frames of the least value, of the greatest, and two checkerboards of both, in turn."""
    from finnyaml.accelerator.numbers.datatypes import parse

    stream = simulator.design.input
    low, high = parse(stream.datatype).integers[1:]
    shape = stream.shape[1:]
    board = np.indices(shape).sum(axis=0) % 2 == 0
    patterns = [np.full(shape, low), np.full(shape, high), np.where(board, low, high), np.where(board, high, low)]
    frames: np.ndarray = np.stack([patterns[index % len(patterns)] for index in range(EXTREMES)])
    return frames


def _speeds(simulator: Simulator, inputs: np.ndarray) -> tuple[Run, tuple[float, float]]:
    """A run in one process, and the cycles per second of the best of some rounds with one and with two processes."""
    once = len(inputs) * simulator.design.max_cycles
    inputs = inputs[np.arange(len(inputs) * ceil(ENOUGH / once)) % len(inputs)]
    runs: dict[int, Run] = {}

    def seconds(processes: int) -> float:
        runs[processes] = simulator.run(inputs, processes=processes)
        return runs[processes].seconds

    times = in_turn({processes: partial(seconds, processes) for processes in (1, 2)}, ROUNDS)
    best = {processes: min(each) for processes, each in times.items()}
    return runs[1], (runs[1].cycles / best[1], runs[2].cycles / best[2])


def _print_speed(found: list[Measured]) -> None:
    rows = []
    for each in found:
        cycles, latency = each.expected
        off = f"{100 * (each.interval / cycles - 1):+.2f} %"
        rows.append(
            [
                each.name,
                f"{cycles:,}",
                f"{each.interval:,.0f}",
                off,
                f"{latency:,}",
                f"{each.latency:,}",
                f"{latency / each.latency:.2f}x",
            ]
        )
    table(["cycles", "FINN's interval", "measured", "off by", "FINN's latency", "measured", "estimate"], rows)
    worst = max(abs(each.interval / each.expected[0] - 1) for each in found)
    verdict = "met" if worst <= INTERVAL_BAR else "NOT met"
    print(f"interval: at most {100 * worst:.2f} % off, bar {100 * INTERVAL_BAR:.1f} %: {verdict}\n")


def _print_fifos(found: list[Measured]) -> None:
    rows, met = [], True
    for each in found:
        sizes = each.sizes
        cells = [each.name, str(each.layers[FIFO])]
        for candidate in (sizes.gauge, sizes.chosen, sizes.minimal):
            cells += [f"{candidate.bits:,}", f"{candidate.interval:,.0f}" if candidate.interval else "deadlock"]
        rows.append([*cells, str(sizes.runs), f"{sizes.seconds:.1f} s"])
        met = met and sizes.chosen.bits <= sizes.gauge.bits
    table(["FIFOs", "", "gauge, bits", "interval", "searched", "interval", "least", "interval", "runs", "time"], rows)
    print(f"no more bits than the gauge method: {'met' if met else 'NOT met'}\n")


def _print_simulation(found: list[Measured]) -> None:
    rows = [
        [
            each.name,
            str(sum(each.layers.values()) - each.layers[FIFO] - each.layers.get(CONVERTER, 0)),
            str(each.layers.get(CONVERTER, 0)),
            f"{each.seconds:.0f} s",
            f"{each.compile:.1f} s",
            *(f"{speed / 1e6:.2f} M" for speed in each.speeds),
        ]
        for each in found
    ]
    table(["network", "layers", "converters", "FINN's steps", "verilate + compile", "cycles/s", "two processes"], rows)
    ours = next(each for each in found if each.name == OURS)
    for what, met in (
        (f"verilate + compile {ours.compile:.1f} s, bar {COMPILE_BAR} s", ours.compile <= COMPILE_BAR),
        (f"{ours.speeds[0] / 1e6:.2f} M cycles/s, bar {SPEED_BAR / 1e6:.0f} M", ours.speeds[0] >= SPEED_BAR),
    ):
        print(f"{OURS}: {what}: {'met' if met else 'NOT met'}")
    print()


@contextlib.contextmanager
def _quietly() -> Any:
    """FINN talks; what went wrong comes as an exception."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
