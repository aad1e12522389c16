"""The RTL of all layers joined to one design."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnyaml.finn import stitched
from finnyaml.worker.context import Context, needed_model
from finnyaml.worker.runners.rtl.common import DESIGN, empty, target_of

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> ModelWrapper:
    """Join the RTL of all layers to one design."""
    part, clock_ns = target_of(context)
    folder = empty(context.root / DESIGN)
    return stitched.stitch(needed_model(context), part, clock_ns, folder)
