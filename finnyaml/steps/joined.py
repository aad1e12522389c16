"""Joins whose data type QONNX would get wrong. Runs in workers."""

from __future__ import annotations

import copy
from typing import Any

from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_datatypes import InferDataTypes

from finnyaml.graph.surgery import free_name
from finnyaml.graph.view import View, attributes


def cast_mixed(model: ModelWrapper) -> None:
    """Let each Concat of integers and other values begin with a Cast to float, which changes no value. In place.

    QONNX gives a Concat the type of its first input. If that is a quantizer with the scale 1.0, and the next one has
    another scale or another type, all behind it counts as integers of the first: the graph cannot be executed, and
    FINN rounds thresholds for integers that are none. The type of a Cast is float for QONNX. `streamline_branches`
    takes it away where integers are joined.
    """
    joins = [node for node in model.graph.node if node.op_type == "Concat"]
    if not joins:
        return
    try:
        typed = copy.deepcopy(model).transform(InferDataTypes())
    except Exception:  # an operator that qonnx does not know: FINN's first step says so, unless another replaces it
        return
    taken = set(model.get_all_tensor_names())
    for node in joins:
        first, *others = (typed.get_tensor_datatype(tensor) for tensor in node.input)
        if first.name != "FLOAT32" and any(other.name != first.name for other in others):
            cast = free_name(f"{node.input[0]}_float", taken)
            shape = model.get_tensor_shape(node.input[0])
            made = helper.make_node("Cast", [node.input[0]], [cast], to=TensorProto.FLOAT)
            made.metadata_props.extend(node.metadata_props)
            model.graph.node.insert(list(model.graph.node).index(node), made)
            model.set_tensor_shape(cast, shape)
            node.input[0] = cast


def before_cast(view: View, tensor: str) -> str:
    """The tensor that a Cast to float took, where one made this tensor; else the tensor itself."""
    maker = view.producer(tensor)
    return str(maker.input[0]) if maker is not None and _is_cast(maker) else tensor


def join_types(model: ModelWrapper) -> bool:
    """Take the Casts away before each Concat that joins nothing but integers; whether there were any. In place."""
    view, found = View(model), False
    for node in [node for node in model.graph.node if node.op_type == "Concat"]:
        bare = [before_cast(view, tensor) for tensor in node.input]
        if bare != list(node.input) and all(view.datatype(tensor).is_integer() for tensor in bare):
            node.input[:] = bare
            found = True
    drop_casts(model)
    return found


def drop_casts(model: ModelWrapper) -> None:
    """Remove the Casts that nobody reads any more. In place."""
    read = {tensor for node in model.graph.node for tensor in node.input} | {end.name for end in model.graph.output}
    for node in [node for node in model.graph.node if _is_cast(node) and node.output[0] not in read]:
        model.graph.node.remove(node)


def _is_cast(node: Any) -> bool:
    return bool(node.op_type == "Cast" and attributes(node).get("to") == TensorProto.FLOAT)
