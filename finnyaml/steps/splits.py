"""A layer that reads a part of the channels reads all of them, with weights of 0, exactly. Runs in workers."""

from __future__ import annotations

import copy

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import RemoveUnusedTensors

from finnyaml.errors import StepFailed
from finnyaml.graph.surgery import Repaired, free_name
from finnyaml.graph.view import View, name
from finnyaml.lint.layers import part_of


def absorb_splits(model: ModelWrapper) -> Repaired:
    """Let a layer behind a Split or a Slice of channels read all channels, with weights of 0 for those cut off.

    FINN's layer for a Split sends every part on, and has nothing for parts that nobody reads. Where one layer reads one
    part, the sum over all channels is the same. It costs as many weights. Belongs after `tidy_up`, before `streamline`.

    Raises:
        StepFailed: weights of -1 and +1 alone, which have no 0.
    """
    model = copy.deepcopy(model)
    view = View(model)
    taken = set(model.get_all_tensor_names())
    changes = []
    for node in view.nodes:
        part = part_of(view, node)
        if part is None:
            continue
        layer, weights = part.layer, view.constant(part.layer.input[1])
        assert weights is not None
        datatype = view.datatype(layer.input[1])
        if not datatype.allowed(0):
            raise StepFailed(
                f"absorb_splits: the weights of {name(layer)} are {datatype.name}, which has no 0",
                hint="use weights of two bits there",
            )
        axis = 1 if layer.op_type == "Conv" else 0
        shape = list(weights.shape)
        shape[axis] = part.channels
        spread = np.zeros(shape, weights.dtype)
        where = [slice(None)] * len(shape)
        where[axis] = slice(part.start, part.start + weights.shape[axis])
        spread[tuple(where)] = weights
        made = free_name(f"{layer.input[1]}_spread", taken)
        model.set_initializer(made, spread)
        model.set_tensor_datatype(made, datatype)
        layer.input[0], layer.input[1] = node.input[0], made
        model.graph.node.remove(node)
        changes.append(
            f"{name(layer)} ({layer.op_type}) reads all {part.channels} channels, {weights.shape[axis]} of them with "
            f"weights, in place of {name(node)} ({node.op_type})"
        )
    return Repaired(model.transform(RemoveUnusedTensors()) if changes else model, tuple(changes))
