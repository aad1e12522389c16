"""From a run that is wrong to what is wrong: the first layer that does not give what FINN's Python execution gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.accelerator.numbers.packing import unpack
from finnyaml.rtl.design import Design, Stream
from finnyaml.rtl.explain.explanation import Explanation, inputs_of, listed, op_type
from finnyaml.rtl.explain.flow import stuck, with_depths
from finnyaml.rtl.explain.layer import Layer, recognise

if TYPE_CHECKING:
    from finnyaml.rtl.simulation import Run, Stalls

_MORE = 15
"""Frames to look at beyond the first wrong one: one frame alone rarely tells a wrong weight from another."""
_FEW = 4
"""Channels that are listed one by one."""


def explain(
    folder: Path,
    work: Path,
    cache: Path,
    inputs: np.ndarray,
    expected: Mapping[str, np.ndarray],
    run: Run,
    *,
    stalls: Stalls | None = None,
    depths: Mapping[str, int] | None = None,
) -> Explanation:
    """Why a run of a design folder stopped, or gave other values than FINN's Python execution.

    inputs: what was run, [frames, *input.shape[1:]]. expected: tensor to its right values, [frames, ...], channels
    last: of the output, and of every inner tensor that is known; the more, the closer is the layer found. stalls,
    depths: those of the run. Where it is needed, the design is compiled and run once more, with what passes between its
    layers written down; `work` and `cache` as for `rtl.verilator.compile`.
    Raises ValueError: nothing is wrong with the run, or the right output is not in `expected`.
    Raises StepFailed: the design cannot be compiled.
    """
    from finnyaml.rtl import verilator
    from finnyaml.rtl.simulation import Build, Stalls

    design = with_depths(Design.load(folder), depths)
    if design.output.tensor not in expected:
        raise ValueError(f"the right values of {design.output.tensor} are not given")
    if not run.finished:
        found = stuck(design, run)
        if found.node is not None:
            return found
        frames = len(inputs)
    else:
        got = _got(design.output, run)
        wrong = (got != _values(expected, design.output)[: len(got)]).reshape(len(got), -1).any(axis=1)
        if not wrong.any():
            raise ValueError("the outputs are right")
        frames = int(np.argmax(wrong)) + 1 + _MORE
    simulator = verilator.compile(folder, work, cache, Build(edges=True, dynamic_fifos=bool(depths)))
    again = simulator.run(inputs[:frames], stalls=stalls or Stalls(), depths=depths)
    if not run.finished:
        return stuck(design, again) if not again.finished else stuck(design, run)
    return _deviation(design, inputs[:frames], expected, again)


def _deviation(design: Design, inputs: np.ndarray, expected: Mapping[str, np.ndarray], run: Run) -> Explanation:
    """The first stream in topological order with other values than FINN's, and what is wrong in its layer."""
    unknown: list[str] = []
    for stream in (*design.edges, design.output):
        if stream.tensor not in expected:
            unknown.append(stream.name)
            continue
        got = _got(stream, run)
        want = _values(expected, stream)[: len(got)]
        if not np.array_equal(got, want):
            return _report(design, stream, got, want, _source(design, stream, inputs, expected), unknown)
        unknown = [name for name in unknown if name not in _above(design, stream)]  # what is below them is right
    return Explanation(
        "values",
        None,
        "Run once more, the design gives the right values: what went wrong depends on when words come and are taken. "
        "Run rtl.simulate with a waveform and the same stalls.",
        {"frames": len(inputs)},
    )


