"""What the host does and what is inside the accelerator, in words; read off the graphs, not assumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto

from finnyaml.bundle.host_part import permutation
from finnyaml.verify.executor import BatchedModel

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

INSIDE = "inside the accelerator"
MOVING = {"Identity", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}
CHOOSING = {"TopK", "ArgMax", "LabelSelect"}
"""What makes class indices of scores."""
ARITHMETIC = {"Mul": "multiply by", "Div": "divide by", "Add": "add", "Sub": "subtract"}
CLOSE = 1e-4
"""How near, as a part of the largest value, a tensor of the head must be to what a stage of the recipe makes."""


def does(model: ModelWrapper, layout: str | None) -> list[str]:
    """What the host computes with this graph, an entry per node. layout: of its input."""
    told = []
    for node in model.graph.node:
        if node.op_type == "Transpose":
            order = permutation(node)
            turned = "".join(layout[axis] for axis in order) if layout and len(layout) == len(order) else None
            told.append(f"transpose {layout} to {turned}" if turned else f"transpose: axes in the order {_list(order)}")
            layout = turned
        elif node.op_type != "Identity":
            told.append(_told(node, model))
            layout = layout if node.op_type not in MOVING else None
    return told


def _told(node: NodeProto, model: ModelWrapper) -> str:
    operand, datatype = _operand(node, model), model.get_tensor_datatype(node.output[0]).name
    if node.op_type in ARITHMETIC and operand is not None:
        values = np.unique(operand.astype(np.float32))
        several = f"{operand.size} constants, {values[0]:g} to {values[-1]:g}"
        return f"{ARITHMETIC[node.op_type]} {several if len(values) > 1 else f'{values[0]:g}'}"
    if node.op_type in MOVING:
        return f"reshape to {_list(['n', *model.get_tensor_shape(node.output[0])[1:]])}"
    if node.op_type in CHOOSING:
        count = int(np.prod(model.get_tensor_shape(node.output[-1]) or [1]))
        return "index of the highest score" if count == 1 else f"indices of the {count} highest scores, best first"
    if node.op_type in ("MultiThreshold", "Thresholding"):
        steps = model.get_tensor_shape(node.input[1])[-1]
        return f"count how many of {steps} thresholds are reached, as {datatype}"
    if node.op_type in ("Quant", "IntQuant", "BipolarQuant"):
        return f"quantise ({node.op_type}) to {datatype}"
    return f"{node.op_type} ({node.name})" if node.name else str(node.op_type)


def scale(model: ModelWrapper) -> float | list[float] | None:
    """The constant that the graph multiplies by, if it does: a number, or one per channel; None if it does not."""
    product: np.ndarray | None = None
    for node in model.graph.node:
        operand = _operand(node, model)
        if node.op_type in ("Mul", "Div") and operand is not None:
            factor = operand.astype(np.float64) if node.op_type == "Mul" else 1.0 / operand.astype(np.float64)
            product = factor if product is None else product * factor
    if product is None:
        return None
    numbers = [float(f"{value:.9g}") for value in np.ravel(product)]
    return numbers[0] if len(set(numbers)) == 1 else numbers


def meaning(model: ModelWrapper) -> tuple[bool, int | None]:
    """Whether a graph gives class indices, and the number of classes; model: prepared, without partitions."""
    producers = {t: n for n in model.graph.node for t in n.output}
    node = producers.get(model.graph.output[0].name)
    while node is not None and node.op_type in {*MOVING, "Cast"}:
        node = producers.get(node.input[0])
    if node is None or node.op_type not in CHOOSING:
        return False, None
    shape = model.get_tensor_shape(node.input[0])
    return True, int(shape[-1]) if shape else None


def inside(
    stages: Mapping[str, Sequence[Mapping[str, Any]]], head: ModelWrapper, tail: ModelWrapper, hardware: ModelWrapper
) -> list[str]:
    """For each stage of the recipe's pre- and post-processing, where the build has put it.

    hardware: prepared, without partitions.
    """
    before, after = stages.get("preprocess", ()), stages.get("postprocess", ())
    arithmetic = [n for n in head.graph.node if n.op_type not in MOVING]
    count = _on_host(before, head) if arithmetic else 0
    told = []
    for place, stage in enumerate(before):
        if place < count:
            where = "on the host, before the accelerator"
        else:
            where = INSIDE if not arithmetic or count else "on the host, at least in part"
        told.append(f"{_stage(stage)} ({where})")
    kinds = {n.op_type for n in tail.graph.node}
    for stage in after:
        if stage["kind"] == "top_k":
            outside = not kinds.isdisjoint({"TopK", "ArgMax"})
            found = outside or any(n.op_type == "LabelSelect" for n in hardware.graph.node)
            where = "on the host, after the accelerator" if outside else INSIDE if found else "in no form that is known"
        else:
            where = "on the host, at least in part" if kinds - MOVING - CHOOSING else INSIDE
        told.append(f"{_stage(stage)} ({where})")
    return told


def _stage(stage: Mapping[str, Any]) -> str:
    kind, options = stage["kind"], stage.get("options", {})
    if kind == "to_tensor":
        return "to_tensor: x / 255"
    if kind == "normalize":
        return f"normalize: (x - {options.get('mean', 0.0)}) / {options.get('std', 1.0)}"
    if kind == "top_k":
        return f"top_k: {options.get('k', 1)}"
    return f"{kind}: a graph of the recipe's own"


def _on_host(stages: Sequence[Mapping[str, Any]], head: ModelWrapper) -> int:
    """How many stages have happened in some tensor of the head: their values are there, in whatever order."""
    graph = BatchedModel(head, taps="all", threads=1, optimise=False)
    layout = head.get_tensor_layout(graph.input)
    datatype = graph.input_datatype
    if datatype.name == "FLOAT32":
        low, high = 0, 255
    else:  # as far as random numbers of 32 bits reach
        low, high = max(int(datatype.min()), -(2**30)), min(int(datatype.max()), 2**30)
    drawn = np.random.RandomState(0).randint(low, high + 1, (4, *graph.input_shape[1:]))
    tensors = [np.sort(t, axis=None) for t in graph.run(drawn).values()]
    values: np.ndarray = drawn.astype(np.float32)
    axis = layout.index("C") if layout and "C" in layout else min(1, values.ndim - 1)
    found = 0
    for done, stage in enumerate(stages, 1):
        if stage["kind"] not in ARITHMETIC_STAGES:
            break
        values = ARITHMETIC_STAGES[stage["kind"]](values, stage.get("options", {}), axis)
        wanted = np.sort(values, axis=None)
        size = CLOSE * max(float(np.abs(wanted).max()), 1e-30)
        if any(t.shape == wanted.shape and np.allclose(t, wanted, rtol=0, atol=size) for t in tensors):
            found = done
    return found


def _normalised(x: np.ndarray, options: Mapping[str, Any], axis: int) -> np.ndarray:
    mean, std = (
        np.asarray(options.get(name, usual), np.float32).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        for name, usual in (("mean", 0.0), ("std", 1.0))
    )
    result: np.ndarray = (x - mean) / std
    return result


ARITHMETIC_STAGES: Mapping[str, Callable[[np.ndarray, Mapping[str, Any], int], np.ndarray]] = {
    "to_tensor": lambda x, options, axis: x / np.float32(255),
    "normalize": _normalised,
}


def _operand(node: NodeProto, model: ModelWrapper) -> np.ndarray | None:
    """The constant operand of a node with two inputs; None if there is none. A constant that is divided is none."""
    if len(node.input) != 2:
        return None
    right: np.ndarray | None = model.get_initializer(node.input[1])
    if right is None and node.op_type in ("Mul", "Add"):
        right = model.get_initializer(node.input[0])
    return right


def _list(values: Sequence[Any]) -> str:
    return f"[{', '.join(str(value) for value in values)}]"
