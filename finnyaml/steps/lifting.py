"""One-dimensional layers become two-dimensional ones of width 1, exactly. Runs in workers."""

from __future__ import annotations

import copy

import numpy as np
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finnyaml.errors import StepFailed
from finnyaml.graph.surgery import Node, Repaired, free_name, set_attributes, store_constant
from finnyaml.graph.view import View, attributes, name
from finnyaml.lint.layers import WINDOWED, is_one_dimensional

EACH = frozenset(
    (
        *("Add", "BatchNormalization", "Clip", "Concat", "Div", "Elu", "GlobalAveragePool", "Identity", "LeakyRelu"),
        *("Mul", "MultiThreshold", "PRelu", "Quant", "BipolarQuant", "Trunc", "Relu", "Selu", "Sigmoid", "Split"),
        *("Sub", "Tanh", "Gelu", "HardSwish", "Softplus"),
    )
)
"""Operators that do the same with a dimension more at the end; constants with as many dimensions get one more, too."""


def lift_to_4d(model: ModelWrapper) -> Repaired:
    """Make Conv1d and pooling along one dimension Conv2d and pooling over [length, 1], as FINN has only these.

    Tensors [N, C, L] between them become [N, C, L, 1]. What gives out such a tensor (a Reshape, the input of the
    network) gives it out so, and what takes another form of it (Flatten, Reshape, the output) takes the same values in
    the same order. Belongs after `tidy_up`, before `streamline`.

    Raises:
        StepFailed: an operator on such a tensor that cannot be lifted.
    """
    model = _unwrapped(copy.deepcopy(model))
    view = View(model)
    layers = [node for node in view.nodes if is_one_dimensional(view, node)]
    if not layers:
        return Repaired(model, ())
    tensors = _region(view, layers)
    edit = _Edit(model, view, tensors)
    for node in view.nodes:
        edit.node(node)
    edit.ends()
    del model.graph.value_info[:]
    model = model.transform(InferShapes()).transform(InferDataTypes()).transform(InferDataLayouts())
    changes = [f"{name(node)} ({node.op_type}) is two-dimensional, of width 1" for node in layers]
    return Repaired(model, tuple(changes))


def _unwrapped(model: ModelWrapper) -> ModelWrapper:
    """The model (changed) where pooling along a line is that again: exporters put it between Unsqueeze and Squeeze."""
    view = View(model)
    for last in [node for node in view.nodes if node.op_type == "Squeeze"]:
        pool = view.producer(str(last.input[0]))
        first = view.producer(str(pool.input[0])) if pool is not None and pool.op_type in _POOLS else None
        if first is None or first.op_type != "Unsqueeze":
            continue
        axes = [view.constant(node.input[1]) for node in (first, last)]
        put = {int(axis.item()) % 4 for axis in axes if axis is not None and axis.size == 1}
        alone = all(len(view.consumers(node.output[0])) == 1 for node in (first, pool))
        if not alone or None in axes or len(put) != 1 or put - {2, 3}:
            continue
        if _flatten(model, view, pool, put.pop()):
            pool.input[0], pool.output[0] = first.input[0], last.output[0]
            model.graph.node.remove(first)
            model.graph.node.remove(last)
    return model


_POOLS = frozenset(("AveragePool", "MaxPool", "ReduceMean"))


def _flatten(model: ModelWrapper, view: View, pool: Node, extra: int) -> bool:
    """Let a pooling over an image with one row (or column, the axis `extra`) be one along a line, if it is that."""
    written, along = attributes(pool), 5 - extra
    if pool.op_type == "ReduceMean":
        axes = view.constant(pool.input[1]) if len(pool.input) > 1 else None
        if axes is None or sorted(int(axis) % 4 for axis in axes) != [2, 3] or not written.get("keepdims", 1):
            return False
        model.set_initializer(f"{pool.output[0]}_line", np.array([2], np.int64))
        pool.input[1] = f"{pool.output[0]}_line"
        return True
    if written["kernel_shape"][extra - 2] != 1:
        return False
    one = {word: [written[word][along - 2]] for word in ("kernel_shape", "strides", "dilations") if word in written}
    if "pads" in written:
        one["pads"] = [written["pads"][along - 2], written["pads"][along]]
    set_attributes(pool, **one)
    return True


