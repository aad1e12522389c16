"""Why nothing moves in a design, or why it moves too slowly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from finnyaml.rtl.design import Design, Fifo, Stream
from finnyaml.rtl.explain.explanation import Explanation, described, inputs_of, listed, op_type, outputs_of

if TYPE_CHECKING:
    from finnyaml.rtl.simulation import Run

_DEEPER = "rtl.size_fifos finds depths that suffice."


def with_depths(design: Design, depths: Mapping[str, int] | None) -> Design:
    """The design as a run with these depths of FIFOs sees it."""
    given = depths or {}
    return replace(design, fifos=tuple(replace(fifo, depth=given.get(fifo.node, fifo.depth)) for fifo in design.fifos))


def stuck(design: Design, run: Run) -> Explanation:
    """Why a run did not finish: nothing moved any more, and `run.stuck` tells what each stream waited for."""
    return _deadlock(design, run) or _blocked(design, run) or _starved(design, run)


def slow(design: Design, figures: Mapping[str, Any], target: int) -> Explanation:
    """Why frames do not come out every `target` cycles, from the `figures` (see `rtl.performance`) of a run.

    Raises ValueError: the run was too short to have an interval.
    """
    interval, fifos = figures["interval"], figures["fifos"]
    if interval is None:
        raise ValueError("one frame has no interval")
    design = with_depths(design, {node: fifo["depth"] for node, fifo in fifos.items()})
    said = f"A frame comes out every {interval:g} cycles, {target} were asked for."
    data = {"interval": interval, "target": target}
    slowest = max(design.nodes, key=lambda node: node.cycles)
    if slowest.cycles > target:
        return Explanation(
            "slow",
            slowest.name,
            f"{said} {slowest.name} ({slowest.op_type}) alone takes {slowest.cycles} cycles per frame: fold it less "
            "(a larger PE or SIMD).",
            {**data, "cycles": slowest.cycles},
        )
    full = [fifo for fifo in design.fifos if fifo.node in fifos and fifos[fifo.node]["most"] >= fifo.depth]
    if not full:
        return Explanation(
            "slow",
            None,
            f"{said} No layer is that slow by itself, and no FIFO was ever full: what comes in or is taken out is "
            "slower.",
            data,
        )
    # What is full holds up what lies in front of it: so the jam begins at the last one. Where branches join, the
    # branch that waits for the other has the FIFO that is too shallow.
    order = {stream.consumer: place for place, stream in enumerate((design.input, *design.edges))}
    beside = [fifo for fifo in full if fifo.consumer is not None and len(inputs_of(design, fifo.consumer)) > 1]
    culprit = max(beside or full, key=lambda fifo: order.get(fifo.node, 0))
    why = f" {culprit.consumer} waits there for its other input." if beside else ""
    return Explanation(
        "slow",
        culprit.node,
        f"{said} No layer is that slow by itself ({slowest.name}: {slowest.cycles}), but "
        f"{described(culprit)} was full.{why} It is too shallow. {_DEEPER}",
        {**data, "fifo": culprit.node, "depth": culprit.depth, "full": [fifo.node for fifo in full]},
    )


def _deadlock(design: Design, run: Run) -> Explanation | None:
    """A layer with several inputs lets one wait for another, and that one gets nothing because the first is full."""
    for node in design.nodes:
        taken = inputs_of(design, node.name)
        waiting = [stream for stream in taken if _held(run, stream)]
        missing = [stream for stream in taken if not _valid(run, stream)]
        if not waiting or not missing:
            continue
        full: dict[str, Fifo] = {}
        for stream in waiting:
            full.update(_full_before(design, run, stream))
        source = missing[0].producer
        wanted = _layer_before(design, missing[0]) or "the input"
        data = {
            "fifos": [{"fifo": fifo.node, "depth": fifo.depth} for fifo in full.values()],
            "waits": node.name,
            "for": wanted,
        }
        if not full:
            return Explanation(
                "stuck",
                node.name,
                f"Nothing moves any more: {node.name} ({node.op_type}) holds back {waiting[0].producer or 'the input'} "
                f"and waits for data from {wanted}, and there is no FIFO between them. {_DEEPER}",
                {**data, "source": source},
            )
        names = listed([described(fifo) for fifo in full.values()])
        return Explanation(
            "stuck",
            next(iter(full)),
            f"Nothing moves any more, a deadlock: {names} {'is' if len(full) == 1 else 'are'} full, and {node.name} "
            f"({node.op_type}) takes nothing out because it waits for data from {wanted} on its other input, which "
            f"gets no more data while that is full. {_DEEPER}",
            {**data, "source": source},
        )
    return None


def _full_before(design: Design, run: Run, stream: Stream) -> dict[str, Fifo]:
    """The full FIFOs from a stream upwards, nearest first, up to where the branch begins."""
    fifos = {fifo.node: fifo for fifo in design.fifos}
    full: dict[str, Fifo] = {}
    while stream.producer is not None:
        taken = [each for each in inputs_of(design, stream.producer) if _held(run, each)]
        if len(taken) != 1 or len(outputs_of(design, stream.producer)) > 1:
            break
        if stream.producer in fifos:
            full[stream.producer] = fifos[stream.producer]
        stream = taken[0]
    return full


def _blocked(design: Design, run: Run) -> Explanation | None:
    """A layer that takes nothing although nobody keeps it from giving."""
    for node in reversed(design.nodes):
        given = outputs_of(design, node.name)
        held = [stream for stream in inputs_of(design, node.name) if _held(run, stream)]
        if held and not any(_valid(run, stream) for stream in given):
            return Explanation(
                "stuck",
                node.name,
                f"Nothing moves any more: {node.name} ({node.op_type}) takes no more data from "
                f"{_layer_before(design, held[0]) or 'the input'} and gives none, although what follows it is ready.",
                {"held": [stream.name for stream in held]},
            )
    return None


def _starved(design: Design, run: Run) -> Explanation:
    """Everything was taken in and too little came out: where the data ends, if the run tells what passed (`edges`)."""
    short = {
        stream.name: (len(run.edges[stream.name]), len(run.first_in) * stream.beats)
        for stream in design.edges
        if stream.name in run.edges and len(run.edges[stream.name]) < len(run.first_in) * stream.beats
    }
    lost = next((stream for stream in design.edges if stream.name in short), None)
    if lost is None and run.edges:
        lost = design.output
        short = {lost.name: (len(run.outputs) * lost.beats, len(run.first_in) * lost.beats)}
    if lost is None:
        return Explanation(
            "stuck", None, "Nothing moves any more, and all streams wait for data: a layer gave too little.", {}
        )
    passed, due = short[lost.name]
    return Explanation(
        "stuck",
        lost.producer,
        f"Nothing moves any more: {lost.producer} ({op_type(design, lost.producer)}) got all its input and gave only "
        f"{passed} of {due} words.",
        {"stream": lost.name, "passed": passed, "due": due},
    )


def _layer_before(design: Design, stream: Stream) -> str | None:
    """The layer that the data of a stream comes from, beyond FIFOs; None is the outside."""
    fifos = {fifo.node: fifo for fifo in design.fifos}
    return fifos[stream.producer].producer if stream.producer in fifos else stream.producer


def _valid(run: Run, stream: Stream) -> bool:
    return run.stuck.get(stream.name, (False, False))[0]


def _held(run: Run, stream: Stream) -> bool:
    """Data is there, and is not taken."""
    return run.stuck.get(stream.name) == (True, False)
