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
from finnyaml.graph.operators import CHOICES, LINEAR
from finnyaml.graph.view import kind
from finnyaml.verify.before import Unchanged
from finnyaml.verify.classes import predictions
from finnyaml.verify.data.dataset import Batch, DataSet
from finnyaml.verify.data.layout import taken
from finnyaml.verify.executor import BatchedModel, Broken, NotExecutable, checked, input_of
from finnyaml.verify.metrics import Agreement, Metric, TopK, wilson
from finnyaml.verify.outputs import Archive, Recorded, Stored

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
    before: Stored | None = None,
    whole_before: bool = False,
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
        before: the outputs of an earlier point, since which nothing may have changed. whole_before: what was measured
            there computed with integers alone.

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
        told = {"state": "not executable", "reason": str(error), "metric": metric.name, "samples": data.size}
        broken = isinstance(error, Broken) and before is not None
        return {**told, **({"broken_since": before.name} if broken and before else {})}
    compares = reference is not None or not metric.needs_reference
    comparison = _Comparison(new_metric(), indices, tolerance)
    data_type = ""
    if reference is not None:
        reference.check(data.total)
    unchanged = None if before is None else Unchanged(before, classes=metric.is_fraction, indices=indices)
    whole = not isinstance(graph, Recorded) and _is_whole(graph)
    stored = (reference, before, before.scores if before else None)
    pieces = [repeat(None) if item is None else item.pieces(data.chunks(data.batch)) for item in stored]
    with Archive(path, data.size) as archive:
        for batch, expected, earlier, old in zip(data.batches(data.batch), *pieces, strict=False):
            data_type = str(batch.inputs.dtype)
            outputs, scores = _outputs(graph, batch, data, layout)
            if compares:
                metric.update(outputs, batch.labels, expected)
            if expected is not None:
                comparison.update(outputs, batch.labels, expected)
            if unchanged is not None and earlier is not None:
                unchanged.update(earlier, outputs, old, scores)
            classes = _classes(outputs, indices)
            archive.add(index=batch.index, outputs=outputs, predictions=classes, labels=batch.labels, scores=scores)
    common = {
        "metric": metric.name,
        "samples": data.size,
        "data_type": data_type,
        "violations": [] if isinstance(graph, Recorded) else _violations(graph),
        "fallbacks": [] if isinstance(graph, Recorded) else [asdict(item) for item in graph.fallbacks],
        "notices": [] if isinstance(graph, Recorded) else list(graph.notices),
        "integers": whole,
        "before": None if unchanged is None else {**unchanged.found, "integers": whole and whole_before},
        "cpu_seconds": round(time.process_time() - started, 3),
    }
    if not compares:
        return {"state": "reference", **common}
    measured = {
        "state": "measured",
        **_value(metric),
        "higher_is_better": metric.higher_is_better,
        "chance": _chance(metric.k, outputs if scores is None and not indices else scores)
        if isinstance(metric, TopK)
        else None,
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


def _is_whole(graph: BatchedModel) -> bool:
    """Whether all is computed with integers, but for scales and offsets at the end: then nothing is ever rounded."""
    types, constants = graph.graph.datatypes, graph.graph.constants
    return all(
        types[tensor].is_integer()
        for node in graph.graph.nodes
        if node.op_type not in LINEAR and node.op_type not in CHOICES
        for tensor in (*node.input, *node.output)
        if tensor and tensor not in constants
    )


def _compiled(model: ModelWrapper, data: DataSet, layout: str | None) -> BatchedModel:
    """The graph, ready to run on batches, and found equal to qonnx's execution on the first samples."""
    first = next(data.batches(CHECKED))
    _, shape = input_of(model)
    return checked(model, taken(first.inputs, shape, data.layout, layout), taps=_scores(model))


def _scores(model: ModelWrapper) -> list[str]:
    """The tensor that the classes in the graph's output are chosen by, where it ends in such a choice."""
    last = model.find_producer(model.graph.output[0].name)
    return [last.input[0]] if last is not None and kind(last) in CHOICES else []


def _outputs(
    graph: BatchedModel | Recorded, batch: Batch, data: DataSet, layout: str | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The outputs of a batch, and the scores behind them where they are classes: [n, ...] each."""
    if isinstance(graph, Recorded):
        return graph.of(batch.index), None
    made = graph.run(taken(batch.inputs, graph.input_shape, data.layout, layout))
    outputs = made.pop(graph.outputs[0])
    return outputs, next(iter(made.values()), None)


def _chance(k: int, scores: np.ndarray | None) -> float | None:
    """Which fraction of labels is among the k best by chance; None where one does not know how many classes there are.

    `scores`: [n, ..., classes].
    """
    count = 0 if scores is None else scores[0].size
    return k / count if count > k else None


def _classes(outputs: np.ndarray, indices: bool) -> np.ndarray | None:
    """The class of each sample, int64 [n]; None where the model is not a classifier."""
    try:
        return predictions(outputs, indices)
    except StepFailed:
        return None
