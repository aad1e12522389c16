"""The states of a step, measured: predictions and metric of each, with the reason of those that cannot execute."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.errors import StepFailed
from finnyaml.graph.operators import CHOICES, PARTITION
from finnyaml.graph.view import is_hardware, kind
from finnyaml.verify import classes
from finnyaml.verify.bisect.fit import affine
from finnyaml.verify.bisect.history import History
from finnyaml.verify.bisect.result import Samples, Skipped
from finnyaml.verify.data.layout import fitted
from finnyaml.verify.executor import BatchedModel
from finnyaml.verify.executor.check import ROUNDING

_BATCH = 64
_CLOSE = 1e-3
"""How far an output may be from the reference's, as a fraction of the largest of those."""


class States:
    """The metric of each state of a trace, measured when first asked for."""

    def __init__(self, trace: History, data: Samples, complete: Callable[[ModelWrapper], ModelWrapper]) -> None:
        self.trace = trace
        self.skipped: dict[int, Skipped] = {}
        self._data = data
        self._complete = complete
        self._first: np.ndarray | None = None
        self._predictions: dict[bytes, np.ndarray | None] = {}  # by graph: a step may come back to one it had
        self._known = {trace.states[0].signature, trace.states[-1].signature}

    @property
    def evaluated(self) -> int:
        """On how many graphs the metric was measured."""
        return sum(predictions is not None for predictions in self._predictions.values())

    def metric(self, index: int) -> float | None:
        """How many samples are predicted right (or as the reference does), 0 to 1; None if it does not execute."""
        predictions = self.predictions(index)
        if predictions is None:
            return None
        wanted = self._data.labels if self._data.labels is not None else self._data.reference
        if self._data.outputs is not None or wanted is None:
            return float(np.mean(predictions))
        return float(np.mean(predictions == np.asarray(wanted)))

    def predictions(self, index: int) -> np.ndarray | None:
        """Classes int64 [n] of all samples; of what is not a classifier 1 (as the reference) or 0.

        None if the state does not execute (`skipped` then tells why).
        """
        state = self.trace.states[index]
        if state.skeleton not in self._predictions:
            self._predictions[state.skeleton] = None
            try:
                if state.signature not in self._known:
                    raise StepFailed("another graph, which the step transforms on the way")
                self._predictions[state.skeleton] = self._run(index)
            except Exception as error:  # a graph that is half done can fail in any way, in any library
                self.skipped[index] = Skipped(index, "/".join(state.path), _first_line(error))
        return self._predictions[state.skeleton]

    def require(self, index: int, what: str) -> None:
        """Make sure that a state executes: StepFailed with the reason if not."""
        if self.predictions(index) is None:
            reason = self.skipped[index].reason if index in self.skipped else "see above"
            raise StepFailed(f"accuracy cannot be bisected: {what} does not execute: {reason}")

    def model(self, index: int) -> ModelWrapper:
        """A state as a graph that takes the data set: a child of a partition is put into its parent."""
        model = self.trace.model(index)
        model = self._complete(model) if _is_child(model) else model
        return _scoring(model) if self._data.scores else model

    def _run(self, index: int) -> np.ndarray:
        batched = BatchedModel(self.model(index))
        parts = []
        for begin in range(0, len(self._data.inputs), _BATCH):
            batch = fitted(self._data.inputs[begin : begin + _BATCH], batched.input_shape, None)
            parts.append(batched.run(batch)[batched.outputs[0]])
        outputs: np.ndarray = np.concatenate(parts)
        if self._data.outputs is not None:
            return _same(outputs, self._data.outputs, _CLOSE)
        if self._data.labels is not None or self._data.reference is not None:
            return classes.predictions(outputs, self._data.indices)
        if self._first is None:  # state 0: it is asked for before any other
            self._first = outputs
        if self._data.scores and outputs.shape == self._first.shape:
            agree: np.ndarray = affine(self._first, outputs, None).agree
            whole: np.ndarray = np.logical_and.reduce(agree.reshape(len(outputs), -1), axis=1)
            return whole.astype(np.int64)
        return _same(outputs, self._first, ROUNDING)


def _same(outputs: np.ndarray, wanted: np.ndarray, tolerance: float) -> np.ndarray:
    """Whether all outputs of a sample are those wanted, within `tolerance` of the largest: [n, ...] to int64 [n]."""
    own: np.ndarray = outputs.reshape(len(outputs), -1).astype(np.float64)
    others: np.ndarray = wanted.reshape(len(wanted), -1).astype(np.float64)
    if own.shape != others.shape:
        return np.zeros(len(own), np.int64)
    close = np.abs(own - others) <= tolerance * np.abs(others).max(initial=0.0)
    same: np.ndarray = close.all(axis=1).astype(np.int64)
    return same


def _scoring(model: ModelWrapper) -> ModelWrapper:
    """The graph without the choice of classes that it ends in: its scores are the output."""
    last = model.find_producer(model.graph.output[0].name)
    if last is None or kind(last) not in CHOICES:
        return model
    scores = model.get_tensor_valueinfo(last.input[0])
    if scores is None:
        raise StepFailed("the graph does not know the shape of its scores")
    model.graph.output[0].CopyFrom(scores)
    model.graph.value_info.remove(scores)
    model.graph.node.remove(last)
    return model


def _is_child(model: ModelWrapper) -> bool:
    """Whether this is the graph inside a dataflow partition: hardware layers only, none of them a partition."""
    nodes = model.graph.node
    return bool(nodes) and all(is_hardware(node) and node.op_type != PARTITION for node in nodes)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    text = re.sub(r"\[ONNXRuntimeError\][ :\d]+[A-Z_]+ : ", "", lines[0])  # its codes tell nobody anything
    return text[:200] if isinstance(error, StepFailed) else f"{type(error).__name__}: {text}"[:200]
