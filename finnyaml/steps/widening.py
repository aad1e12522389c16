"""The exact repair of accumulators that are too narrow. Runs in workers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.graph.surgery import Node, Repaired, free_name, set_attributes, store_constant
from finnyaml.graph.view import View, attributes, kind, name
from finnyaml.lint.matrices import overflow

FOLLOWING = frozenset(("DuplicateStreams", "LabelSelect", "StreamingDataWidthConverter", "StreamingFIFO"))
"""The layers that take any integer and whose own types follow from their input's."""
WAY_OUT = "let FINN leave all sums at 32 bits: finn: {minimize_bit_width: false}"


def widen_accumulators(model: ModelWrapper) -> Repaired:
    """Let matrix layers whose sums their data type does not hold have the narrowest type that holds them.

    FINN's bit-width minimisation gives XNOR layers, which count 0 to K matches, the range of another sum. The types of
    what follows change with it, as FINN derives them. FINN sets all of them anew whenever it minimises, so this belongs
    after the last `minimize_bit_width`. In a dataflow partition only the graph inside changes: FINN's own minimisation
    leaves the parent as it is, too, and takes the driver's types from inside.

    Raises:
        StepFailed: FINN may have clipped a threshold to the type that is too narrow, or a layer that follows is none
            whose types FINN derives from its input's.
    """
    model = copy.deepcopy(model)
    view = View(model)
    taken = set(model.get_all_tensor_names())
    changes = []
    for node in view.nodes:
        wrong = overflow(view, node)
        if wrong is None:
            if any(model.get_tensor_datatype(tensor) != view.datatype(tensor) for tensor in view.dynamic_inputs(node)):
                _follow(model, view, node, taken)
            continue
        set_attributes(node, accDataType=wrong.right.name)
        told = f"{name(node)} has {wrong.right.name} for its sums from {wrong.low} to {wrong.high}"
        if attributes(node).get("noActivation"):
            set_attributes(node, outputDataType=wrong.right.name)
            model.set_tensor_datatype(node.output[0], wrong.right)
            told += ", and so has the graph output," if node.output[0] in view.outputs else ""
        else:
            _compare(model, view, node, 2, wrong.claimed, wrong.right, taken)
        changes.append(f"{told} instead of {wrong.claimed.name}")
    return Repaired(model, tuple(changes))


def _follow(model: ModelWrapper, view: View, node: Node, taken: set[str]) -> None:
    """Set the types of a layer whose input has another type than before."""
    if kind(node) == "Thresholding":
        old, new = view.datatype(node.input[0]), model.get_tensor_datatype(node.input[0])
        getCustomOp(node).infer_node_datatype(model)
        _compare(model, view, node, 1, old, new, taken)
    elif kind(node) in FOLLOWING:
        getCustomOp(node).infer_node_datatype(model)
    elif kind(node).startswith("Elementwise"):
        getCustomOp(node).infer_node_datatype(model)
        getCustomOp(node).minimize_accumulator_width(model)
    else:
        raise StepFailed(
            f"widen_accumulators: {name(node)} ({kind(node)}) computes with sums whose type has to change, and "
            "it is not known what its own types would have to be",
            hint=WAY_OUT,
        )


def _compare(model: ModelWrapper, view: View, node: Node, index: int, old: Any, new: Any, taken: set[str]) -> None:
    """Let the thresholds of `node`, its input `index`, be compared with values of the type `new` instead of `old`.

    Those below all values are raised to the lowest, which no value is below either: types without a sign need that.
    """
    given = str(node.input[index])
    values = view.constant(given)
    if values is None:
        raise StepFailed(f"widen_accumulators: the thresholds of {name(node)} are computed", hint=WAY_OUT)
    # FINN has clipped them to the old type, up to one above it; what stands there may have been further out.
    for edge, clipped in ((old.max() + 1, new.max() > old.max()), (old.min(), new.min() < old.min())):
        if clipped and (values == edge).any():
            raise StepFailed(
                f"widen_accumulators: thresholds of {name(node)} are at {edge:g}, where FINN clips what {old.name} "
                "does not hold: it cannot be known what they were",
                hint=WAY_OUT,
            )
    stored = free_name(f"{given}_raised", taken) if len(view.consumers(given)) > 1 else given
    store_constant(model, stored, np.maximum(values, new.min()), like=given)
    node.input[index] = stored
    # One bit wider than the values, as FINN leaves it where it does not minimise.
    wider = DataType.get_smallest_possible(-new.max() - 2 if new.signed() else new.max() + 1)
    model.set_tensor_datatype(stored, wider)
    if kind(node) == "Thresholding":
        set_attributes(node, weightDataType=wider.name)
    layer = getCustomOp(node)
    if hasattr(layer, "minimize_weight_bit_width"):  # FINN 0.10 has it for matrices only, and asks in the same way
        layer.minimize_weight_bit_width(model)
