"""The search for a loss: which samples, which step, and the loss as data and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finnyaml.verify.bisect.result import Samples, sentences, to_json
from finnyaml.verify.bisect.within import find_loss
from finnyaml.verify.classes import class_labels, predictions
from finnyaml.verify.data.layout import delivered
from finnyaml.verify.gates import FEW, USUAL_DROP
from finnyaml.worker.context import Context, needed_model
from finnyaml.worker.functions import function_of
from finnyaml.worker.inputs import data_set, reference_of, whole_graph

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> None:
    """Find where in a step accuracy (without labels: agreement) is lost; the metrics hold the loss, also `told`."""
    step, most = context.params["step"], context.params["max_drop"]
    inner = Context(**{**vars(context), "uses": step["uses"], "params": step["params"], "metrics": {}, "keeping": None})

    def step_run(model: ModelWrapper) -> ModelWrapper:
        inner.model = model
        result: ModelWrapper = function_of(step["runner"])(inner)
        return result

    found = find_loss(
        needed_model(context),
        step_run,
        _samples(context),
        # Half, since what was lost before this step counts towards the limit, too.
        tolerance=0.0 if context.params.get("exact") else (USUAL_DROP if most is None else most) / 2,
        step=step["uses"],
        complete=lambda model: whole_graph(context, model),
        changed=0.0 if context.params.get("exact") else None if context.params["may_change"] else FEW,
    )
    if found.picture is not None:
        folder = context.root / context.params["folder"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "difference.png").write_bytes(found.picture)
    context.metrics["loss"] = {**to_json(found), "told": sentences(found)}


def _samples(context: Context) -> Samples:
    """All samples in memory: there are few, and every state is run on them."""
    params, metric = context.params, context.params["metric"]
    data, reference = data_set(context, params["data"]), reference_of(context)
    batches = list(data.batches(data.batch))
    inputs = np.concatenate([delivered(batch.inputs, data.layout, params["layout"]) for batch in batches])
    if params.get("exact"):
        return Samples(inputs, indices=metric["indices"])
    outputs = np.concatenate(list(reference.pieces(data.chunks(data.batch)))) if reference is not None else None
    if metric["kind"] not in ("top_k", "agreement"):
        return Samples(inputs, outputs=outputs)
    labels = class_labels(np.concatenate([batch.labels for batch in batches])) if data.labelled else None
    expected = None if outputs is None else predictions(outputs, metric["indices"])
    return Samples(inputs, labels, expected, indices=metric["indices"])
