"""The design as a folder of its own."""

from __future__ import annotations

from finnyaml.rtl import export as exports
from finnyaml.worker.context import Context, needed_model
from finnyaml.worker.runners.rtl.common import design_of, empty
from finnyaml.worker.runners.rtl.frames import frames_of


def run(context: Context) -> None:
    """Write the design as a folder of its own."""
    frames = frames_of(context, needed_model(context))
    exports.export(design_of(context), empty(context.root / "out/rtl/export"), frames.inputs, frames.outputs)
