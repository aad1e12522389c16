"""What a lowering sees and makes: one node of a FINN graph becomes a few standard ONNX nodes for a whole batch.

A lowering is a function that takes a `Lowering` and adds nodes to it until every output of the node is made. Shapes in
the source graph are those of one sample, with a leading 1; in the lowered graph this first dimension is the batch.
All lowered nodes are those of ONNX opset `OPSET`, tensors are float32 unless an operator makes something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from finnyaml.errors import StepFailed
from finnyaml.verify.executor.interval import ANYTHING, Interval

OPSET = 20
IR_VERSION = 9


class NotExecutable(StepFailed):
    """The graph, or one of its nodes, cannot be executed here; the message says why."""


class Broken(NotExecutable):
    """The graph is at fault: an operator that is known here does not take what it is given."""


class NotLowerable(Exception):
    """This node has no batched form; the message is the reason. It then runs per sample through qonnx."""


@dataclass(frozen=True)
class Graph:
    """A prepared graph, ready to compile: its live nodes in order, constants, annotations of one sample.

    wanted: the tensors to compute. types: ONNX element types. live: tensors that are not among the constants because
    they become inputs of the lowered graph, as they are, without a batch.
    """

    input: str
    wanted: tuple[str, ...]
    nodes: tuple[NodeProto, ...]
    constants: Mapping[str, np.ndarray]
    shapes: Mapping[str, list[int] | None]
    datatypes: Mapping[str, Any]
    types: Mapping[str, int]
    opsets: Mapping[str, int]
    live: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Windows:
    """What one `windows.im2col` does, for who can do better: the patches of `image`, through the tensors `made`.

    sizes: `kernel_shape`, `strides` and `dilations`, (height, width) each. pads: top, left, bottom, right.
    """

    image: str
    made: tuple[str, ...]
    channels: int
    sizes: Mapping[str, tuple[int, int]]
    pads: tuple[int, int, int, int]


class Lowering:
    """Collects the standard ONNX nodes that replace one node.

    node: the node of the source graph, with its tensor names; every name in `node.output` must be made.
    x, y: its first input and output. instance: qonnx's object for a custom op, None for a standard operator.
    constants: all constant tensors of the graph: initialisers, and what only depends on them.
    windows: the windows among the nodes so far, by the tensor of patches.
    """

    def __init__(self, node: NodeProto, instance: Any, graph: Graph, bounds: Mapping[str, Interval]) -> None:
        self.node = node
        self.instance = instance
        self.nodes: list[NodeProto] = []
        self.new_constants: dict[str, np.ndarray] = {}
        self.windows: dict[str, Windows] = {}
        self.x, self.y = str(node.input[0]), str(node.output[0])
        self.graph, self._bounds = graph, bounds
        self._made = 0

    def attribute(self, name: str) -> Any:
        """An attribute of a custom op, as written or by default."""
        return self.instance.get_nodeattr(name)

    @property
    def constants(self) -> Mapping[str, np.ndarray]:
        """The constants of the source graph by tensor, with the shapes they have there."""
        return self.graph.constants

    def constant(self, array: Any) -> str:
        """A new constant of the lowered graph; returns its name."""
        name = self._new_name()
        self.new_constants[name] = np.ascontiguousarray(array).reshape(np.shape(array))
        return name

    def ints(self, *values: int) -> str:
        """A new constant int64 [len(values)]: shapes, axes, amounts."""
        return self.constant(np.array(values, np.int64))

    def op(self, op_type: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Add a standard node; returns the name of its output, a new one unless `output` names it."""
        return self.outputs(op_type, inputs, [output], **attributes)[0]

    def outputs(
        self, op_type: str, inputs: Sequence[str], outputs: Sequence[str | None], **attributes: Any
    ) -> list[str]:
        """Add a standard node with several outputs; returns their names, a new one for each None."""
        names = [self._new_name() if name is None else name for name in outputs]
        self.nodes.append(helper.make_node(op_type, list(inputs), names, **attributes))
        return names

    def shape(self, tensor: str) -> list[int]:
        """Annotated shape in the source graph, of one sample (first dimension 1)."""
        shape = self.graph.shapes.get(tensor)
        if shape is None:
            raise NotLowerable(f"the shape of {tensor} is not known")
        return list(shape)

    def datatype(self, tensor: str) -> Any:
        """Annotated qonnx DataType in the source graph (FLOAT32 without an annotation)."""
        return self.graph.datatypes[tensor]

    def interval(self, tensor: str) -> Interval:
        """What is proven of the values of a tensor of the source graph."""
        return self._bounds.get(tensor, ANYTHING)

    def given(self, tensor: str) -> np.ndarray:
        """The value of a constant, with its shape in the graph. Raises NotLowerable: the tensor is not constant."""
        if tensor not in self.constants:
            raise NotLowerable(f"{tensor} is not constant")
        return self.constants[tensor]

    def reshape(self, x: str, shape: Sequence[int], output: str | None = None) -> str:
        """Reshape to the annotated shape of one sample; its first dimension, which must be 1, becomes the batch."""
        if len(shape) == 0 or shape[0] != 1:
            raise NotLowerable(f"the shape {list(shape)} has no leading dimension of 1 for the batch")
        if 0 in shape:
            raise NotLowerable(f"the shape {list(shape)} is empty")
        return self.op("Reshape", [x, self.ints(-1, *shape[1:])], output)

    def reduce(
        self, op_type: str, x: str, axes: Sequence[int], output: str | None = None, keepdims: bool = False
    ) -> str:
        """ReduceSum, ReduceMax, ... over `axes`, which must not be the batch axis 0."""
        if any(axis == 0 for axis in axes):
            raise NotLowerable(f"{op_type} over the batch")
        return self.op(op_type, [x, self.ints(*axes)], output, keepdims=int(keepdims))

    def _new_name(self) -> str:
        self._made += 1
        return f"{self.node.output[0]}~{self._made}"


Lower = Callable[[Lowering], None]
LOWERINGS: dict[str, Lower] = {}


def lowers(*op_types: str) -> Callable[[Lower], Lower]:
    """Register a lowering for custom ops (domains `qonnx.*`, `finn.*`) by op type.

    FINN's ops that have the name of a standard operator are registered with the prefix `finn.`, as in `finn.Reshape`;
    the forms of layers whose weights are inputs of the lowered graph with `live.`, as in `live.MVAU`.
    """

    def register(function: Lower) -> Lower:
        for op_type in op_types:
            if op_type in LOWERINGS:
                raise ValueError(f"two lowerings for {op_type}")
            LOWERINGS[op_type] = function
        return function

    return register
