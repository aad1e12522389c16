"""Known causes of lost accuracy: what each looks like, what happened, what to do.

A recogniser looks at the first tensor that is wrong and at the two graphs around the transformation. It speaks only
where its evidence is there; the first that does is believed, so the specific ones stand before the general ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from finnyaml import plugins
from finnyaml.graph.layers import Graph
from finnyaml.graph.operators import LINEAR, THRESHOLD
from finnyaml.graph.view import View, attributes, is_hardware
from finnyaml.lint.padding import unrepresentable
from finnyaml.verify.bisect.changes import Change
from finnyaml.verify.bisect.match import Difference
from finnyaml.verify.bisect.result import Cause, TensorFinding
from finnyaml.verify.bisect.run import Run

_MOST = 3
"""So many changed nodes at most are named."""


@dataclass(frozen=True)
class Case:
    """Both sides of the transformation, run on the same samples, and the first wrong tensor of `after`.

    `changes`: what is different of the nodes that it comes from, in the order of the graph.
    """

    before: Run
    after: Run
    difference: Difference
    finding: TensorFinding
    changes: tuple[Change, ...] = ()

    @property
    def node(self) -> Any:
        """The node that makes the wrong tensor."""
        return self.after.graph.producer(self.difference.name)

    @property
    def former(self) -> Any:
        """The node that made its counterpart; None if that is the input of the network."""
        return self.before.graph.producer(self.difference.counterpart)


def explain(case: Case) -> Cause | None:
    """The cause, if it is a known one. Plug-ins are asked first: they are there for something special."""
    recognisers = (*(plugins.load("causes", name) for name in plugins.installed("causes")), *_RECOGNISERS)
    return next((cause for recogniser in recognisers if (cause := recogniser(case)) is not None), None)


def of_changes(changes: Sequence[Change], graph: Graph) -> Cause | None:
    """Changed nodes as a cause, also where no tensor can be told to be wrong; None where none computes otherwise."""
    known = [item for item in changes if item.former is not None]
    named = [item for item in known if item.computes] or known
    if not named:
        return None
    told = [f"{graph.readable(item.node.output[0])[1]}: {', '.join(item.what)}" for item in named[:_MOST]]
    more = f"; and {len(named) - _MOST} nodes more" if len(named) > _MOST else ""
    return Cause(
        "node-changed",
        f"{'; '.join(told)}{more}",
        "undo it in the step that does it; where it is meant, let the step say `expect: change`",
    )


def _changed(case: Case) -> Cause | None:
    return of_changes([item for item in case.changes if item.computes], case.after.graph)


def _changed_types(case: Case) -> Cause | None:
    return of_changes(case.changes, case.after.graph)


def _padding(case: Case) -> Cause | None:
    if not _at_the_border(case):
        return None
    concerned = [case.node, *case.after.graph.windows_of(case.node)]
    for padded in unrepresentable(View(case.after.graph.model)):
        if any(padded.node.output[0] == node.output[0] for node in concerned):
            return Cause(
                "padding-cannot-be-represented",
                f"{case.finding.node} is padded with {padded.value:g}, but its input is bipolar: the values -1 and +1 "
                f"in one bit cannot represent {padded.value:g}, so the padding counts as -1",
                "insert the step represent_padding after tidy_up (exact, no retraining); or pad with -1 in training; "
                "or train with 2-bit activations",
            )
    return None


def _at_the_border(case: Case) -> bool:
    """Whether mismatches lie at the border, or lie everywhere because padding reaches every pixel."""
    if case.finding.where.kind == "border":
        return True
    axis = case.after.graph.channel_axis(case.difference.name, case.finding.shape)
    if case.finding.where.kind != "spread" or len(case.finding.shape) != 4 or axis is None:
        return False
    size = min(case.finding.shape[index] for index in (1, 2, 3) if index != axis)
    pads = [amount for node in (case.node, *case.after.graph.windows_of(case.node)) for amount in _pads(node)]
    return size <= 2 * max(pads, default=0)


def _pads(node: Any) -> list[int]:
    """How far a node pads its input on each side, in pixels."""
    written = attributes(node)
    return [int(amount) for name in ("pads", "pad_amount", "Padding") for amount in written.get(name, ())]


def _threshold_range(case: Case) -> Cause | None:
    thresholds = _constant_thresholds(case.after.graph, case.node)
    if thresholds is None:
        return None
    name, values = thresholds
    datatype = case.after.graph.model.get_tensor_datatype(name)
    source = case.after.graph.dynamic_inputs(case.node)[0]
    reached = case.after.values.get(source)
    if not datatype.is_integer() or reached is None:
        return None
    low, high = float(reached.min()), float(reached.max())
    cut_low = low < datatype.min() and values.min() == datatype.min()
    cut_high = high > datatype.max() and values.max() == datatype.max()
    if not (cut_low or cut_high):
        return None
    return Cause(
        "threshold-datatype-too-narrow",
        f"the thresholds of {case.finding.node} are {datatype.name} ({datatype.min():g} to {datatype.max():g}) and are "
        f"cut off there, but the accumulator reaches {low:g} to {high:g}",
        "give the thresholds the data type of the accumulator (minimize_bit_width chooses it; look for a step that "
        "sets weightDataType or accDataType by hand)",
    )


def _threshold_rounding(case: Case) -> Cause | None:
    new = _constant_thresholds(case.after.graph, case.node)
    old = _constant_thresholds(case.before.graph, case.former)
    if new is None or old is None or new[1].shape != old[1].shape:
        return None
    a, b = old[1], new[1]
    if (a % 1 == 0).all() or (b % 1 != 0).any() or (np.abs(a - b) > 1).any():
        return None
    source = case.after.values.get(case.after.graph.dynamic_inputs(case.node)[0])
    whole = source is not None and bool((source % 1 == 0).all())
    if whole and np.array_equal(b, np.ceil(a)):
        return None  # exact: integers are at least 2.3 if and only if they are at least 3
    why = (
        "they are not rounded up, and only that is exact for integers"
        if whole
        else "its input is not integer, so that no rounding is exact"
    )
    return Cause(
        "thresholds-rounded",
        f"the thresholds of {case.finding.node} were rounded to integers: {why}",
        "let streamlining absorb the scale in front of the thresholds first, or quantize that input; "
        "round_and_clip_thresholds belongs behind it",
    )


def _range(case: Case) -> Cause | None:
    # What was so before the transformation, under whatever name, did no harm then.
    known = {(item.datatype, item.low, item.high) for item in case.before.violations}
    graph = case.after.graph
    here = graph.position(case.difference.name)
    new = [
        item
        for item in case.after.violations
        if (item.datatype, item.low, item.high) not in known and graph.position(item.tensor) <= here
    ]
    datatype, values = graph.model.get_tensor_datatype(case.difference.name), case.after.values[case.difference.name]
    at_the_end = datatype.is_integer() and (values.min() == datatype.min() or values.max() == datatype.max())
    if new:
        nearest = max(new, key=lambda item: graph.position(item.tensor))
        text = (
            f"{nearest.tensor}{f' of {nearest.node}' if nearest.node else ''} is annotated {nearest.datatype}, "
            f"but holds values from {nearest.low:g} to {nearest.high:g}"
        )
    elif case.finding.where.kind == "saturated" and at_the_end:
        text = (
            f"{case.finding.name} of {case.finding.node} is cut off at the end of its data type {datatype.name} "
            f"({datatype.min():g} to {datatype.max():g}), and should reach further"
        )
    else:
        return None
    return Cause(
        "value-outside-range",
        text,
        "find what annotates the tensor too narrow: the input's datatype in the recipe, the bit width of a quantizer, "
        "or a step that sets data types by hand",
    )


def _outside_partition(case: Case) -> Cause | None:
    graph = case.after.graph
    hardware = [index for index, node in enumerate(graph.nodes) if is_hardware(node)]
    for node in _neighbourhood(case):
        position = graph.position(node.output[0])
        inside = hardware and hardware[0] < position < hardware[-1]
        if hardware and not inside and not is_hardware(node) and node.op_type in LINEAR:
            return Cause(
                "scale-outside-partition",
                f"{node.name} ({node.op_type}) stands outside the accelerator: the host has to compute it, "
                "and whoever reads the accelerator's output alone gets other values",
                "end in top_k, which no scale changes; or let the host apply the scale and bias; or streamline it away",
            )
    return None


def _unconverted(case: Case) -> Cause | None:
    graph = case.after.graph
    if not any(is_hardware(node) for node in graph.nodes):
        return None
    for node in _neighbourhood(case):
        if graph.model.get_tensor_datatype(node.output[0]).is_integer():
            continue
        what = "is computed in floating point" if is_hardware(node) else "is float and was not converted to hardware"
        return Cause(
            "float-in-dataflow",
            f"{node.name} ({node.op_type}) {what}",
            "look why streamlining left it: a branch before it, a scale per channel where FINN wants one number, "
            "or a missing quantizer; `finnyaml lint` names the reason",
        )
    return None


_RECOGNISERS = (
    *(_padding, _threshold_range, _threshold_rounding, _changed, _range),
    *(_outside_partition, _unconverted, _changed_types),
)


def _neighbourhood(case: Case) -> Iterator[Any]:
    """The node of the wrong tensor and those that feed it."""
    yield case.node
    for name in case.after.graph.dynamic_inputs(case.node):
        if (node := case.after.graph.producer(name)) is not None:
            yield node


def _constant_thresholds(graph: Graph, node: Any) -> tuple[str, np.ndarray] | None:
    """Name and values [channels, steps] of the thresholds that a node compares with."""
    if node is None or node.op_type not in THRESHOLD:
        return None
    values = graph.model.get_initializer(node.input[1])
    return None if values is None else (str(node.input[1]), np.sort(np.asarray(values), axis=-1))
