"""The model as its author wrote it, as one clean QONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnyaml.steps import code, source
from finnyaml.worker.context import Context, code_ref, input_spec

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def brevitas(context: Context) -> ModelWrapper:
    """Export a Brevitas module to QONNX and annotate its input."""
    params = context.params
    spec = input_spec(params)
    factory = code.load_function(code_ref(context), context.recipe_dir)
    weights = context.file(params["weights"]) if params.get("weights") else None
    key, options = params.get("weights_key"), params.get("export", {})
    proto = source.export_brevitas(factory, params["args"], weights, key, spec.shape or (), options)
    return source.annotate_input(proto, spec)


def onnx(context: Context) -> ModelWrapper:
    """Read an ONNX file, QONNX or FINN dialect, and annotate its input."""
    proto = source.read_onnx(context.file(context.params["file"]))
    return source.annotate_input(proto, input_spec(context.params))
