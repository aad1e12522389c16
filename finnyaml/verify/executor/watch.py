"""Watching tensors against their annotated datatypes, in the graph and at run time, as cheaply as possible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from finnyaml.graph.view import attributes, name
from finnyaml.verify.executor.base import Lowering
from finnyaml.verify.executor.interval import Interval
from finnyaml.verify.executor.prepare import refuse_rounding

# standard operators whose results are values of their first input
CHOOSING = {
    "Flatten", "Gather", "GlobalMaxPool", "Identity", "MaxPool", "Pad", "ReduceMax", "ReduceMin", "Reshape", "Slice",
    "Split", "Squeeze", "Transpose", "Unsqueeze",
}  # fmt: skip


@dataclass
class Violation:
    """A tensor that holds values its annotated datatype cannot represent; low and high: the extremes seen outside."""

    tensor: str
    node: str
    op_type: str
    datatype: str
    low: float
    high: float


class Violations(dict[str, Violation]):
    """All violations so far, by tensor, widened as more is seen."""

    def add(self, tensor: str, node: NodeProto | None, datatype: str, low: float, high: float) -> None:
        """Record that a tensor made by `node` (None: the graph's input) held values of [low, high] that do not fit."""
        maker, op_type = (name(node), node.op_type) if node is not None else ("", "")
        known = self.setdefault(tensor, Violation(tensor, maker, op_type, datatype, low, high))
        known.low, known.high = min(known.low, low), max(known.high, high)


@dataclass(frozen=True)
class Watch:
    """Extremes of one tensor that a segment returns beside its outputs. rounded: how far it was from integers, too."""

    tensor: str
    node: NodeProto
    datatype: Any
    ranged: bool
    rounded: bool

    @property
    def names(self) -> list[str]:
        marks = ("low", "high") * self.ranged + ("near",) * (self.ranged and self.bipolar) + ("error",) * self.rounded
        return [f"{self.tensor}~{mark}" for mark in marks]

    @property
    def bipolar(self) -> bool:
        return bool(self.datatype.name == "BIPOLAR")

    def limit(self, bounds: Mapping[str, Interval]) -> float | None:
        """What the tensor must not exceed, if that is all there is to watch."""
        low = bounds[self.tensor].low
        alone = self.ranged and not self.rounded and not self.bipolar and low >= self.datatype.min()
        return float(self.datatype.max()) if alone else None

    def nodes(self) -> list[NodeProto]:
        """The nodes that compute `names`."""
        made = []
        if self.ranged:
            made.append(helper.make_node("ReduceMin", [self.tensor], [f"{self.tensor}~low"], keepdims=0))
            made.append(helper.make_node("ReduceMax", [self.tensor], [f"{self.tensor}~high"], keepdims=0))
        if self.ranged and self.bipolar:
            made.append(helper.make_node("Abs", [self.tensor], [f"{self.tensor}~size"]))
            made.append(helper.make_node("ReduceMin", [f"{self.tensor}~size"], [f"{self.tensor}~near"], keepdims=0))
        if self.rounded:
            made.append(helper.make_node("Sub", [self.tensor, unrounded(self.tensor)], [f"{self.tensor}~off"]))
            made.append(helper.make_node("Abs", [f"{self.tensor}~off"], [f"{self.tensor}~far"]))
            made.append(helper.make_node("ReduceMax", [f"{self.tensor}~far"], [f"{self.tensor}~error"], keepdims=0))
        return made

    def look(self, values: Mapping[str, np.ndarray], violations: Violations) -> None:
        """Judge one batch by what `nodes` computed, scalars by name. Raises NotExecutable: values are not integers."""
        if self.rounded:
            refuse_rounding(float(values[f"{self.tensor}~error"]), self.datatype, self.tensor)
        if not self.ranged:
            return
        low, high = float(values[f"{self.tensor}~low"]), float(values[f"{self.tensor}~high"])
        if low < self.datatype.min() or high > self.datatype.max():
            violations.add(self.tensor, self.node, self.datatype.name, low, high)
        elif self.bipolar and float(values[f"{self.tensor}~near"]) != 1:
            violations.add(self.tensor, self.node, self.datatype.name, 0.0, 0.0)


@dataclass(frozen=True)
class Guard:
    """Proof, batch by batch, that tensors which are not computed themselves stay below their limits.

    largest: the tensor of the largest result. first: the smallest value of it that is not a proof.
    """

    tensors: tuple[str, ...]
    largest: str
    first: int


def unrounded(tensor: str) -> str:
    """The name of a tensor before it is rounded to integers."""
    return f"{tensor}~unrounded"


def bounded(datatype: Any) -> bool:
    """Whether an annotation limits the values (a float one does not)."""
    return bool(datatype.is_integer() or datatype.is_fixed_point())


def allowed_extremes(value: np.ndarray, datatype: Any) -> tuple[float, float] | None:
    """The extremes of the values (any shape) that the datatype does not allow; None: all are allowed."""
    wrong = value[~np.asarray(datatype.allowed(value), bool)] if bounded(datatype) else value[:0]
    return (float(wrong.min()), float(wrong.max())) if wrong.size else None


def rounding(lowering: Lowering) -> list[str]:
    """Make the lowering round its outputs that are annotated as integers but not provably are, as qonnx does."""
    tensors = []
    for tensor in lowering.node.output:
        if not tensor or not lowering.datatype(tensor).is_integer() or lowering.interval(tensor).is_integer:
            continue
        for node in lowering.nodes:
            node.input[:] = [unrounded(t) if t == tensor else t for t in node.input]
            node.output[:] = [unrounded(t) if t == tensor else t for t in node.output]
        lowering.op("Round", [unrounded(tensor)], tensor)
        tensors.append(tensor)
    return tensors


def watches(lowering: Lowering, rounded: list[str], safe: set[str]) -> list[Watch]:
    """What to watch of the outputs of one node.

    safe: tensors that fit their annotation or are watched already; grows. Outputs that only choose among the values of
    a safe tensor of the same annotation need no watch.
    """
    found = []
    node = lowering.node
    for tensor in filter(None, node.output):
        datatype = lowering.datatype(tensor)
        ranged = bounded(datatype) and not lowering.interval(tensor).fits(datatype)
        if ranged and all(n.op_type in CHOOSING for n in lowering.nodes):
            origin = node.input[0]
            ranged = origin not in safe or lowering.datatype(origin).name != datatype.name
        if ranged or tensor in rounded:
            found.append(Watch(tensor, node, datatype, ranged, tensor in rounded))
        safe.add(tensor)
    return found


def padding_violations(lowering: Lowering, violations: Violations) -> None:
    """Report padding whose value the annotation of the node's output does not allow: no data is needed to know it."""
    datatype = lowering.datatype(lowering.y)
    if not bounded(datatype):
        return
    known = {**lowering.constants, **lowering.new_constants}
    for node in lowering.nodes:
        constant = node.op_type == "Pad" and attributes(node).get("mode", "constant") == "constant"
        if not constant or not np.any(known[node.input[1]]):
            continue
        value = float(known[node.input[2]]) if len(node.input) > 2 and node.input[2] else 0.0
        if not np.all(datatype.allowed(np.array([value], np.float32))) and math.isfinite(value):
            violations.add(lowering.y, lowering.node, datatype.name, value, value)
