"""What a transformation changed of the nodes that a wrong tensor comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from finnyaml.graph.layers import Graph
from finnyaml.graph.operators import BIAS, CONVOLUTION, MATRIX, SCALE, THRESHOLD
from finnyaml.verify.bisect import arrays
from finnyaml.verify.bisect.align import formers, settings
from finnyaml.verify.bisect.geometry import rewritten
from finnyaml.verify.bisect.match import is_exact
from finnyaml.verify.bisect.run import Run

_END = frozenset(("TopK", "LabelSelect", "Softmax", "Identity", "Reshape", "Flatten", "Transpose"))
"""May stand between the last scale of a network and its output."""


_INPUTS: Mapping[str, tuple[str, ...]] = {
    "BatchNormalization": ("input", "scale", "bias", "mean", "variance"),
    "Quant": ("value", "scale", "zero point", "bit width"),
    "IntQuant": ("value", "scale", "zero point", "bit width"),
    "BipolarQuant": ("value", "scale"),
    "Reshape": ("data", "shape"),
    "TopK": ("data", "K"),
    "Gather": ("data", "index"),
    "Pad": ("data", "pads", "pad value", "axes"),
}
"""What the inputs of some operators are."""


@dataclass(frozen=True)
class Change:
    """A node of the graph after, its former self (None: it is new), and what is different, a phrase each.

    `computes`: something that a node computes with is different, and not only what datatypes it is given.
    """

    node: Any
    former: Any
    what: tuple[str, ...]
    computes: bool


def changes(before: Run, after: Run, tensor: str | None) -> list[Change]:
    """The changed nodes that `tensor` comes from (None: the outputs), in the order of the graph.

    What lies before tensors that are exactly as they were is not looked at.
    """
    graph, known = after.graph, formers(before.graph, after.graph)
    todo, seen = [tensor] if tensor else list(graph.outputs), set()
    while todo:
        name = todo.pop()
        node = graph.producer(name)
        if node is None or name in seen or (name != tensor and name in after.values and is_exact(name, before, after)):
            continue
        seen.add(name)
        todo += [source for source in node.input if source]
    nodes = {graph.position(name): graph.producer(name) for name in seen}
    found = [_change(before.graph, graph, nodes[place], known) for place in sorted(nodes)]
    return [item for item in found if item.what]


def _change(before: Graph, after: Graph, node: Any, known: Mapping[str, Any]) -> Change:
    former = known.get(node.output[0])
    if former is None:
        return Change(node, None, (f"is a new {node.op_type}",), computes=False)
    values = [
        *_constants(before, after, former, node),
        *_attributes(former, node),
        *(rewritten(before, after, former, node) if former.op_type != node.op_type else ()),
        *_wires(before, after, node, known),
        *_end(before, after, node, known),
    ]
    if former.op_type == node.op_type:
        more = list(_types(before, after, former, node))
    else:
        more = [] if values else [f"is a {node.op_type}, and was a {former.op_type}"]
    return Change(node, former, (*values, *more), bool(values))


def _constants(before: Graph, after: Graph, former: Any, node: Any) -> Iterator[str]:
    for index, (old, new) in enumerate(zip(former.input, node.input, strict=False)):
        a, b = before.constant(old), after.constant(new)
        if a is None or b is None or (former.op_type != node.op_type and a.shape != b.shape):
            continue  # another operator may want its constants in another form
        if told := arrays.told(a, b):
            yield f"{_role(after, node, index)} {told}"


def _attributes(former: Any, node: Any) -> Iterator[str]:
    if former.op_type != node.op_type:
        return
    old, new = settings(former), settings(node)
    for name in sorted(old.keys() | new.keys()):
        a, b = old.get(name), new.get(name)
        if a != b and not name.endswith("DataType"):
            yield f"{name} {_shown(a)} -> {_shown(b)}"


def _types(before: Graph, after: Graph, former: Any, node: Any) -> Iterator[str]:
    old, new = settings(former), settings(node)
    for name in sorted(old.keys() | new.keys()):
        if name.endswith("DataType") and old.get(name) != new.get(name):
            yield f"{name} {_shown(old.get(name))} -> {_shown(new.get(name))}"
    for index, (a, b) in enumerate(zip(former.input, node.input, strict=False)):
        if a and b and after.is_constant(b) and before.datatype(a) != after.datatype(b):
            role = _role(after, node, index)
            yield f"datatype of the {role} {before.datatype(a).name} -> {after.datatype(b).name}"
    for a, b in zip(former.output, node.output, strict=False):
        if a and b and before.datatype(a) != after.datatype(b):
            yield f"datatype of the output {before.datatype(a).name} -> {after.datatype(b).name}"


def _wires(before: Graph, after: Graph, node: Any, known: Mapping[str, Any]) -> Iterator[str]:
    """Inputs that come from elsewhere: exchanged, from another node, past one that is gone."""
    former = known[node.output[0]]
    kept = {other.output[0] for other in known.values()}
    old = [before.producer(name) for name in former.input if name and not before.is_constant(name)]
    new = [after.producer(name) for name in node.input if name and not after.is_constant(name)]
    was = [None if maker is None else str(maker.output[0]) for maker in old]
    now = [None if maker is None else _former_output(maker, known) for maker in new]
    if was != now and sorted(map(str, was)) == sorted(map(str, now)):
        yield "inputs are exchanged"
        return
    for maker, other, a, b in zip(old, new, was, now, strict=False):
        if a == b:
            continue
        if maker is not None and a not in kept:
            yield f"{_called(before, maker)} ({maker.op_type}) before it is gone"
        elif other is not None and b is not None and not b.startswith("new "):
            yield f"gets its input from {_called(after, other)}"


def _end(before: Graph, after: Graph, node: Any, known: Mapping[str, Any]) -> Iterator[str]:
    """A node behind this one that made an output of the graph, and is gone."""
    kept = {other.output[0] for other in known.values()}
    for old, new in zip(before.outputs, after.outputs, strict=False):
        maker = before.producer(old)
        if new in node.output and maker is not None and maker.output[0] not in kept:
            yield f"{_called(before, maker)} ({maker.op_type}) behind it is gone"


def _former_output(maker: Any, known: Mapping[str, Any]) -> str:
    former = known.get(maker.output[0])
    return f"new {maker.output[0]}" if former is None else str(former.output[0])


def _called(graph: Graph, node: Any) -> str:
    return graph.readable(node.output[0])[1]


def _role(graph: Graph, node: Any, index: int) -> str:
    kind = node.op_type
    if kind in THRESHOLD or (kind in MATRIX and index == 2 and kind != "Gemm"):
        return "threshold"
    if kind in MATRIX | CONVOLUTION:
        return "weight" if index == 1 or kind == "MatMul" else "bias"
    if index < len(words := _INPUTS.get(kind, ())):
        return words[index]
    if kind in SCALE | BIAS:
        word = "scale" if kind in SCALE else "bias"
        return f"final {word}" if _is_last(graph, node) else word
    return f"constant {index}"


def _is_last(graph: Graph, node: Any) -> bool:
    """Whether nothing that computes stands behind a node."""
    return node.output[0] in graph.outputs or all(
        other.op_type in _END | SCALE | BIAS for other in graph.below([node.output[0]], _END | SCALE | BIAS)
    )


def _shown(value: Any) -> str:
    if value is None:
        return "(not set)"
    if isinstance(value, float):
        return arrays.number(value)
    if isinstance(value, np.ndarray):
        return f"[{value.shape}]"
    return str(list(value)) if isinstance(value, (list, tuple)) else str(value)
