"""One verification point: a graph of the build on a data set, measured and compared. Runs in workers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finnyaml.errors import StepFailed
from finnyaml.verify.classes import predictions
from finnyaml.verify.data.dataset import Batch, DataSet
from finnyaml.verify.data.layout import taken
from finnyaml.verify.executor import BatchedModel, NotExecutable, checked, input_of
from finnyaml.verify.metrics import Agreement, Metric, wilson
from finnyaml.verify.outputs import BATCH, Archive, Recorded, Stored

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

CHECKED = 2
"""Samples on which the batched executor is compared with qonnx's own."""


def measure(
    model: ModelWrapper,
    data: DataSet,
    new_metric: Callable[[], Metric],
    reference: Stored | None,
    path: Path,
    *,
    indices: bool,
    layout: str | None,
    tolerance: Mapping[str, float] | None,
    recorded: Recorded | None = None,
) -> dict[str, Any]:
    """Run the graph on all samples, archive its outputs and measure them.

    Args:
        model: a graph with one input and one output, any stage of a build; not changed.
        new_metric: makes an empty metric.
        reference: the outputs to compare with.
        path: where the outputs go, an .npz archive (see `finnyaml.verify.outputs`).
        indices: the outputs are class indices, best first, and not scores.
        layout: the layout in which the recipe says that the accelerator gets its data.
        tolerance: `atol` and `rtol`, within which an output counts as equal to the reference's.
        recorded: what hardware made of these samples, measured in place of the graph's.

    Returns:
        the measurement as plain data (docs/verification.md describes it). A graph that cannot be executed here gives a
        measurement without a value, and the reason; so does the reference itself under a metric that compares with one.

    Raises:
        StepFailed: the data or the metric do not fit.
    """
    started = time.process_time()
    metric = new_metric()
    if metric.needs_labels and not data.labelled:
        raise StepFailed(
            f"the metric {metric.name} needs labels, and verify.data has none",
            hint="name them (`labels:`), or measure `metric: agreement`",
        )
    try:
        graph = recorded or _compiled(model, data, layout)
    except NotExecutable as error:
        return {"state": "not executable", "reason": str(error), "metric": metric.name, "samples": data.size}
    compares = reference is not None or not metric.needs_reference
    comparison = _Comparison(new_metric(), indices, tolerance)
    data_type = ""
    if reference is not None:
        reference.check(data.total)
    references = repeat(None) if reference is None else reference.pieces(data.chunks(BATCH))
    with Archive(path, data.size) as archive:
        for batch, expected in zip(data.batches(BATCH), references, strict=False):
            data_type = str(batch.inputs.dtype)
            outputs = _outputs(graph, batch, data, layout)
            if compares:
                metric.update(outputs, batch.labels, expected)
            if expected is not None:
                comparison.update(outputs, batch.labels, expected)
            archive.add(index=batch.index, outputs=outputs, predictions=_classes(outputs, indices), labels=batch.labels)
    common = {
        "metric": metric.name,
        "samples": data.size,
        "data_type": data_type,
        "violations": [] if isinstance(graph, Recorded) else _violations(graph),
        "fallbacks": [] if isinstance(graph, Recorded) else [asdict(item) for item in graph.fallbacks],
        "notices": [] if isinstance(graph, Recorded) else list(graph.notices),
        "cpu_seconds": round(time.process_time() - started, 3),
    }
    if not compares:
        return {"state": "reference", **common}
    measured = {
        "state": "measured",
        **_value(metric),
        "higher_is_better": metric.higher_is_better,
        "interval": list(wilson(round(metric.value * data.size), data.size)) if metric.is_fraction else None,
        "agreement": comparison.agreement.value if reference is not None and comparison.agreement else None,
        "outside_tolerance": comparison.outside if reference is not None else None,
        **common,
    }
    if reference is not None:
        measured["reference"] = {"name": reference.name, **_value(comparison.metric)}
    return measured


class _Comparison:
    """Outputs against those of the reference: the metric of these, equal predictions, outputs outside the tolerance.

    agreement: None once the outputs turn out not to be classes. outside: how many samples have an output further from
    the reference's than allowed; None without a tolerance, and where shapes differ.
    """

    def __init__(self, metric: Metric, indices: bool, tolerance: Mapping[str, float] | None) -> None:
        self.metric = metric
        self.agreement: Agreement | None = Agreement(indices)
        self.outside = None if tolerance is None else 0
        self._tolerance = tolerance or {}

    def update(self, outputs: np.ndarray, labels: np.ndarray | None, expected: np.ndarray) -> None:
        """Take in a batch: [n, ...], its labels, and the reference's outputs [n, ...]."""
        self.metric.update(expected, labels, expected)
        if self.agreement is not None:
            try:
                self.agreement.update(outputs, None, expected)
            except StepFailed:
                self.agreement = None
        if outputs.size != expected.size:
            self.outside = None
        if self.outside is not None:
            own: np.ndarray = outputs.reshape(len(outputs), -1).astype(np.float64)
            others: np.ndarray = expected.reshape(len(expected), -1).astype(np.float64)
            allowed = self._tolerance["atol"] + self._tolerance["rtol"] * np.abs(others)
            self.outside += int(np.count_nonzero((~(np.abs(own - others) <= allowed)).any(axis=1)))


def _value(metric: Metric) -> dict[str, Any]:
    """The value of a metric and how people read it; what is not finite, which JSON lacks, as a word `float` reads."""
    value = metric.value
    return {"value": value if math.isfinite(value) else str(value), "shown": metric.shown(value)}


def _violations(graph: BatchedModel) -> list[dict[str, Any]]:
    """Tensors that left the range of their datatype, each with its place: the input, a hardware layer, the graph."""
    nodes = graph.model.graph.node
    places = {name: "hardware" for node in nodes if node.domain.startswith("finn.") for name in node.output}
    places[graph.input] = "input"
    return [{**asdict(item), "place": places.get(item.tensor, "graph")} for item in graph.violations]


def _compiled(model: ModelWrapper, data: DataSet, layout: str | None) -> BatchedModel:
    """The graph, ready to run on batches, and found equal to qonnx's execution on the first samples."""
    first = next(data.batches(CHECKED))
    _, shape = input_of(model)
    return checked(model, taken(first.inputs, shape, data.layout, layout))


def _outputs(graph: BatchedModel | Recorded, batch: Batch, data: DataSet, layout: str | None) -> np.ndarray:
    if isinstance(graph, Recorded):
        return graph.of(batch.index)
    return graph.run(taken(batch.inputs, graph.input_shape, data.layout, layout))[graph.outputs[0]]


def _classes(outputs: np.ndarray, indices: bool) -> np.ndarray | None:
    """The class of each sample, int64 [n]; None where the model is not a classifier."""
    try:
        return predictions(outputs, indices)
    except StepFailed:
        return None
