"""One module with any number of AXI streams as a program, whatever it is called and wherever its data lies.

FINN simulates its layers one by one, each as a module of its own name with absolute paths of memory images in it. Both
are taken out of the sources, so that layers that are alike, and the same layer in another folder, are one program.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finnyaml.errors import StepFailed
from finnyaml.rtl import overlay, verilator
from finnyaml.rtl.block_design import Cell
from finnyaml.rtl.ports import Port, ports
from finnyaml.rtl.sources import TOKEN

MAIN = Path(__file__).with_suffix(".cpp")
_TOP = "finnyaml_node"
_DATA = "data"
_SIGNALS = ("tdata", "tvalid", "tready")
_HEADERS = (".vh", ".svh")
_MASTER = re.compile(r"_(ar|aw)valid$", re.IGNORECASE)
_PUMPED = re.compile(r"\bPUMPED_(?:COMPUTE|MEMORY)\s*=\s*1\b")


@dataclass(frozen=True)
class Stream:
    """An AXI stream of the module. name: the prefix of its ports. input: it goes in. width: of tdata in bits."""

    name: str
    input: bool
    width: int

    @property
    def bytes(self) -> int:
        """Of one word."""
        return (self.width + 7) // 8


@dataclass(frozen=True)
class NodeProgram:
    """A compiled module. top: its name in FINN. data: what the program knows a folder of memory images as, to that
    folder, which is read at run time.
    """

    top: str
    executable: Path
    streams: tuple[Stream, ...]
    data: Mapping[str, Path]


@dataclass(frozen=True)
class NodeRun:
    """words: what came out of each stream that goes out, lowest byte first in each word. cycles: as FINN counts them.

    moved: words that went over each stream. finished: all words went in, and all that were asked for came out.
    """

    words: Mapping[str, list[int]]
    cycles: int
    moved: Mapping[str, int]
    finished: bool


def compile(top: str, sources: Sequence[Path], finn: str, work: Path, cache: Path) -> NodeProgram:
    """The program of the module `top`.

    sources: packages first; headers of Verilog are left out. finn: whose sources they are. work: for temporary files,
    and the log when something fails; cache: as for `rtl.verilator.compile`.
    Raises StepFailed: a module that needs a second clock or memory outside; sources that are not there, no Verilog, or
    that the tools do not take.
    Raises ToolMissing: no Verilator, or no g++.
    """
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="verilate-") as temporary:
        folder = Path(temporary)
        names, data = _copy(top, sources, finn, folder)
        found = ports([Cell(top, _TOP, {})], [folder / name for name in names])[top]
        streams = _streams(top, found)
        (folder / "streams.h").write_text(_header(found, streams), encoding="utf-8")
        shutil.copy(MAIN, folder)
        made = verilator.program(folder, names, _TOP, MAIN.name, cache, work / "verilator.log")
    return NodeProgram(top, made, streams, data)


def run(
    program: NodeProgram, inputs: Mapping[str, Sequence[int]], wanted: Mapping[str, int], patience: int, work: Path
) -> NodeRun:
    """Send words in, and wait for words, from reset on.

    inputs: stream to its words, as integers. wanted: stream to the number of words to wait for. patience: cycles that
    one of these may be silent.
    Raises StepFailed: there is no such stream; a check in the sources failed.
    """
    streams = {stream.name: stream for stream in program.streams}
    for name, goes_in in (*((name, True) for name in inputs), *((name, False) for name in wanted)):
        if name not in streams or streams[name].input != goes_in:
            raise StepFailed(
                f"{program.top} has no stream {name} that goes {'in' if goes_in else 'out'}",
                hint=f"its streams are {', '.join(streams)}",
            )
    with tempfile.TemporaryDirectory(dir=work, prefix="run-") as temporary:
        folder = Path(temporary)
        for link, target in program.data.items():
            (folder / link).mkdir(parents=True)
            for image in target.glob("*.dat"):
                (folder / link / _own(program.top).sub(_TOP, image.name)).symlink_to(image.resolve())
        for name, words in inputs.items():
            size = streams[name].bytes
            (folder / f"{name}.in").write_bytes(b"".join(int(word).to_bytes(size, "little") for word in words))
        counts = {**{name: len(words) for name, words in inputs.items()}, **wanted}
        command = [str(program.executable), ".", str(patience)]
        command += [f"{name}={count}" for name, count in counts.items()]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        if done.returncode:
            said = (done.stderr + done.stdout).strip().splitlines() or [f"it ended with {done.returncode}"]
            raise StepFailed(f"the simulation of {program.top} failed: {said[0].removeprefix('%Error: ')}")
        report = dict(line.split() for line in (folder / "report").read_text(encoding="utf-8").splitlines())
        words_out = {}
        for name in wanted:
            out, size = folder / f"{name}.out", streams[name].bytes
            data = out.read_bytes() if out.exists() else b""
            words_out[name] = [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]
    moved = {name: int(report[name]) for name in streams}
    return NodeRun(words_out, int(report["cycles"]), moved, report["finished"] == "1")


def _copy(top: str, sources: Sequence[Path], finn: str, folder: Path) -> tuple[list[str], dict[str, Path]]:
    """Patched sources of which the top is called `_TOP`, and the folders that they read; file names in order.

    A file that comes twice is taken once; FINN copies some of its library into the folder of each layer.
    """
    own = _own(top)
    texts: dict[str, str] = {}
    data: dict[Path, str] = {}

    def relative(match: re.Match[str]) -> str:
        literal = match[0]
        place, slash, name = literal[1:-1].rpartition("/")
        if literal[0] != '"' or not place.startswith("/") or not Path(place).is_dir():
            return literal
        link = data.setdefault(Path(place), f"{_DATA}/{len(data)}")
        return f'"{link}{slash}{name}"'

    for source in sources:
        if source.suffix in _HEADERS:
            continue
        if source.suffix not in (".v", ".sv"):
            raise StepFailed(
                f"{top}: {source.name} is neither Verilog nor SystemVerilog, and Verilator takes only these"
            )
        try:
            text = source.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise StepFailed(
                f"a source of {top} is missing: {error}", hint="hw_codegen makes the code of the layers anew"
            ) from error
        text = overlay.patched_source(source.name, text, finn, overlay.SIMULATION)
        if _PUMPED.search(text):
            raise StepFailed(
                f"{top} runs its memory or its multipliers at twice the clock ({source.name}), and a simulation here "
                "has one clock",
                hint="set pumpedMemory and pumpedCompute to 0 in the folding",
            )
        text = own.sub(_TOP, TOKEN.sub(relative, text))
        name = own.sub(_TOP, source.name)
        if texts.setdefault(name, text) != text:
            raise StepFailed(
                f"{top} is made of two different {source.name}", hint="hw_codegen makes the code of the layers anew"
            )
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    ordered = sorted(texts, key=lambda name: not name.endswith(("_pkg.sv", "_pkg.v")))
    return ordered, {link: target for target, link in data.items()}


def _own(top: str) -> re.Pattern[str]:
    """The name of the top, also where other names begin with it; but MVAU_rtl_1 is not in MVAU_rtl_10."""
    return re.compile(rf"(?<![A-Za-z0-9$]){re.escape(top)}(?!\d)")


def _streams(top: str, found: Mapping[str, Port]) -> tuple[Stream, ...]:
    """The AXI streams among ports."""
    if not {"ap_clk", "ap_rst_n"} <= set(found):
        raise StepFailed(f"{top} has no ports ap_clk and ap_rst_n")
    master = next((name for name, port in found.items() if _MASTER.search(name) and port.direction == "output"), None)
    if master is not None:
        raise StepFailed(
            f"{top} reads or writes memory outside of itself (AXI-MM: {master}), which the simulation here has not",
            hint="set mem_mode to internal_decoupled in the folding, or simulate with Vivado",
        )
    spelled = {name.lower(): name for name in found}
    streams = []
    for name, port in found.items():
        prefix, _, signal = name.rpartition("_")
        if signal.lower() == "tvalid" and all(f"{prefix}_{each}".lower() in spelled for each in _SIGNALS):
            data = found[spelled[f"{prefix}_tdata".lower()]]
            streams.append(Stream(prefix, port.direction == "input", data.width))
    return tuple(streams)


def _header(found: Mapping[str, Port], streams: Sequence[Stream]) -> str:
    """The `streams.h` that the main includes: where the signals of each stream are."""
    spelled = {name.lower(): name for name in found}
    rows = []
    for stream in streams:
        data, valid, ready = (f"&top.{spelled[f'{stream.name}_{signal}'.lower()]}" for signal in _SIGNALS)
        rows.append(f'{{"{stream.name}", {str(stream.input).lower()}, {stream.bytes}, {data}, {valid}, {ready}}}')
    return "#pragma once\n#define STREAMS(top) \\\n    " + ", \\\n    ".join(rows) + "\n"
