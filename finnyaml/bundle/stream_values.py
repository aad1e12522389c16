"""What goes over the two streams of an accelerator: the values at its boundary, and what becomes of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.bundle import golden, host_part
from finnyaml.finn.ports import Port, check_hardware, ports
from finnyaml.verify.data.layout import taken
from finnyaml.verify.executor import BatchedModel

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.verify.data.dataset import DataSet


@dataclass(frozen=True)
class Frames:
    """Values at the boundary, in the smallest dtype for their datatype.

    index: the samples' numbers in the data set, int64 [n]. inputs, outputs: [n, ...], FINN's layout (channels last).
    """

    index: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray


def of_data(whole: ModelWrapper, model: ModelWrapper, data: DataSet, layout: str | None) -> Frames:
    """What the samples of a data set are at the boundary, by FINN's Python execution.

    whole: from the data to the outputs. model: the accelerator's layers. layout: how the recipe says that the
    accelerator gets its data.
    Raises StepFailed: the accelerator has several streams; a value that its datatype cannot hold.
    """
    ends = ports(model)
    graph = BatchedModel(whole, taps=[end.tensor for end in ends])
    index, values = [], []
    for batch in data.batches(data.batch):
        result = graph.run(taken(batch.inputs, graph.input_shape, data.layout, layout))
        index.append(batch.index)
        values.append([_fitting(result[end.tensor], end) for end in ends])
    inputs, outputs = (np.concatenate(column) for column in zip(*values, strict=True))
    return Frames(np.concatenate(index), inputs, outputs)


def at_random(model: ModelWrapper, count: int) -> Frames:
    """Random values of the input's datatype, always the same ones, and what the layers make of them."""
    first, last = ports(model)
    samples = golden.at_random(tuple(first.normal[1:]), parse(first.datatype), count)
    graph = BatchedModel(model)
    outputs = graph.run(samples.inputs)[graph.outputs[0]]
    return Frames(samples.index, _fitting(samples.inputs, first), _fitting(outputs, last))


def inside(model: ModelWrapper, inputs: np.ndarray, tensors: Collection[str]) -> dict[str, np.ndarray]:
    """What `tensors` of the accelerator's layers hold, [n, ...] by name, for inputs [n, ...] at its boundary; without
    those that no executor has.
    """
    prepared = {name for node in BatchedModel(model).model.graph.node for name in node.output}
    graph = BatchedModel(model, taps=[name for name in tensors if name in prepared])
    return graph.run(inputs)


def network_outputs(parent: ModelWrapper | None, model: ModelWrapper, outputs: np.ndarray) -> np.ndarray:
    """What the host makes of the accelerator's outputs [n, ...], channels last: [n, *output.shape]."""
    check_hardware(model, parent)
    assert parent is not None
    _, tail = host_part.head_and_tail(parent)
    if not tail.graph.node:
        return outputs
    graph = BatchedModel(tail)
    return graph.run(outputs)[graph.outputs[0]]


def _fitting(values: np.ndarray, end: Port) -> np.ndarray:
    return golden.fitting(values, parse(end.datatype), f"the accelerator's {end.tensor}")


def mismatches(found: np.ndarray, expected: np.ndarray) -> Mapping[str, int]:
    """How many frames, and values, of two arrays [frames, ...] are not the same."""
    differs = found.reshape(len(found), -1) != expected.reshape(len(expected), -1)
    return {"frames": int(differs.any(axis=1).sum()), "values": int(differs.sum())}
