"""The search for a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnyaml.verify.bisect.find import find
from finnyaml.worker.context import Context, needed_model
from finnyaml.worker.functions import function_of
from finnyaml.worker.inputs import data_set, reference_of, whole_graph

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> None:
    """Find where in a step accuracy is lost; the metrics hold the loss."""
    step = context.params["step"]
    inner = Context(**{**vars(context), "uses": step["uses"], "params": step["params"], "metrics": {}})

    def step_run(model: ModelWrapper) -> ModelWrapper:
        inner.model = model
        result: ModelWrapper = function_of(step["runner"])(inner)
        return result

    context.metrics["loss"] = find(
        needed_model(context),
        step_run,
        lambda model: whole_graph(context, model),
        data_set(context, context.params["data"]),
        reference_of(context),
        step["uses"],
        context.root / context.params["folder"],
        classifies=context.params["metric"]["kind"] in ("top_k", "agreement"),
        indices=context.params["metric"]["indices"],
        layout=context.params["layout"],
        max_drop=context.params["max_drop"],
    )
