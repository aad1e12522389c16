"""The least FIFO depths that keep the throughput."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finnyaml.bundle import stream_values
from finnyaml.bundle.stream_values import Frames
from finnyaml.errors import VerificationFailed
from finnyaml.finn import fifos, stitched
from finnyaml.rtl import performance, sizing, verilator
from finnyaml.text import PROGRESS
from finnyaml.worker.context import Context, needed_model
from finnyaml.worker.runners.rtl.common import SIZING, empty, lasting, target_of, write_report
from finnyaml.worker.runners.rtl.frames import check_frames, explainer

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


SIZING_FRAMES = 16
SEARCHED = verilator.Build(dynamic_fifos=True, data=False)
"""What is searched in."""


def run(context: Context) -> ModelWrapper:
    """Find the least depths that keep the throughput, set them, and see that the real FIFOs keep it too."""
    model = needed_model(context)
    work = context.root / "tmp" / "sizing"
    design = _stitched_aside(context, model, work / "searched")
    simulator = verilator.compile(design, work / "search", context.cache, SEARCHED)
    frames = stream_values.at_random(model, SIZING_FRAMES)
    sizes = sizing.size(
        simulator,
        frames.inputs,
        target=context.params["target_interval"],
        slack=context.params["slack"],
        tell=lambda text: print(f"{PROGRESS}{text}", flush=True),
    )
    part, clock_ns = target_of(context)
    model = fifos.with_depths(model, sizes.chosen.depths, part, clock_ns)
    folder = _stitched_aside(context, model, work / "sized")
    real = verilator.compile(folder, work / "real", context.cache)
    again: np.ndarray = np.arange(2 * sizes.frames) % len(frames.inputs)  # the later half is beyond what was searched
    frames = Frames(frames.index[again], frames.inputs[again], frames.outputs[again])
    run = real.run(frames.inputs)
    check_frames(real.design, frames, run, explainer(context, model, folder, frames, run))
    found = performance.metrics(real.design, run)
    report = {**sizes.report(simulator.design), "confirmed": lasting(found)}
    write_report(context, SIZING, report)
    write_report(context, "fifo_config.json", fifos.fifo_config(model))
    write_report(context, "fifo_sizing.json", fifos.fifo_report(model))  # FINN's own, which had the least depths
    if found["interval"] > (1 + sizes.slack) * sizes.target:
        raise VerificationFailed(
            f"with the depths found, a frame takes {found['interval']:g} cycles in fifo.sv, not {sizes.target}",
            hint="give rtl.size_fifos some `slack`, and please report this with the recipe",
        )
    return model


def _stitched_aside(context: Context, model: ModelWrapper, folder: Path) -> Path:
    """A design that is looked at and thrown away: neither the model nor FINN's build folder keeps anything of it."""
    project = stitched.stitch(copy.deepcopy(model), *target_of(context), empty(folder))
    shutil.rmtree(project.get_metadata_prop("vivado_stitch_proj"))
    return folder
