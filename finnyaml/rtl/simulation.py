"""Real inputs through the stitched design: bit-exact outputs, cycles of every frame, FIFO fills, stalls, waveforms."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.accelerator.numbers.packing import pack, unpack
from finnyaml.errors import StepFailed
from finnyaml.rtl.design import Design, Stream
from finnyaml.rtl.testbench.process import Call, Part, execute, read

MOST_STALLS = 95
"""Per cent of cycles; with more, a design at work looks like one that is stuck."""

_FST_DATE = (9 + 8 * 8 + 1 + 128, b"Thu Jan  1 00:00:00 1970\n\0")
"""Where an FST file says when it was written, after the name of the writer, and what it says here: equal simulations,
equal files."""


@dataclass(frozen=True)
class Build:
    """What a simulator can do beyond running. edges: dump all inner streams; dynamic_fifos: FIFO depths given at run
    time; waveform: write FST files. data: compute values; without, with dynamic_fifos, only cycles are right.
    """

    edges: bool = False
    dynamic_fifos: bool = False
    data: bool = True
    waveform: bool = False


@dataclass(frozen=True)
class Stalls:
    """Random waiting, to shake out handshakes: per cent of cycles, 0 to `MOST_STALLS`, in which there is no word for
    the design, or no room for one of its words.
    """

    input: int = 0
    output: int = 0
    seed: int = 1


NONE = Stalls()


@dataclass(frozen=True)
class Run:
    """What came of a simulation. Cycles count from the end of reset, in each process for itself.

    outputs: [frames, *output.shape[1:]], in the smallest dtype for the datatype. finished: all frames came out; else
    nothing moved for `patience` cycles. cycles: over all processes. seconds: by the clock on the wall. first_in: int64
    [frames], the cycle in which the first beat of each frame was taken; last_out: int64 [frames], that in which its
    last beat was handed over. chunks: frames given to each process, in order. period: with `steady`, the frames after
    which everything repeats, 0 where that was not seen; swing: by how many beats the fill of each FIFO changed in
    these, else in the last. fill: the most that each FIFO held. stuck: where not finished, (tvalid, tready) at the end
    of every stream, by its name, of the first process that did not finish. edges: with Build.edges, the beats that
    passed on each inner stream: uint8 [beats, bytes].

    Where a process did not finish, outputs, last_out and edges end with what it gave, and first_in with the frames that
    it took: what later processes did is left out.
    """

    outputs: np.ndarray
    finished: bool
    cycles: int
    seconds: float
    first_in: np.ndarray
    last_out: np.ndarray
    chunks: tuple[int, ...]
    period: int
    swing: Mapping[str, int]
    fill: Mapping[str, int]
    stuck: Mapping[str, tuple[bool, bool]]
    edges: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Simulator:
    """A compiled design. folder: the design folder, whose data it reads; program: what `verilator.compile` made of it;
    work: for temporary files.
    """

    design: Design
    folder: Path
    program: Path
    work: Path
    build: Build

    def run(
        self,
        inputs: np.ndarray,
        *,
        stalls: Stalls = NONE,
        depths: Mapping[str, int] | None = None,
        every: int = 0,
        patience: int | None = None,
        steady: bool = False,
        waveform: Path | None = None,
        processes: int = 1,
    ) -> Run:
        """Send frames through the design and collect what comes out.

        inputs: integers [frames, *design.input.shape[1:]], values of its datatype. depths: of FIFO nodes, with
        Build.dynamic_fifos; the others keep theirs. every: from the start of one frame to that of the next at least so
        many cycles. patience: cycles in which nothing moves at either end, after which the design counts as stuck.
        steady: keep sending frames, the first after the last, and end as soon as everything repeats, after as many as
        `inputs` at the latest; with Build.dynamic_fifos and one process. waveform: FST file to write, with
        Build.waveform and one process. processes: so many contiguous parts of the frames run at a time, each from
        reset.
        Raises StepFailed: a value that the datatype does not have, a check in FINN's sources that failed, or a design
        that breaks the rules of AXI streams at its output.
        """
        design = self.design
        shape = design.input.shape[1:]
        if inputs.ndim != len(shape) + 1 or inputs.shape[1:] != shape or not len(inputs):
            raise ValueError(f"inputs of shape {inputs.shape} are not frames of {shape}")
        if not all(0 <= each <= MOST_STALLS for each in (stalls.input, stalls.output)):
            raise ValueError(f"stalls are 0 to {MOST_STALLS} per cent")
        if (
            ((depths or steady) and not self.build.dynamic_fifos)
            or (waveform and not self.build.waveform)
            or ((waveform or steady) and processes != 1)
        ):
            raise ValueError("this simulator cannot do that: see Build")
        words = _words(inputs, design.input)
        shares = np.array_split(np.arange(len(inputs)), min(processes, len(inputs)))
        options: dict[str, object] = {
            "patience": 3 * design.latency_cycles + 10_000 if patience is None else patience,
            "every": every,
            "steady": int(steady),
            "stall_in": stalls.input,
            "stall_out": stalls.output,
        }
        if waveform is not None:
            waveform.parent.mkdir(parents=True, exist_ok=True)
            options["wave"] = waveform.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.work, prefix="simulate-") as temporary:
            room = Path(temporary).resolve()
            if depths is not None:
                options["depths"] = room / "depths"
                (room / "depths").write_text("".join(f"{name} {depth}\n" for name, depth in depths.items()))
            calls = []
            for index, share in enumerate(shares):
                own = room / str(index)
                own.mkdir()
                words[share[0] * design.input.beats : (share[-1] + 1) * design.input.beats].tofile(own / "in")
                calls.append(Call(own, {**options, "frames": len(share), "seed": stalls.seed + index}))
            started = time.perf_counter()
            execute(self.program.resolve(), self.folder, calls)
            seconds = time.perf_counter() - started
            if waveform is not None:
                with waveform.open("r+b") as file:
                    file.seek(_FST_DATE[0])
                    file.write(_FST_DATE[1])
            parts = [read(call.room, design, edges=self.build.edges) for call in calls]
        return self._together(parts, tuple(len(share) for share in shares), seconds)

    def _together(self, parts: Sequence[Part], chunks: tuple[int, ...], seconds: float) -> Run:
        whole = next((index for index, part in enumerate(parts) if not part.finished), None)
        valid = parts if whole is None else parts[: whole + 1]
        output = self.design.output
        frames = sum(len(part.last_out) for part in valid)
        words = np.concatenate([part.words for part in valid])[: frames * output.beats]
        return Run(
            outputs=_values(words, output).reshape(frames, *output.shape[1:]),
            finished=whole is None,
            cycles=sum(part.cycles for part in parts),
            seconds=seconds,
            first_in=np.array([cycle for part in valid for cycle in part.first_in], np.int64),
            last_out=np.array([cycle for part in valid for cycle in part.last_out], np.int64),
            chunks=chunks,
            period=parts[0].period,
            swing=parts[0].swing,
            fill=reduce(lambda a, b: {key: max(a[key], b[key]) for key in a}, [part.fill for part in parts]),
            stuck={} if whole is None else parts[whole].ends,
            edges={key: np.concatenate([part.edges[key] for part in valid]) for key in valid[0].edges},
        )


def _words(values: np.ndarray, stream: Stream) -> np.ndarray:
    """Frames as the words of a stream: uint8 [frames * beats, width / 8]."""
    try:
        packed = pack(values.reshape(-1, stream.folded[-1]), parse(stream.datatype))
    except AcceleratorError as error:
        raise StepFailed(f"the inputs do not fit {stream.name}: {error.message}", hint=error.hint) from error
    padded: np.ndarray = np.pad(packed, ((0, 0), (0, stream.width // 8 - packed.shape[1])))
    return padded


def _values(words: np.ndarray, stream: Stream) -> np.ndarray:
    """The words of a stream as values [beats, values of a beat]."""
    datatype, values = parse(stream.datatype), stream.folded[-1]
    try:
        return unpack(words[:, : (values * datatype.bits + 7) // 8], datatype, values)
    except AcceleratorError as error:
        raise StepFailed(f"what comes out of {stream.name} is not {stream.datatype}: {error.message}") from error