def _region(view: View, layers: list[Node]) -> set[str]:
    """The tensors that are lifted: those around the layers, as far as operators of `EACH` join them."""
    found: set[str] = set()
    todo = [tensor for node in layers for tensor in (node.input[0], node.output[0])]
    while todo:
        tensor = todo.pop()
        if tensor in found or len(view.shape(tensor)) != 3 or view.is_constant(tensor):
            continue
        found.add(tensor)
        nodes = [*view.consumers(tensor), *filter(None, [view.producer(tensor)])]
        for node in nodes:
            if node.op_type in EACH or node.op_type in WINDOWED or node.op_type == "ReduceMean":
                todo += [*view.dynamic_inputs(node), *node.output]
    return found


class _Edit:
    """The lifting of one graph, in progress."""

    def __init__(self, model: ModelWrapper, view: View, tensors: set[str]) -> None:
        self._model, self._view, self._tensors = model, view, tensors
        self._taken = set(model.get_all_tensor_names())
        self._lifted: dict[str, str] = {}

    def node(self, node: Node) -> None:
        takes = [tensor for tensor in node.input if tensor in self._tensors]
        gives = [tensor for tensor in node.output if tensor in self._tensors]
        if not takes and not gives:
            return
        if node.op_type in WINDOWED:
            self._window(node)
        elif node.op_type in EACH:
            self._constants(node)
        elif node.op_type == "Reshape":
            if gives:
                self._append(node, 1)
        elif node.op_type == "Flatten" and not gives:
            axis = int(attributes(node).get("axis", 1))
            set_attributes(node, axis=axis if axis >= 0 else axis + 3)
        elif node.op_type == "Resize":
            self._append(node, 2 if len(node.input) > 2 and node.input[2] else 3)
        elif node.op_type == "ReduceMean" and self._over_length(node):
            axes = free_name(f"{node.output[0]}_axes", self._taken)
            self._model.set_initializer(axes, np.array([2, 3], np.int64))
            node.input[:] = [node.input[0], axes]
        elif node.op_type == "Transpose" and not gives:
            raise self._refuse(node, "let the data arrive as [N, C, L]: model.input.layout: NWC says that it comes NWC")
        else:
            raise self._refuse(node, "use layers that work on [N, C, L], or write the network with Conv2d")

    def ends(self) -> None:
        """Put an Unsqueeze behind a lifted input of the network, and before a lifted output a Reshape to what it was.

        FINN has a layer for a Reshape, and scales that streamlining moves to the end may stand behind it.
        """
        for tensor in self._view.inputs:
            if tensor in self._tensors:
                inner = self._between(tensor)
                for node in self._view.consumers(tensor):
                    node.input[:] = [inner if each == tensor else each for each in node.input]
                self._insert(0, "Unsqueeze", tensor, inner, np.array([3], np.int64))
        for value in self._model.graph.output:
            if value.name in self._tensors:
                inner, producer = self._between(value.name), self._view.producer(value.name)
                producer.output[:] = [inner if each == value.name else each for each in producer.output]
                for node in self._view.consumers(value.name):
                    node.input[:] = [inner if each == value.name else each for each in node.input]
                sizes = np.array(self._view.shape(value.name), np.int64)
                self._insert(len(self._model.graph.node), "Reshape", inner, value.name, sizes)

    def _between(self, tensor: str) -> str:
        made = free_name(f"{tensor}_lifted", self._taken)
        self._model.set_tensor_datatype(made, self._view.datatype(tensor))
        return made

    def _insert(self, index: int, kind: str, source: str, result: str, operand: np.ndarray) -> None:
        stored = free_name(f"{result}_{kind.lower()}", self._taken)
        self._model.set_initializer(stored, operand)
        made = helper.make_node(kind, [source, stored], [result], name=f"{kind}_{result}")
        self._model.graph.node.insert(index, made)

    def _window(self, node: Node) -> None:
        written = attributes(node)
        size = written.get("kernel_shape") or list(self._view.shape(node.input[1])[2:])
        made = {"kernel_shape": [size[0], 1], "strides": [written.get("strides", [1])[0], 1]}
        if "dilations" in written:
            made["dilations"] = [written["dilations"][0], 1]
        if "pads" in written:
            before, after = written["pads"]
            made["pads"] = [before, 0, after, 0]
        if "output_padding" in written:
            made["output_padding"] = [written["output_padding"][0], 0]
        set_attributes(node, **made)
        if "Conv" in node.op_type:
            node.input[1] = self._with_width(str(node.input[1]))

    def _constants(self, node: Node) -> None:
        if node.op_type == "MultiThreshold":
            layout = {"NCW": "NCHW", "NWC": "NCHW"}.get(str(attributes(node).get("data_layout", "")), "NCHW")
            set_attributes(node, data_layout=layout)
            return
        for index, tensor in enumerate(node.input):
            value = self._view.constant(tensor) if tensor else None
            if value is None or node.op_type in ("BatchNormalization", "Split", "Clip"):
                continue
            if value.ndim and value.size > 1:  # as broadcasting has it: the last axis meets the last axis
                full = value.reshape((1,) * (3 - value.ndim) + value.shape)
                node.input[index] = self._store(str(tensor), full[..., np.newaxis])
        axis = attributes(node).get("axis")
        if axis is not None and int(axis) < 0:
            set_attributes(node, axis=int(axis) + 3)

    def _with_width(self, tensor: str) -> str:
        """The weights of a layer with the dimension of the width; those of a quantizer are lifted before it."""
        if tensor in self._lifted:
            return self._lifted[tensor]
        value = self._view.constant(tensor)
        if value is not None:
            self._lifted[tensor] = self._store(tensor, value[..., np.newaxis])
            return self._lifted[tensor]
        quantizer = self._view.producer(tensor)
        if quantizer is None or quantizer.op_type not in ("Quant", "BipolarQuant", "IntQuant"):
            raise StepFailed(f"lift_to_4d: the weights {tensor} are computed", hint="quantize stored weights")
        for index, source in enumerate(quantizer.input):
            value = self._view.constant(source)
            if value is not None and value.ndim == 3:
                quantizer.input[index] = self._store(str(source), value[..., np.newaxis])
        self._lifted[tensor] = tensor
        return tensor

    def _over_length(self, node: Node) -> bool:
        """Whether a ReduceMean averages over the length; its axes are an operand."""
        axes = self._view.constant(node.input[1]) if len(node.input) > 1 else None
        return axes is not None and [int(axis) % 3 for axis in axes.reshape(-1)] == [2]

    def _append(self, node: Node, index: int) -> None:
        """Let a constant operand that lists the dimensions have one more."""
        listed = self._view.constant(node.input[index]) if len(node.input) > index else None
        if listed is None:
            raise self._refuse(node, "give it a constant shape")
        node.input[index] = self._store(str(node.input[index]), np.append(listed, 1).astype(listed.dtype))

    def _store(self, like: str, values: np.ndarray) -> str:
        made = free_name(f"{like}_4d", self._taken)
        store_constant(self._model, made, np.ascontiguousarray(values), like=like)
        return made

    def _refuse(self, node: Node, hint: str) -> StepFailed:
        return StepFailed(
            f"lift_to_4d: {name(node)} ({node.op_type}) stands between one-dimensional layers and cannot be lifted",
            hint=hint,
        )
