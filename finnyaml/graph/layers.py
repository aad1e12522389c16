"""What the search for a loss asks of an executed graph: order, paths, layouts, layers in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.graph.operators import BIAS, CONVOLUTION, MATRIX, POOL, QUANTIZER, SCALE, THRESHOLD, WINDOWS
from finnyaml.graph.view import View

_FIRST = frozenset((*CONVOLUTION, "MaxPool", "AveragePool"))
_PARTS = (
    ("product", MATRIX | CONVOLUTION),
    ("activation", THRESHOLD | QUANTIZER),
    ("pooled activation", POOL),
    ("scaled values", SCALE),
    ("values with bias", BIAS),
)
_NAMES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


class Graph(View):
    """A graph in its order. Tensors are those that nodes make from the data; constants are not among them."""

    def __init__(self, model: ModelWrapper) -> None:
        super().__init__(model)
        self._position = {name: index for index, node in enumerate(self.nodes) for name in node.output if name}

    def position(self, tensor: str) -> int:
        """The place of a tensor's node in the graph, -1 for graph inputs."""
        return self._position.get(tensor, -1)

    def readable(self, tensor: str) -> tuple[str, str]:
        """Names of a tensor and its node; where the node has none yet, those that FINN will give them."""
        node = self.producer(tensor)
        if node is None or node.name:
            return tensor, str(node.name) if node is not None else ""
        alike = [other.output[0] for other in self.nodes if other.op_type == node.op_type]
        name = f"{node.op_type}_{alike.index(node.output[0])}"
        output = list(node.output).index(tensor)
        return tensor if tensor in self.outputs else f"{name}_out{output}", name

    def upstream(self, tensor: str, through: frozenset[str]) -> Iterator[Any]:
        """The nodes before a tensor along first data inputs, as long as they are of the op types `through`."""
        node = self.producer(tensor)
        while node is not None and node.op_type in through:
            yield node
            inputs = self.dynamic_inputs(node)
            node = self.producer(inputs[0]) if inputs else None

    def is_window(self, tensor: str) -> bool:
        """Whether a tensor only holds copies of another one's elements, and padding: no picture anybody can read."""
        node = self.producer(tensor)
        return node is not None and node.op_type in WINDOWS

    def windows_of(self, node: Any) -> list[Any]:
        """The nodes that make a node's windows: padding and Im2Col or its hardware layer, nearest first."""
        inputs = self.dynamic_inputs(node)
        return list(self.upstream(inputs[0], WINDOWS | {"Transpose", "DuplicateStreams"})) if inputs else []

    def channel_axis(self, tensor: str, sizes: Sequence[int]) -> int | None:
        """The axis of the channels of a tensor [n, ...] with these sizes; None where there are none."""
        if len(sizes) < 2:
            return None
        layout = self.model.get_tensor_layout(tensor)
        if layout and len(layout) == len(sizes) and "C" in layout:
            return int(layout.index("C"))
        if len(sizes) == 2:
            return 1
        if len(sizes) == 4 and (sizes[1] == sizes[2]) != (sizes[2] == sizes[3]):
            return 3 if sizes[1] == sizes[2] else 1  # images are square far more often than not
        node = self.producer(tensor)
        return 1 if node is not None and node.op_type in _FIRST else len(sizes) - 1

    def words(self, tensor: str) -> str:
        """What a tensor is: "product of the second convolution"."""
        node = self.producer(tensor)
        if node is None:
            return "input of the network"
        kind = node.op_type
        part = next((words for words, kinds in _PARTS if kind in kinds), f"{kind} output")
        if tensor in self.outputs:
            return f"output of the network ({part if self.is_layer(node) else kind})"
        layers = [other for other in self.nodes[: self.position(tensor) + 1] if self.is_layer(other)]
        if not layers:
            return f"{part} before the first layer"
        last = layers[-1]
        dense = not self._is_convolution(last)
        number = sum(self._is_convolution(other) != dense for other in layers)
        of = f"the {_ordinal(number)} {'dense layer' if dense else 'convolution'}"
        return f"{part} of {of}" if part in ("product", "activation") else f"{part} after {of}"

    def is_layer(self, node: Any) -> bool:
        """Whether a node multiplies data with weights."""
        return node.op_type in MATRIX | CONVOLUTION

    def _is_convolution(self, node: Any) -> bool:
        # Lowered convolutions keep the image: their product has two axes more than that of a dense layer.
        return node.op_type in CONVOLUTION or len(self.shape(node.output[0])) == 4


def _ordinal(number: int) -> str:
    if number <= len(_NAMES):
        return _NAMES[number - 1]
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
