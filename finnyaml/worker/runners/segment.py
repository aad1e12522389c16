"""A part of a phase of FINN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnyaml.finn.introspect import segment
from finnyaml.worker.context import Context, made_model, needed_model

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> ModelWrapper:
    """Run one compound statement of a FINN phase, exactly as FINN wrote it."""
    phase, index = context.params["phase"], context.params["index"]
    return made_model(segment(phase, index)(needed_model(context), context.config()), context)
