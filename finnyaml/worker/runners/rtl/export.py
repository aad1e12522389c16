"""The design as a folder of its own."""

from __future__ import annotations

from dataclasses import asdict

from finnyaml.bundle import stream_values, telling
from finnyaml.rtl import export as exports
from finnyaml.worker.context import Context, needed_model
from finnyaml.worker.runners.rtl.common import design_of, empty
from finnyaml.worker.runners.rtl.frames import frames_of


def run(context: Context) -> None:
    """Write the design as a folder of its own, with the frames that tell the most of wrong bits."""
    model, most = needed_model(context), context.params["frames"]
    at_random = context.params["data"] is None
    count = context.params["candidates"]
    candidates = stream_values.at_random(model, count) if at_random else frames_of(context, model)
    frames, told = telling.choose(model, candidates, most)
    figures = None if told is None else asdict(told)
    if figures is not None:
        context.metrics["golden_frames"] = {"frames": len(frames.inputs), **figures}
    folder = empty(context.root / "out/rtl/export")
    exports.export(design_of(context), folder, frames.inputs, frames.outputs, figures)
