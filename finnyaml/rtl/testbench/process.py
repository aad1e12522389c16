"""Running the programs of the test bench, and reading what they report."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finnyaml.errors import StepFailed, VerificationFailed
from finnyaml.rtl.design import Design

_IN, _OUT, _REPORT, _SAID = "in", "out", "report", "said"


@dataclass(frozen=True)
class Call:
    """One process. room: its folder, absolute, in which are the words to send, "in". options: of main.cpp, without
    files.
    """

    room: Path
    options: Mapping[str, object]


@dataclass(frozen=True)
class Part:
    """What one process reported.

    words: uint8 [words that came out, bytes]. first_in, last_out: cycles, of the frames that went in, that came out.
    period: frames after which everything repeats, 0 where that was not seen; swing: by FIFO, the most less the least
    that it held in these, else in the last. fill: by FIFO. ends: (tvalid, tready) of every stream at the end. edges:
    uint8 [words, bytes] by stream.
    """

    words: np.ndarray
    finished: bool
    cycles: int
    first_in: list[int]
    last_out: list[int]
    period: int
    swing: dict[str, int]
    fill: dict[str, int]
    ends: dict[str, tuple[bool, bool]]
    edges: dict[str, np.ndarray]


def execute(program: Path, folder: Path, calls: Sequence[Call]) -> None:
    """Run the program once per call, all at a time, in the design folder.

    Raises VerificationFailed: an assertion in the sources failed.
    Raises StepFailed: a process failed.
    """
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for call in calls:
            files = {"in": _IN, "out": _OUT, "report": _REPORT, "edges": "."}
            places = [f"{key}={call.room / name}" for key, name in files.items()]
            command = [str(program), *places, *(f"{key}={value}" for key, value in call.options.items())]
            with (call.room / _SAID).open("wb") as said:
                processes.append(subprocess.Popen(command, cwd=folder, stdout=said, stderr=said))
        codes = [process.wait() for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
    for code, call in zip(codes, calls, strict=True):
        if code:
            text = (call.room / _SAID).read_text(encoding="utf-8", errors="replace")
            if cause := re.search(r"^.*%Error: *(.*)", text, re.MULTILINE):
                raise VerificationFailed(
                    f"a check in the design's own sources failed in the simulation: {cause.group(1)}",
                    hint="the instance's path contains the node; docs/rtl.md has a table of what such checks mean",
                )
            last = (text.strip().splitlines() or ["without a word"])[-1]
            raise StepFailed(f"the simulation of the stitched design ended early (exit code {code}): {last}")


def read(room: Path, design: Design, *, edges: bool) -> Part:
    """What a process left in its room. edges: the program dumps inner streams.

    Raises VerificationFailed: the design broke the rules of AXI streams at its output.
    """
    lines = [line.split(" ", 1) for line in (room / _REPORT).read_text(encoding="utf-8").splitlines()]

    def all_of(key: str) -> list[str]:
        return [value for found, value in lines if found == key]

    (cycles,), (period,) = all_of("cycles"), all_of("period")
    last_out = [int(value) for value in all_of("out")]
    for broken in all_of("broken"):
        raise VerificationFailed(
            f"handshake: {design.output.name}_{broken}, in cycle {cycles} (frame {len(last_out)}): node "
            f"{design.output.producer} breaks the rules of AXI streams",
            hint="a waveform shows it; the receiver may be slow at any time, and must see every word once",
        )

    def by_fifo(key: str) -> dict[str, int]:
        return {fifo: int(beats) for fifo, beats in (value.split() for value in all_of(key))}

    ends = {name: (valid == "1", ready == "1") for name, valid, ready in (value.split() for value in all_of("end"))}
    return Part(
        words=np.fromfile(room / _OUT, np.uint8).reshape(-1, design.output.width // 8),
        finished=all_of("finished") == ["1"],
        cycles=int(cycles),
        first_in=[int(value) for value in all_of("in")],
        last_out=last_out,
        period=int(period),
        swing=by_fifo("swing"),
        fill=by_fifo("fill"),
        ends=ends,
        edges={
            edge.name: np.fromfile(room / f"{index}.bin", np.uint8).reshape(-1, edge.width // 8)
            for index, edge in enumerate(design.edges if edges else ())
        },
    )
