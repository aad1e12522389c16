"""A graph with its wires at hand. Runs inside workers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from onnx import NodeProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util import basic

from finnyaml.graph.operators import HARDWARE


class View:
    """Read access to one graph, for as long as nobody changes its wires.

    `ModelWrapper` searches all nodes for every question; here each is asked once.
    """

    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.nodes: list[NodeProto] = list(model.graph.node)
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.inputs = [str(value.name) for value in model.graph.input if value.name not in self._constants]
        self.outputs = [str(value.name) for value in model.graph.output]
        self._arrays: dict[str, np.ndarray] = {}
        self._producers = {tensor: node for node in self.nodes for tensor in node.output if tensor}
        self._consumers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for tensor in dict.fromkeys(node.input):
                self._consumers.setdefault(tensor, []).append(node)
        # As qonnx reads it: the data type of a tensor is an annotation beside the graph.
        self._datatypes = {
            annotation.tensor_name: entry.value
            for annotation in model.graph.quantization_annotation
            for entry in annotation.quant_parameter_tensor_names
            if entry.key == "finn_datatype"
        }
        self._instances: dict[int, Any] = {}

    def producer(self, tensor: str) -> Any:
        """The node that makes `tensor`; None for a graph input or a constant."""
        return self._producers.get(tensor)

    def consumers(self, tensor: str) -> list[NodeProto]:
        """The nodes that read `tensor`, in graph order."""
        return self._consumers.get(tensor, [])

    def below(self, tensors: Iterable[str], through: Collection[str]) -> Iterator[NodeProto]:
        """The nodes that read these tensors, each once, and on from those of the op types `through`."""
        todo, seen = list(tensors), set()
        while todo:
            for node in self.consumers(todo.pop()):
                if id(node) not in seen:
                    seen.add(id(node))
                    yield node
                    todo += node.output if kind(node) in through else ()

    def is_constant(self, tensor: str) -> bool:
        """Whether `tensor` is stored in the graph."""
        return tensor in self._constants

    def constant(self, tensor: str) -> np.ndarray | None:
        """The values of a stored tensor, in its shape and type; None for any other."""
        if tensor in self._constants and tensor not in self._arrays:
            self._arrays[tensor] = numpy_helper.to_array(self._constants[tensor])
        return self._arrays.get(tensor)

    def dynamic_inputs(self, node: NodeProto) -> list[str]:
        """The inputs of `node` that depend on the data."""
        return [tensor for tensor in node.input if tensor and tensor not in self._constants]

    def datatype(self, tensor: str) -> Any:
        """The annotated QONNX data type; FLOAT32 where there is none."""
        return DataType[self._datatypes.get(tensor, "FLOAT32")]

    def shape(self, tensor: str) -> tuple[int, ...]:
        """The annotated shape; () where there is none."""
        return tuple(self.model.get_tensor_shape(tensor) or ())

    def layer(self, node: NodeProto) -> Any:
        """QONNX's or FINN's own object for a custom node; imports FINN for a node of FINN's domains."""
        if id(node) not in self._instances:
            self._instances[id(node)] = getCustomOp(node)
        return self._instances[id(node)]


def preferred_opset() -> int:
    """The version that qonnx takes for a domain where the model says none; that of FINN 0.10 has one for all."""
    return int((getattr(basic, "get_preferred_qonnx_opset", None) or basic.get_preferred_onnx_opset)())


def opsets(model: ModelWrapper) -> dict[str, int]:
    """The version of each domain, as the model says it."""
    return {opset.domain: opset.version for opset in model.model.opset_import}


def attributes(node: NodeProto) -> Mapping[str, Any]:
    """The attributes that are written on a node, texts decoded. Defaults of custom ops are not among them."""
    found = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        found[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return found


def is_hardware(node: NodeProto) -> bool:
    """Whether FINN has a hardware layer for this node: it is one."""
    return bool(node.domain.startswith(HARDWARE))


def style(node: NodeProto) -> str:
    """The variant of a specialised hardware layer, "hls" or "rtl"; "" for any other node."""
    domain, _, last = str(node.domain).rpartition(".")
    return last if domain == HARDWARE and last in ("hls", "rtl") else ""


def kind(node: NodeProto) -> str:
    """The op type, of a specialised layer that of the layer: `MVAU` for `MVAU_hls`."""
    return str(node.op_type).removesuffix(f"_{style(node)}")


def name(node: NodeProto) -> str:
    """The name of a node; before tidy_up names them all, that of its result stands in."""
    return str(node.name or node.output[0])
