"""One design in several simulators, in turn: Verilator, CXXRTL (Yosys), Icarus Verilog. Outputs have to agree."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.bench import in_turn, table
from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.accelerator.numbers.packing import pack, unpack
from finnyaml.bundle import golden
from finnyaml.rtl import overlay, testbench, verilator
from finnyaml.rtl.design import Design
from finnyaml.rtl.synthesis import patches, yosys

FRAMES = 200
MAIN = Path(__file__).with_name("cxxrtl.cpp")
RUNTIME = "include/backends/cxxrtl/runtime"
TO_CPP = """\
read_slang --threads 1 --allow-use-before-declare --ignore-assertions -D VERILATOR --top {top} -f files.f
setattr -mod -unset top *
chformal -remove
hierarchy -top {top}
proc
flatten
simplemap t:$buf
write_cxxrtl -g0 -O6 design.cc
"""
"""VERILATOR is the macro that selects FINN's behavioural DSPs."""


@dataclass(frozen=True)
class Rival:
    """A compiled design. prepared: seconds from sources to program. run: seconds of a simulation, its cycles, and what
    came out, values [beats, values of a beat]."""

    prepared: float
    run: Callable[[], tuple[float, int, np.ndarray]]


def compare(folder: Path, work: Path, rounds: int) -> None:
    """Simulate the design in `folder` with all simulators that can, and print their times."""
    work.mkdir(parents=True)
    design = Design.load(folder)
    inputs = golden.at_random(design.input.shape[1:], parse(design.input.datatype), FRAMES).inputs
    rivals = {
        "Verilator": _verilator(folder, design, work / "verilator", inputs),
        "CXXRTL": _cxxrtl(folder, design, work / "cxxrtl", inputs),
    }
    results: dict[str, tuple[int, np.ndarray]] = {}

    def seconds(name: str) -> float:
        taken, cycles, outputs = rivals[name].run()
        results[name] = cycles, outputs
        return taken

    best = {
        name: min(times) for name, times in in_turn({each: partial(seconds, each) for each in rivals}, rounds).items()
    }
    first, rows = "Verilator", []
    for name, (cycles, outputs) in results.items():
        if cycles != results[first][0] or not np.array_equal(outputs, results[first][1]):
            raise SystemExit(f"{name} and {first} do not agree on {design.top}")
        prepared = rivals[name].prepared
        cells = [f"{prepared:.1f} s", f"{prepared / rivals[first].prepared:.1f}x", f"{cycles:,}", f"{best[name]:.2f} s"]
        rows.append([name, *cells, f"{cycles / best[name] / 1e3:,.0f} k", f"{best[name] / best[first]:.1f}x"])
    header = ["to a program", "of Verilator's", "cycles", "simulation", "cycles/s", "of Verilator's time"]
    table([f"{FRAMES} frames, one process", *header], rows)
    print(f"{' and '.join(results)}: equal outputs, and equal cycles for all frames")
    print(f"Icarus Verilog: {_icarus(design, work / 'cxxrtl', work)}")


def _verilator(folder: Path, design: Design, work: Path, inputs: np.ndarray) -> Rival:
    started = time.perf_counter()
    simulator = verilator.compile(folder, work, work / "cache")
    prepared = time.perf_counter() - started

    def run() -> tuple[float, int, np.ndarray]:
        found = simulator.run(inputs)
        assert found.finished
        return found.seconds, found.cycles, found.outputs.reshape(-1, design.output.folded[-1])

    return Rival(prepared, run)


def _cxxrtl(folder: Path, design: Design, work: Path, inputs: np.ndarray) -> Rival:
    yosys.version(folder)  # the first run after an installation translates WebAssembly
    started = time.perf_counter()
    overlay.overlay(folder, design, work, overlay.SYNTHESIS)  # what Yosys cannot read
    patches.finish(work, design.sources)
    for image in design.data:
        (work / image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / image, work / image)
    (work / "files.f").write_text("".join(f"{name}\n" for name in design.sources))
    yosys.run(work, "cxxrtl", TO_CPP.format(top=design.top))
    (work / "design.h").write_text(testbench.header(design, edges=False))
    includes = [f"-I{work}", f"-I{yosys.share() / RUNTIME}"]
    # without checks: FINN's queues read A[-1] while they are empty, which CXXRTL would end the simulation for
    flags = ["-std=c++17", "-w", verilator.OFTEN, "-DCXXRTL_NDEBUG", *includes]
    _checked([str(verilator.find().cxx), *flags, str(MAIN), "-o", str(work / "program")])
    prepared = time.perf_counter() - started
    taken, given = design.input, design.output
    words = pack(np.asarray(inputs).reshape(-1, taken.folded[-1]), parse(taken.datatype))
    np.pad(words, ((0, 0), (0, taken.width // 8 - words.shape[1]))).tofile(work / "in")

    def run() -> tuple[float, int, np.ndarray]:
        started = time.perf_counter()
        said = _checked([str(work / "program"), str(FRAMES), str(work / "in"), str(work / "out")])
        seconds = time.perf_counter() - started
        found = np.fromfile(work / "out", np.uint8).reshape(-1, given.width // 8)
        datatype, values = parse(given.datatype), given.folded[-1]
        return seconds, int(said), unpack(found[:, : (values * datatype.bits + 7) // 8], datatype, values)

    return Rival(prepared, run)


def _icarus(design: Design, sources: Path, work: Path) -> str:
    """What Icarus Verilog says to the same sources as CXXRTL, if it is there."""
    program = shutil.which("iverilog")
    if program is None:
        return "not installed here, not measured"
    version = subprocess.run([program, "-V"], capture_output=True, text=True).stdout.partition(" (")[0]
    command = [program, "-g2012", "-DVERILATOR", "-s", design.top, "-o", str(work / "icarus"), *design.sources]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True)
    if done.returncode == 0:
        return f"{version} reads the sources; there is no test bench for it here, not measured"
    errors = [line for line in done.stderr.splitlines() if line.strip()]
    return f"{version} cannot read the sources, not measured: {errors[0]}"


def _checked(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout
