"""Small graphs for the tests of the executor's core, and its comparison with qonnx's own execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.basic import qonnx_make_model

from finnyaml.verify.executor import BatchedModel

GENERAL = "qonnx.custom_op.general"


def custom(op_type: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> NodeProto:
    """A node of QONNX's general domain."""
    return helper.make_node(op_type, list(inputs), list(outputs), name=f"{op_type}_0", domain=GENERAL, **attributes)


def node(op_type: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> NodeProto:
    """A standard node."""
    return helper.make_node(op_type, list(inputs), list(outputs), name=f"{op_type}_0", **attributes)


def graph(
    nodes: Sequence[NodeProto],
    shapes: Mapping[str, Sequence[int]],
    constants: Mapping[str, Any] | None = None,
    datatypes: Mapping[str, str] | None = None,
    *,
    outputs: Sequence[str] = ("y",),
    opset: int = 13,
    domain: int = 2,
    elements: Mapping[str, int] | None = None,
) -> ModelWrapper:
    """A model of input `x`. shapes: of all other tensors; elements: their ONNX types where not float."""
    infos = {
        name: helper.make_tensor_value_info(name, (elements or {}).get(name, TensorProto.FLOAT), list(shape))
        for name, shape in shapes.items()
    }
    inner = [info for name, info in infos.items() if name != "x" and name not in outputs]
    made = helper.make_graph(list(nodes), "graph", [infos["x"]], [infos[o] for o in outputs], value_info=inner)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(GENERAL, domain)]
    model = ModelWrapper(qonnx_make_model(made, opset_imports=opsets))
    for name, value in (constants or {}).items():
        model.set_initializer(name, np.asarray(value))
    for name, datatype in (datatypes or {}).items():
        model.set_tensor_datatype(name, DataType[datatype])
    return model


def reference(model: ModelWrapper, samples: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor that qonnx makes of the samples, one at a time."""
    name = model.graph.input[0].name
    contexts = [execute_onnx(model, {name: s[None]}, True) for s in samples.astype(np.float32)]
    made = [t for n in model.graph.node for t in n.output]
    return {t: np.concatenate([c[t] for c in contexts]) for t in made if contexts[0][t].ndim}


def agrees(model: ModelWrapper, samples: np.ndarray, *, lowered: bool = True) -> BatchedModel:
    """The batched forms, optimised or not, and the forced fallback, all equal what qonnx computes, to the bit."""
    expected = reference(model, samples)
    kinds = {n.op_type for n in model.graph.node}
    batched = BatchedModel(model)
    assert bool(batched.fallbacks) is not lowered, batched.fallbacks
    tapped = BatchedModel(model, taps="all", optimise=False)
    forced = BatchedModel(model, without=kinds)
    for executed in (batched, tapped, forced):
        for tensor, found in executed.run(samples).items():
            np.testing.assert_array_equal(found, expected[tensor], err_msg=tensor)
    assert len(forced.fallbacks) == sum(not set(n.input) <= set(forced.graph.constants) for n in model.graph.node)
    return batched
