"""Models of one hardware layer, and the comparison of the batched executor with FINN's own execution of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.basic import qonnx_make_model

from finnyaml.verify.executor import BatchedModel

SAMPLES = 5
HARDWARE = "finn.custom_op.fpgadataflow"


@dataclass(frozen=True)
class Tensor:
    """The shape (batch 1), datatype and element type of a tensor, and its values where it is a constant."""

    shape: Sequence[int]
    datatype: str = "FLOAT32"
    value: Any = None
    element: int = TensorProto.FLOAT


@dataclass(frozen=True)
class Layer:
    """A graph with one input around a layer, and samples [SAMPLES, ...] of that input."""

    op_type: str
    model: ModelWrapper
    samples: np.ndarray


def layer(op_type: str, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], **attributes: Any) -> Layer:
    """The layer alone or, where several of its inputs are not constants, behind a split of one graph input."""
    node = helper.make_node(
        op_type, list(inputs), list(outputs), op_type, domain=HARDWARE, backend="fpgadataflow", **attributes
    )
    generator = np.random.default_rng(0)
    dynamic = {name: tensor for name, tensor in inputs.items() if tensor.value is None}
    drawn = {name: draw(tensor, generator) for name, tensor in dynamic.items()}
    tensors = {**inputs, **outputs}
    if len(dynamic) == 1:
        (graph_input,) = dynamic
        nodes, samples = [node], drawn[graph_input]
    else:
        flat = {f"{name}_flat": Tensor([1, int(np.prod(tensor.shape))]) for name, tensor in dynamic.items()}
        sizes = [tensor.shape[1] for tensor in flat.values()]
        graph_input = "packed"
        tensors |= {**flat, graph_input: Tensor([1, sum(sizes)]), "sizes": _integers(sizes)}
        nodes = [helper.make_node("Split", [graph_input, "sizes"], list(flat), axis=1)]
        for name, tensor in dynamic.items():
            tensors[f"{name}_shape"] = _integers(tensor.shape)
            nodes.append(helper.make_node("Reshape", [f"{name}_flat", f"{name}_shape"], [name]))
        nodes.append(node)
        samples = np.concatenate([values.reshape(SAMPLES, -1) for values in drawn.values()], axis=1)
    return Layer(op_type, graph(nodes, tensors, graph_input, list(outputs)), samples)


def graph(nodes: Sequence[Any], tensors: Mapping[str, Tensor], graph_input: str, outputs: Sequence[str]) -> Any:
    infos = {name: helper.make_tensor_value_info(name, t.element, t.shape) for name, t in tensors.items()}
    constants = {name: tensor for name, tensor in tensors.items() if tensor.value is not None}
    inner = [info for name, info in infos.items() if name not in {graph_input, *outputs, *constants}]
    made = helper.make_graph(nodes, "g", [infos[graph_input]], [infos[name] for name in outputs], value_info=inner)
    model = ModelWrapper(qonnx_make_model(made, opset_imports=[helper.make_opsetid("", 18)]))
    for name, tensor in constants.items():
        model.set_initializer(name, np.asarray(tensor.value))
    for name, tensor in tensors.items():
        if tensor.datatype != "FLOAT32":
            model.set_tensor_datatype(name, DataType[tensor.datatype])
    return model


def draw(tensor: Tensor, generator: Any, count: int = SAMPLES) -> np.ndarray:
    """Values over the whole range of the datatype, as float32 holds them."""
    datatype, shape = DataType[tensor.datatype], [count * tensor.shape[0], *tensor.shape[1:]]
    if tensor.datatype == "FLOAT32":
        return generator.normal(scale=4.0, size=shape).astype(np.float32)
    if tensor.datatype == "BIPOLAR":
        return generator.choice([-1, 1], shape).astype(np.float32)
    return generator.integers(int(datatype.min()), int(datatype.max()) + 1, shape).astype(np.float32)


def agrees(made: Layer, *, tolerance: float = 0.0, lowered: bool = True) -> None:
    """The batched executor equals FINN on every sample, with the layer lowered and with its fallback."""
    (info,) = made.model.graph.input
    shape = made.model.get_tensor_shape(info.name)
    number = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
    rows = made.samples.reshape(SAMPLES, *shape).astype(number)
    expected = [execute_onnx(made.model, {info.name: row}) for row in rows]
    batched = BatchedModel(made.model)
    if lowered:
        assert batched.fallbacks == ()
    else:
        assert made.op_type in {fallback.op_type for fallback in batched.fallbacks}
    forced = BatchedModel(made.model, without={made.op_type})
    assert made.op_type in {fallback.op_type for fallback in forced.fallbacks}
    for name in batched.outputs:
        result = batched.run(made.samples)[name]
        reference = np.stack([sample[name] for sample in expected]).reshape(result.shape)
        assert np.ptp(reference) > 0, "a constant output shows nothing"
        np.testing.assert_array_equal(forced.run(made.samples)[name], reference)
        np.testing.assert_allclose(result, reference, rtol=tolerance, atol=tolerance)


def _integers(values: Sequence[int]) -> Tensor:
    return Tensor([len(values)], value=np.array(values, np.int64), element=TensorProto.INT64)
