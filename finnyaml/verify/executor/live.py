"""How much memory a compiled graph holds while it computes one sample, from its shapes and types as they run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper, shape_inference

from finnyaml.verify.executor.base import IR_VERSION, OPSET, Graph
from finnyaml.verify.executor.program import Program
from finnyaml.verify.executor.segments import Segment

_SMALL = 64
"""Constants of no more elements may be shapes, axes and amounts, which the shapes of others follow from."""


def live_bytes(graph: Graph, program: Program) -> int:
    """The most bytes that are held at once for each sample, wanted tensors of the graph included.

    What a session makes is held inside it until its last use; its outputs are copied, and held until theirs.
    """
    known = {graph.input: _described(graph, graph.input)}
    needs = [set(step.inputs if isinstance(step, Segment) else step.input) for step in program.steps]
    held, most = {graph.input}, 2 * _bytes(known[graph.input])
    for place, step in enumerate(program.steps):
        if isinstance(step, Segment):
            sources = [known.get(t) or _described(graph, t) for t in step.inputs]
            known |= _inferred(step.nodes, step.constants, sources, step.outputs)
            made, inside = step.outputs, _most_inside(step, known)
        else:
            made = [t for t in step.output if t]
            known |= {t: _described(graph, t) for t in made}
            inside = 0
        outputs = sum(_bytes(known.get(t)) for t in made)
        most = max(most, sum(_bytes(known.get(t)) for t in held) + max(inside, 2 * outputs))
        held = (held | set(made)) & {*graph.wanted}.union(*needs[place + 1 :])
    return most


def _most_inside(segment: Segment, known: Mapping[str, ValueInfoProto]) -> int:
    """The most bytes of what a session makes that are held at once inside it, for one sample."""
    last = {t: place for place, node in enumerate(segment.nodes) for t in node.input}
    last |= dict.fromkeys(segment.fetched, len(segment.nodes))
    held: dict[str, int] = {}
    most = 0
    for place, node in enumerate(segment.nodes):
        largest = max((_bytes(known.get(t)) for t in node.input), default=0)
        held |= {t: _bytes(known[t]) if t in known else largest for t in node.output if t}
        most = max(most, sum(held.values()))
        held = {t: size for t, size in held.items() if last.get(t, place) > place}
    return most


def _inferred(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, np.ndarray],
    inputs: Iterable[ValueInfoProto],
    outputs: Iterable[str],
) -> dict[str, ValueInfoProto]:
    """All tensors of lowered nodes whose shapes follow from those of the inputs, by name; large constants only count
    by their shape.
    """
    small = [numpy_helper.from_array(c, name) for name, c in constants.items() if c.size <= _SMALL]
    shapes = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(c.dtype), c.shape)
        for name, c in constants.items()
        if c.size > _SMALL
    ]
    ends = [ValueInfoProto(name=name) for name in outputs]
    body = helper.make_graph(nodes, "graph", [*inputs, *shapes], ends, small)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    found = shape_inference.infer_shapes(model).graph
    return {info.name: info for info in (*found.input, *found.value_info, *found.output)}


def _described(graph: Graph, tensor: str) -> ValueInfoProto:
    """A tensor of the source graph, of one sample."""
    return helper.make_tensor_value_info(tensor, graph.types.get(tensor, TensorProto.FLOAT), graph.shapes.get(tensor))


def _bytes(info: ValueInfoProto | None) -> int:
    """The bytes of a tensor of one sample; 0 where its shape is not known."""
    kind = info.type.tensor_type if info is not None else None
    if kind is None or not kind.HasField("shape"):
        return 0
    width = helper.tensor_dtype_to_np_dtype(kind.elem_type or TensorProto.FLOAT).itemsize
    size: int = math.prod(max(dim.dim_value, 1) for dim in kind.shape.dim) * width
    return size
