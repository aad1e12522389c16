"""The model as its author wrote it, run on the data set."""

from __future__ import annotations

from finnyaml.steps import code, source
from finnyaml.verify import outputs
from finnyaml.verify import reference as references
from finnyaml.verify.data.layout import delivered
from finnyaml.worker.context import Context, code_ref, input_spec, needed_model, processing_stage
from finnyaml.worker.inputs import data_set


def run(context: Context) -> None:
    """Run the model as its author wrote it on the data set, and keep its outputs."""
    params = context.params
    data = data_set(context, params["data"])
    if params["model"] is None:
        first = delivered(next(data.batches(2)).inputs, data.layout, params["layout"])
        function = references.graph_reference(needed_model(context), first)
    else:
        model = params["model"]
        factory = code.load_function(code_ref(context, model["code"]), context.recipe_dir)
        weights = context.file(model["weights"]) if model.get("weights") else None
        module = source.load_module(factory, model["args"], weights, model.get("weights_key"))
        stages = [
            [processing_stage(context, item) for item in params.get(name, ())] for name in ("preprocess", "postprocess")
        ]
        function = references.torch_reference(module, input_spec(model), stages[0], stages[1], context.recipe_dir)
    outputs.keep(function, data, context.root / params["file"], layout=params["layout"])
    context.metrics["samples"] = data.size
    if params["golden"]:
        folder = (context.root / params["file"]).parent
        outputs.golden(function, data, folder, params["golden"], layout=params["layout"])
