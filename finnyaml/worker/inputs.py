"""What runners take from the files and parameters of their task: graphs, data, outputs to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.verify.data.dataset import open_data
from finnyaml.verify.outputs import Stored
from finnyaml.worker.context import Context

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.verify.data.dataset import DataSet

PARENT = "out/intermediate_models/dataflow_parent.onnx"
"""Where FINN keeps the graph around the dataflow partition."""


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
    return open_data(spec, context.file, context.recipe_dir)


def reference_of(context: Context) -> Any:
    """The outputs to compare with, by batch and under the name that messages call them; None where there are none."""
    spec = context.params["reference"]
    if spec is None:
        return None
    path: Path = context.root / spec["tree"] if "tree" in spec else context.file(spec["file"])
    return Stored(spec["name"], path, "outputs" if "tree" in spec else spec["key"])


def before(context: Context) -> Stored | None:
    """The outputs of the nearest earlier point that could be measured and that this one must not differ from."""
    folder = (context.root / context.params["file"]).parent
    for step in context.params.get("before", ()):
        path = folder / f"{step}.npz"
        try:
            with path.open("rb"):  # opened, so that the trace knows of it, also where there is none
                return Stored(step, path, "outputs")
        except FileNotFoundError:
            continue
    return None
