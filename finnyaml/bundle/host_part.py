"""What lies outside the accelerator: from the user's samples to its input, from its output to the user's.

Both are graphs of their own, cut out of the dataflow parent; the first begins with whatever turns samples as the data
set has them into what the graph takes.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from finnyaml.errors import StepFailed
from finnyaml.graph.operators import PARTITION
from finnyaml.graph.view import View
from finnyaml.verify.data.layout import delivered, fitted
from finnyaml.verify.executor.prepare import needed

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

Moves = Sequence[tuple[str, tuple[int, ...]]]
"""What is done to a batch [n, ...]: ("Transpose", the axes in their new order), ("Reshape", the shape of a sample)."""


def head_and_tail(parent: ModelWrapper) -> tuple[ModelWrapper, ModelWrapper]:
    """The graphs before and after the only partition of a dataflow parent; they may have no nodes.

    Raises StepFailed: several partitions, or a path around the accelerator.
    """
    graph = parent.graph
    partitions = [n for n in graph.node if n.op_type == PARTITION]
    if len(partitions) != 1:
        raise StepFailed(f"the dataflow parent has {len(partitions)} accelerators; a bundle is for one")
    partition = partitions[0]
    view = View(parent)
    source, given = view.inputs[0], view.dynamic_inputs(partition)[0]
    taken = partition.output[0]
    before = needed(list(graph.node), [given])
    after = [n for n in graph.node if n not in before and n is not partition]
    outer = {source, *(t for n in before for t in n.output)}
    for node in after:
        if around := outer.intersection(node.input):
            raise StepFailed(
                f"{node.op_type} {node.name} takes {around.pop()} past the accelerator; a bundle is for one stream",
                hint="let convert_to_hw map the whole residual branch, or keep its ends outside of the hardware layers",
            )
    return _cut(parent, before, source, given), _cut(parent, after, taken, graph.output[0].name)


def moves(shape: Sequence[int], layout: str | None, wanted: Sequence[int], recipe_layout: str | None) -> Moves:
    """How samples of this shape and layout become what a graph input of the shape `wanted` takes.

    Exactly what `finnyaml.verify` does with the data of a verification point; found by doing it to numbered values.
    Raises StepFailed: the samples do not fit the graph.
    """
    numbered: np.ndarray = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(1, *shape)
    result = fitted(delivered(numbered, layout, recipe_layout), [1, *wanted[1:]], recipe_layout or layout)
    axes = tuple(range(numbered.ndim))
    orders = [(0, *rest) for rest in itertools.permutations(axes[1:])]
    for reshape in (False, True):
        for order in orders:
            turned = numbered.transpose(order)
            same_shape = turned.shape == result.shape
            if same_shape is not reshape and np.array_equal(turned.reshape(-1), result.reshape(-1)):
                turn: Moves = [("Transpose", order)] if order != axes else []
                return [*turn, ("Reshape", tuple(int(size) for size in result.shape[1:]))] if reshape else turn
    raise AssertionError("fitting samples is neither a transpose nor a reshape")


def moved(batch: np.ndarray, steps: Moves) -> np.ndarray:
    """The batch [n, ...] after these moves, of the same dtype."""
    for kind, value in steps:
        batch = batch.transpose(value) if kind == "Transpose" else batch.reshape(len(batch), *value)
    return batch


def with_moves(head: ModelWrapper, shape: Sequence[int], steps: Moves) -> ModelWrapper:
    """The head for samples of this shape: the moves before everything else; what they and it only undo is left out."""
    head = copy.deepcopy(head)
    graph = head.graph
    source = graph.input[0].name
    datatype = head.get_tensor_datatype(source)
    names = ["sample", *(f"moved{place}" for place in range(1, len(steps))), source][: len(steps) + 1] if steps else []
    nodes, sizes = [], [[1, *shape]]
    for (kind, value), given, made in zip(steps, names, names[1:], strict=False):
        if kind == "Transpose":
            nodes.append(helper.make_node(kind, [given], [made], perm=value))
            sizes.append([sizes[-1][axis] for axis in value])
        else:
            graph.initializer.append(numpy_helper.from_array(np.array([1, *value], np.int64), f"{made}~shape"))
            nodes.append(helper.make_node(kind, [given, f"{made}~shape"], [made]))
            sizes.append([1, *value])
    if steps:
        rest = list(graph.node)
        del graph.node[:]
        graph.node.extend([*nodes, *rest])
        del graph.input[:]
        infos = [helper.make_tensor_value_info(t, TensorProto.FLOAT, s) for t, s in zip(names, sizes, strict=True)]
        graph.input.append(infos[0])
        graph.value_info.extend(infos[1:-1])
        (graph.value_info if graph.output else graph.output).append(infos[-1])
        head.set_tensor_datatype(names[0], datatype)
    _merge_transposes(graph)
    return head


def _cut(parent: ModelWrapper, nodes: list[NodeProto], source: str, target: str) -> ModelWrapper:
    """The nodes of the parent that lead from one tensor to another, as a model."""
    model = copy.deepcopy(parent)
    graph = model.graph
    ends = [parent.get_tensor_valueinfo(t) for t in (source, target)]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(ends[0])
    graph.output.extend(ends[1:] if source != target else [])  # qonnx takes no name twice
    used = {t for n in nodes for t in n.input}
    constants = [i for i in graph.initializer if i.name in used]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    made = {t for n in nodes for t in n.output} - {target}
    infos = [v for v in graph.value_info if v.name in made | used and v.name not in (source, target)]
    del graph.value_info[:]
    graph.value_info.extend(infos)
    return model


def _merge_transposes(graph: GraphProto) -> None:
    """Two transposes in a row become one, or none (in place)."""
    place = 0
    while place < len(graph.node):
        node = graph.node[place]
        followers = [n for n in graph.node if node.output[0] in n.input]
        if node.op_type == "Transpose" and len(followers) == 1 and followers[0].op_type == "Transpose":
            first, second = permutation(node), permutation(followers[0])
            followers[0].input[0] = node.input[0]
            del followers[0].attribute[:]
            followers[0].attribute.append(helper.make_attribute("perm", [first[axis] for axis in second]))
            graph.node.remove(node)
            continue
        place += 1
    for node in [n for n in graph.node if n.op_type == "Transpose" and permutation(n) == sorted(permutation(n))]:
        graph.node.remove(node)
        _bypass(graph, node.input[0], node.output[0])


def _bypass(graph: GraphProto, given: str, made: str) -> None:
    """Let one tensor take the place of another with the same values, whose node is gone (in place)."""
    if any(output.name == made for output in graph.output):
        if given == graph.input[0].name:
            del graph.output[:]  # nothing is left
            return
        given, made = made, given
    for node in graph.node:
        node.input[:] = [given if t == made else t for t in node.input]
        node.output[:] = [given if t == made else t for t in node.output]


def permutation(node: NodeProto) -> list[int]:
    """The axes of a Transpose node, in their new order; reversed where it does not say."""
    perm: Any = next((a.ints for a in node.attribute if a.name == "perm"), None)
    if perm is None:
        raise StepFailed(f"{node.op_type} {node.name} has no attribute perm")
    return [int(axis) for axis in perm]
