"""Pre- and post-processing, merged into the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnyaml.steps import processing
from finnyaml.worker.context import Context, input_spec, needed_model, processing_stage

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> ModelWrapper:
    """Merge pre- or post-processing stages into the graph."""
    model = needed_model(context)
    listed = [processing_stage(context, item) for item in context.params["stages"]]
    if context.uses == "preprocess":
        return processing.preprocess(model, listed, input_spec(context.params), context.recipe_dir)
    return processing.postprocess(model, listed, context.recipe_dir)
