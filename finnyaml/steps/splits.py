"""Layers that read a part of the channels read all of them, with weights of 0, exactly. Runs in workers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import RemoveUnusedTensors

from finnyaml.errors import StepFailed
from finnyaml.graph.surgery import Node, Repaired, free_name, set_attributes, store_constant
from finnyaml.graph.view import View, name
from finnyaml.lint.layers import groups_of, part_of


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
        _refuse_without_zero("absorb_splits", layer, view.datatype(layer.input[1]))
        axis = 1 if layer.op_type == "Conv" else 0
        shape = list(weights.shape)
        shape[axis] = part.channels
        spread = np.zeros(shape, weights.dtype)
        where = [slice(None)] * len(shape)
        where[axis] = slice(part.start, part.start + weights.shape[axis])
        spread[tuple(where)] = weights
        made = free_name(f"{layer.input[1]}_spread", taken)
        store_constant(model, made, spread, like=layer.input[1])
        layer.input[0], layer.input[1] = node.input[0], made
        model.graph.node.remove(node)
        changes.append(
            f"{name(layer)} ({layer.op_type}) reads all {part.channels} channels, {weights.shape[axis]} of them with "
            f"weights, in place of {name(node)} ({node.op_type})"
        )
    return Repaired(model.transform(RemoveUnusedTensors()) if changes else model, tuple(changes))


def expand_groups(model: ModelWrapper) -> Repaired:
    """Make convolutions with groups dense ones, with weights of 0 between channels of different groups.

    FINN has layers for dense and for depthwise convolutions; nothing for groups of several channels. It costs as many
    weights times the groups. Belongs after `tidy_up`, before `streamline`.

    Raises:
        StepFailed: weights of -1 and +1 alone, which have no 0.
    """
    model = copy.deepcopy(model)
    view = View(model)
    taken = set(model.get_all_tensor_names())
    changes = []
    for node in view.nodes:
        groups = groups_of(view, node)
        weights = view.constant(node.input[1]) if groups else None
        if weights is None:
            continue
        _refuse_without_zero("expand_groups", node, view.datatype(node.input[1]))
        outputs, inputs = weights.shape[0] // groups, weights.shape[1]
        dense = np.zeros((weights.shape[0], inputs * groups, *weights.shape[2:]), weights.dtype)
        for group in range(groups):
            rows = slice(group * outputs, (group + 1) * outputs)
            dense[rows, group * inputs : (group + 1) * inputs] = weights[rows]
        made = free_name(f"{node.input[1]}_dense", taken)
        store_constant(model, made, dense, like=node.input[1])
        node.input[1] = made
        set_attributes(node, group=1)
        changes.append(f"{name(node)} has weights of 0 in place of its {groups} groups")
    return Repaired(model.transform(RemoveUnusedTensors()) if changes else model, tuple(changes))


def _refuse_without_zero(step: str, layer: Node, datatype: Any) -> None:
    if not datatype.allowed(0):
        raise StepFailed(
            f"{step}: the weights of {name(layer)} are {datatype.name}, which has no 0",
            hint="run represent_bipolar before it (INT2), or use weights of two bits there",
        )
