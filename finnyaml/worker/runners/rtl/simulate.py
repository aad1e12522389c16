"""Samples sent through the stitched design."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from finnyaml.bundle import stream_values
from finnyaml.errors import StepFailed, VerificationFailed
from finnyaml.rtl import performance, verilator
from finnyaml.rtl.design import Design
from finnyaml.rtl.explain.flow import slow
from finnyaml.rtl.simulation import Stalls
from finnyaml.worker.context import Context, needed_model
from finnyaml.worker.inputs import parent_of
from finnyaml.worker.runners.rtl.common import REPORTS, SIZING, design_of, lasting, write_report
from finnyaml.worker.runners.rtl.frames import check_frames, explainer, frames_of, steady

SIMULATION = "rtl_simulation"
SIMULATIONS = ("simulate", "measure_rtlsim_performance")
"""Tasks of rtl.simulate whose report is the one that people look for; others have their id in its name."""
CORES = 2
"""Into so many processes the frames of a simulation are split, at most."""

WAVEFORM_FRAMES = 2


def run(context: Context) -> None:
    """Send samples through the design; what comes out has to be what FINN's Python execution says, bit for bit."""
    params = context.params
    model = needed_model(context)
    folder = design_of(context)
    frames = frames_of(context, model)
    work = context.root / "tmp" / "simulation"
    simulator = verilator.compile(folder, work, context.cache)
    stalls = Stalls(**params["stalls"])
    run = simulator.run(frames.inputs, stalls=stalls, processes=_processes(simulator.design, len(frames.inputs)))
    path = context.root / params["file"]
    path.parent.mkdir(parents=True, exist_ok=True)
    if params["waveform"]:
        traced = verilator.compile(folder, work / "traced", context.cache, verilator.Build(waveform=True))
        traced.run(frames.inputs[:WAVEFORM_FRAMES], stalls=stalls, waveform=path.with_suffix(".fst"))
    check_frames(simulator.design, frames, run, explainer(context, model, folder, frames, run, stalls))
    found = performance.metrics(simulator.design, run)
    stalled = bool(stalls.input or stalls.output)
    if not stalled:
        _check_speed(context, simulator.design, found, min(run.chunks))
    name = SIMULATION if path.stem in SIMULATIONS and not stalled else f"{SIMULATION}_{path.stem}"
    write_report(context, f"{name}.json", {"stalls": dict(params["stalls"]), **lasting(found)})
    network = stream_values.network_outputs(parent_of(context), model, run.outputs)
    np.savez(path, index=frames.index, outputs=run.outputs, network=network)


def _processes(design: Design, frames: int) -> int:
    """So many processes that each sees the pipeline full for half of its frames; its filling counts for nothing."""
    return max(1, min(CORES, frames // steady(design.latency_cycles, design.max_cycles)))


def _check_speed(context: Context, design: Design, metrics: Mapping[str, Any], frames: int) -> None:
    """Refuse a design that is slower than the recipe allows, or than its FIFOs were sized for.

    frames: of the process with the fewest. Where these cannot tell, only a limit of the recipe's own is an error.
    """
    sized = context.root / REPORTS / SIZING
    report = json.loads(sized.read_text()) if sized.is_file() else None
    limit = context.params["max_interval"]
    if limit is None and report is not None:
        limit = math.floor(report["target"] * (1 + report["slack"]))
    interval = metrics["interval"]
    if limit is None or (interval is not None and interval <= limit):
        return
    enough = steady(metrics["latency"], interval or design.max_cycles)
    if frames < enough:
        said = f"whether a frame comes out every {limit} cycles does not show in so few frames ({frames})"
        if context.params["max_interval"] is None:
            print(f"{said}: not checked")
            return
        raise StepFailed(
            said, hint=f"give {context.uses} `frames: {enough}` or more, and `verify.data` as many samples"
        )
    searched = {item["node"]: item["depth"] for item in report["fifos"]} if report is not None else {}
    shallow = [fifo for fifo in design.fifos if fifo.depth < searched.get(fifo.node, 0)]
    if shallow:
        told = ", ".join(f"{fifo.node} has depth {fifo.depth}, not {searched[fifo.node]}" for fifo in shallow)
        between = f"between {shallow[0].producer or 'the input'} and {shallow[0].consumer or 'the output'}"
        raise VerificationFailed(
            f"a frame comes out every {interval:g} cycles, {limit} are allowed: {told} ({between})",
            hint="rtl.size_fifos found the smallest depths that keep the interval: leave them, or allow more cycles",
        )
    raise VerificationFailed(slow(design, metrics, limit).message)
