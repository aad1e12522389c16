"""What ends a network and a processor does as well: taken out of the accelerator again. Runs in workers."""

from __future__ import annotations

import copy

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_datatypes import InferDataTypes

from finnyaml.errors import StepFailed
from finnyaml.finn.door import register_reshape
from finnyaml.graph.operators import PARTITION
from finnyaml.graph.surgery import Node, Repaired, free_name
from finnyaml.graph.view import View, attributes, is_hardware, name, style

ARITHMETIC = {"ElementwiseAdd": "Add", "ElementwiseDiv": "Div", "ElementwiseMul": "Mul", "ElementwiseSub": "Sub"}
"""FINN's layers that scale or shift, and the ONNX operators that they were."""


FUNCTIONS = frozenset(("HWSoftmax", "PWPolyF"))
"""FINN's layers that compute a function in floating point; PWPolyF only about right."""


def leave_to_host(model: ModelWrapper) -> Repaired:
    """Make the layers that end the network ONNX operators again: scales, biases, functions, the choice of labels.

    `convert_to_hw` makes hardware layers of them, in floating point or with no RTL variant. As ONNX operators they
    stay outside of the dataflow partition, whose results are then the sums of the last matrix layer. Belongs after
    `convert_to_hw`, before `create_dataflow_partition`.

    Raises:
        StepFailed: there are no hardware layers yet, or their variants are chosen already.
    """
    register_reshape()

    model = copy.deepcopy(model)
    view = View(model)
    hardware = [node for node in view.nodes if is_hardware(node)]
    if not hardware:
        raise StepFailed("leave_to_host: there are no hardware layers yet", hint="run it later: after convert_to_hw")
    if late := [node for node in hardware if style(node) or node.op_type == PARTITION]:
        raise StepFailed(
            f"leave_to_host: {name(late[0])} ({late[0].op_type}) says that the accelerator is cut out already",
            hint="run it earlier: after convert_to_hw, before create_dataflow_partition",
        )
    outside: set[int] = set()
    for node in reversed(view.nodes):
        last = all(id(user) in outside for tensor in node.output for user in view.consumers(tensor))
        if last and (not is_hardware(node) or _is_for_the_host(view, node)):
            outside.add(id(node))
    changes = []
    for index, node in enumerate(view.nodes):
        if id(node) in outside and is_hardware(node):
            if node.op_type == "LabelSelect":
                made = _label_choice(model, node)
            elif node.op_type in FUNCTIONS:
                axis = {"axis": -1} if node.op_type == "HWSoftmax" else {}
                made = helper.make_node(_function(node), node.input[:1], node.output, **axis)
            else:
                made = helper.make_node(ARITHMETIC[node.op_type], node.input, node.output)
            made.name = node.name
            changes.append(f"{name(node)} ({node.op_type}) is left to the host, as {made.op_type}")
            model.graph.node.remove(node)
            model.graph.node.insert(index, made)
    notes = () if changes else ("the network ends in a layer that belongs into the accelerator",)
    return Repaired(model.transform(InferDataTypes()) if changes else model, tuple(changes), notes)


def _is_for_the_host(view: View, node: Node) -> bool:
    """Whether a hardware layer scales or shifts by constants, computes a float function, or chooses labels."""
    if node.op_type in FUNCTIONS:
        return bool(_function(node))
    return node.op_type == "LabelSelect" or (node.op_type in ARITHMETIC and len(view.dynamic_inputs(node)) == 1)


def _function(node: Node) -> str:
    """The ONNX operator that one of `FUNCTIONS` was; "" where there is none."""
    if node.op_type == "HWSoftmax":
        return "Softmax"
    known = {"sigmoid": "Sigmoid", "tanh": "Tanh"}
    return known.get(str(attributes(node).get("func", "")), "")


def _label_choice(model: ModelWrapper, node: Node) -> Node:
    """The TopK that FINN's layer computes: indices of the highest values along the last axis, highest first."""
    taken = set(model.get_all_tensor_names())
    count, values = (free_name(f"{node.output[0]}_{what}", taken) for what in ("k", "values"))
    model.set_initializer(count, np.array([attributes(node)["K"]], np.int64))
    shape = model.get_tensor_shape(node.output[0])
    model.set_tensor_shape(values, shape)
    model.set_tensor_shape(node.output[0], shape, TensorProto.INT64)
    return helper.make_node("TopK", [node.input[0], count], [values, node.output[0]], axis=-1, largest=1, sorted=1)
