"""How the tasks that verify run, inside a worker: they look at what steps made, and leave it as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.worker.context import Context, code_ref, input_spec, needed_model, processing_stage

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.verify.data.dataset import DataSet

PARENT = "out/intermediate_models/dataflow_parent.onnx"
"""Where FINN keeps the graph around the dataflow partition."""


def reference(context: Context) -> None:
    """Run the model as its author wrote it on the data set, and keep its answers."""
    from finnyaml.steps import code, source
    from finnyaml.verify import answers
    from finnyaml.verify import reference as references
    from finnyaml.verify.data.layout import delivered

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
    kept = answers.keep(function, data, context.root / params["file"], layout=params["layout"])
    context.figures["samples"] = kept
    if params["golden"]:
        folder = (context.root / params["file"]).parent
        answers.golden(function, data, folder, params["golden"], layout=params["layout"])


def verify(context: Context) -> None:
    """Measure the model on the data set; the figures hold the measurement."""
    from finnyaml.verify.measure import measure
    from finnyaml.verify.metrics import make_metric
    from finnyaml.verify.recorded import Recorded

    params = context.params
    metric = params["metric"]
    simulated = params.get("simulated")
    measured = measure(
        whole_graph(context, needed_model(context)),
        data_set(context, params["data"]),
        lambda: make_metric(metric, context.file, context.recipe_dir, metric["indices"]),
        _reference(context),
        context.root / params["file"],
        indices=metric["indices"],
        layout=params["layout"],
        tolerance=params.get("tolerance"),
        recorded=Recorded.read(context.root / simulated) if simulated else None,
    )
    context.figures["measurement"] = measured
    kept = {name: value for name, value in measured.items() if name != "cpu_seconds"}  # equal measurements, equal files
    path = (context.root / params["file"]).with_suffix(".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n")
    print(_told(measured))


def _told(measured: Mapping[str, Any]) -> str:
    """A measurement for the log of its task."""
    lines = [f"{name}: {value}" for name, value in measured.items() if not isinstance(value, list)]
    return "\n".join([*lines, *measured.get("notices", ()), *map(str, measured.get("violations", ()))])


def bisect(context: Context) -> None:
    """Find where in a step accuracy is lost; the figures hold the localisation."""
    from finnyaml.verify.bisect.find import find
    from finnyaml.worker import runners

    step = context.params["step"]
    inner = Context(**{**vars(context), "uses": step["uses"], "params": step["params"], "figures": {}})

    def run(model: ModelWrapper) -> ModelWrapper:
        inner.model = model
        result: ModelWrapper = runners.RUNNERS[step["kind"]](inner)
        return result

    context.figures["localisation"] = find(
        needed_model(context),
        run,
        lambda model: whole_graph(context, model),
        data_set(context, context.params["data"]),
        _reference(context),
        step["uses"],
        context.root / context.params["folder"],
        classifies=context.params["metric"]["kind"] in ("top_k", "agreement"),
        indices=context.params["metric"]["indices"],
        layout=context.params["layout"],
        max_drop=context.params["max_drop"],
    )


def whole_graph(context: Context, model: ModelWrapper) -> ModelWrapper:
    """The graph from the data to the answer: a dataflow partition is put back into the graph it was cut from."""
    from finnyaml.verify.executor import whole_model

    parent = parent_of(context)
    return model if parent is None else whole_model(model, parent)


def parent_of(context: Context) -> ModelWrapper | None:
    """The graph that FINN cut the dataflow partition from; None before it did."""
    from qonnx.core.modelwrapper import ModelWrapper

    path = context.root / PARENT
    try:
        with path.open("rb"):  # opened, so that the trace knows of it, also where there is none
            pass
    except FileNotFoundError:
        return None
    return ModelWrapper(str(path))


def data_set(context: Context, spec: Mapping[str, Any]) -> DataSet:
    """The data that parameters of a task describe."""
    from finnyaml.verify.data.dataset import open_data

    return open_data(spec, context.file, context.recipe_dir)


def _reference(context: Context) -> Any:
    """The answers to compare with, by batch and under the name that messages call them; None where there are none."""
    from finnyaml.verify.answers import Answers

    spec = context.params["reference"]
    if spec is None:
        return None
    path: Path = context.root / spec["tree"] if "tree" in spec else context.file(spec["file"])
    return Answers(spec["name"], path, "outputs" if "tree" in spec else spec["key"])