def _report(
    design: Design, stream: Stream, got: np.ndarray, want: np.ndarray, source: np.ndarray | None, unknown: Sequence[str]
) -> Explanation:
    """What is wrong with a stream: `got` and `want` are int64 [frames, *shape[1:]], `source` the input alike."""
    node, kind = stream.producer, op_type(design, stream.producer)
    wrong = got != want
    first = tuple(int(index) for index in np.argwhere(wrong)[0])
    place = _place(first)
    channels = stream.shape[-1]
    layer = Layer(kind, got.reshape(-1, channels), want.reshape(-1, channels), None)
    if source is not None and source.size % len(layer.got) == 0:
        layer = Layer(kind, layer.got, layer.want, source.reshape(len(layer.got), -1))
    fault = recognise(layer)
    near = {each.producer for each in design.edges if each.name in unknown and each.name in _above(design, stream)}
    doubtful = sorted(name for name in near if name is not None)
    sentences = [
        f"{node} ({kind}) is the first layer whose inputs are right and whose output is wrong: {int(wrong.sum())} of "
        f"{wrong.size} values in {len(got)} frame{'' if len(got) == 1 else 's'}, first in "
        f"{listed([f'{name} {value}' for name, value in place.items()])}, where {got[first]} came instead of "
        f"{want[first]}."
    ]
    if fault is not None:
        sentences.append(fault.sentence)
    elif len(layer.channels) <= _FEW and len(layer.channels) < channels:
        numbers = listed([str(channel) for channel in layer.channels])
        sentences.append(f"All wrong values lie in channel{'' if len(layer.channels) == 1 else 's'} {numbers}.")
    if doubtful:
        sentences.append(f"What {listed(doubtful)} should give is not known, so the fault may be there as well.")
    details: dict[str, Any] = {
        "op_type": kind,
        "stream": stream.name,
        "tensor": stream.tensor,
        "first": {**place, "got": int(got[first]), "want": int(want[first])},
        "wrong": int(wrong.sum()),
        "values": int(wrong.size),
        "frames": len(got),
        "wrong_channels": layer.channels,
        **({} if fault is None else fault.details),
    }
    return Explanation("values" if fault is None else fault.kind, node, " ".join(sentences), details)


def _got(stream: Stream, run: Run) -> np.ndarray:
    """What passed over a stream, [frames, *shape[1:]] as int64: only whole frames."""
    if stream.consumer is None:
        return _shaped(run.outputs, len(run.outputs), stream)
    words = run.edges[stream.name]
    frames = min(len(words) // stream.beats, len(run.outputs))
    values: np.ndarray = unpack(words[: frames * stream.beats], parse(stream.datatype), stream.folded[-1])
    return _shaped(values, frames, stream)


def _values(expected: Mapping[str, np.ndarray], stream: Stream) -> np.ndarray:
    """The right values of a stream, [frames, *shape[1:]] as int64."""
    values = np.asarray(expected[stream.tensor])
    return _shaped(values, len(values), stream)


def _shaped(values: np.ndarray, frames: int, stream: Stream) -> np.ndarray:
    """In multiples of the smallest step of the datatype: fixed-point values as the integers that they are."""
    steps = values.reshape(frames, *stream.shape[1:]) / parse(stream.datatype).step
    shaped: np.ndarray = np.rint(steps).astype(np.int64)
    return shaped


def _source(
    design: Design, stream: Stream, inputs: np.ndarray, expected: Mapping[str, np.ndarray]
) -> np.ndarray | None:
    """The first input of the layer that gives a stream, of the same frames; None where it is not known."""
    taken = inputs_of(design, stream.producer) if stream.producer is not None else []
    if not taken:
        return None
    if taken[0].name == design.input.name:
        return _shaped(inputs, len(inputs), taken[0])
    return _values(expected, taken[0])[: len(inputs)] if taken[0].tensor in expected else None


def _above(design: Design, stream: Stream) -> set[str]:
    """The names of the streams that a stream is made from."""
    found: set[str] = set()
    pending = [stream]
    while pending:
        producer = pending.pop().producer
        for each in inputs_of(design, producer) if producer is not None else []:
            if each.name not in found:
                found.add(each.name)
                pending.append(each)
    return found


def _place(index: Sequence[int]) -> dict[str, int]:
    """An index [frame, ..., channel] in words; rows and columns of an image are y and x."""
    frame, *inner, channel = index
    names = {1: ("position",), 2: ("y", "x")}.get(len(inner), tuple(f"axis {axis + 1}" for axis in range(len(inner))))
    return {"frame": frame, **dict(zip(names, inner, strict=True)), "channel": channel}
