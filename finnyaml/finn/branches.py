"""FINN's own transformations for networks with branches, in an order in which they come to an end.

Scales pass forks, windows, products and joins until thresholds take them in; transposes pass forks and joins until two
of them meet. FINN's step `streamline` has none of those for forks and joins.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from finn.transformation.fpgadataflow.convert_to_hw.concat import InferConcatLayer
from finn.transformation.streamline import absorb, reorder
from finn.transformation.streamline.collapse_repeated import CollapseRepeatedAdd, CollapseRepeatedMul
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes


def _of_one_rank(model: ModelWrapper, producers: Sequence[Any]) -> bool:
    """Whether all these nodes have a constant with as many dimensions as their data; at others FINN's may stop."""
    return all(
        producer is not None
        and (constant := model.get_initializer(producer.input[1])) is not None
        and constant.ndim == len(model.get_tensor_shape(producer.input[0]))
        for producer in producers
    )


def _are_one_number(model: ModelWrapper, producers: Sequence[Any]) -> bool:
    """Whether all these nodes have one and the same number."""
    constants = [model.get_initializer(producer.input[1]) for producer in producers]
    return all(each.size == 1 for each in constants) and len({each.item() for each in constants}) == 1


class _MulPastJoinAdd(reorder.MoveMulPastJoinAdd):  # type: ignore[misc]
    """FINN's compares scales of one number only; of more it ends in an exception."""

    def are_producers_identical(self, model: ModelWrapper, producers: Sequence[Any]) -> bool:
        if any(producer is None or producer.op_type != "Mul" for producer in producers):
            return False
        first, *others = (model.get_initializer(producer.input[1]) for producer in producers)
        return first is not None and all(other is not None and np.array_equal(first, other) for other in others)


class _MulPastJoinConcat(reorder.MoveMulPastJoinConcat):  # type: ignore[misc]
    """FINN's compares scales per channel of branches with different numbers of channels, and ends in an exception."""

    are_producers_identical_scalar_ops = staticmethod(_are_one_number)

    def are_producers_channelwise_ops(self, channel_dim: int, model: ModelWrapper, producers: Sequence[Any]) -> bool:
        return _of_one_rank(model, producers) and bool(
            super().are_producers_channelwise_ops(channel_dim, model, producers)
        )


class _AddPastJoinConcat(_MulPastJoinConcat):
    """The same for biases."""

    def __init__(self) -> None:
        reorder.MoveAffinePastJoinConcat.__init__(self, ["Add"])


class _AddPastJoinAdd(reorder.MoveAddPastJoinAdd):  # type: ignore[misc]
    """FINN's makes one number of biases per channel: the sum of them all."""

    def move_node(self, model: ModelWrapper, n: Any, producers: Sequence[Any]) -> bool:
        biases = [model.get_initializer(producer.input[1]) for producer in producers]
        model.set_initializer(producers[0].input[1], functools.reduce(np.add, biases))
        return bool(reorder.MoveIdenticalOpPastJoinOp.move_node(self, model, n, producers))


class _MulPastMaxPool(Transformation):  # type: ignore[misc]
    """Move a scale past a max-pooling: FINN's does so only while it is channels first."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        changed = False
        for pool in [node for node in model.graph.node if node.op_type in ("MaxPool", "MaxPoolNHWC")]:
            scale = model.find_producer(pool.input[0])
            number = model.get_initializer(scale.input[1]) if scale is not None and scale.op_type == "Mul" else None
            if number is None or number.size != 1 or number.item() <= 0 or model.is_fork_node(scale):
                continue
            between, result = str(scale.output[0]), str(pool.output[0])
            shape = model.get_tensor_shape(result)
            pool.input[0], pool.output[0] = scale.input[0], between
            scale.input[0], scale.output[0] = between, result
            model.set_tensor_shape(between, shape)
            model.graph.node.remove(scale)
            model.graph.node.insert(list(model.graph.node).index(pool) + 1, scale)
            changed = True
        return model.transform(InferDataTypes()) if changed else model, False


MOVES = (
    # FINN has one for scalars and for channels, finn-plus two.
    getattr(reorder, "MoveScalarLinearPastFork", None) or reorder.MoveLinearPastFork,
    reorder.MoveTransposePastFork,
    reorder.MoveScalarLinearPastInvariants,
    *([reorder.MoveScalesPastIm2Col] if hasattr(reorder, "MoveScalesPastIm2Col") else []),  # finn-plus' own
    _MulPastMaxPool,
    reorder.MoveScalarMulPastMatMul,
    reorder.MoveScalarAddPastMatMul,
    reorder.MoveScalarLinearPastSplit,
    reorder.MoveTransposePastSplit,
    _MulPastJoinConcat,
    _AddPastJoinConcat,
    _MulPastJoinAdd,
    _AddPastJoinAdd,
    reorder.MoveTransposePastJoinConcat,
    reorder.MoveTransposePastJoinAdd,
    reorder.MakeMaxPoolNHWC,
    reorder.MakeScaleResizeNHWC,
    absorb.AbsorbTransposeIntoMultiThreshold,
    absorb.AbsorbConsecutiveTransposes,
    CollapseRepeatedMul,
    CollapseRepeatedAdd,
    absorb.AbsorbAddIntoMultiThreshold,
    absorb.AbsorbMulIntoMultiThreshold,
    InferShapes,
    InferDataTypes,
    InferDataLayouts,
    GiveUniqueNodeNames,
    GiveReadableTensorNames,
)

_MOST = 20
"""Rounds after which it is left as it is; a network needs about as many as it has branches behind one another."""


def streamline_branches(model: ModelWrapper) -> ModelWrapper:
    """Apply the transformations, round after round, until nothing changes."""
    return _rounds(_with_their_types(_rounds(model, MOVES)), (*MOVES, RoundAndClipThresholds))


def _with_their_types(model: ModelWrapper) -> ModelWrapper:
    """Make FINN's layer of each Concat of integers of several types.

    QONNX takes the type of the first input for that of the result. FINN's layer knows better, and has to be there
    before thresholds are rounded, and layers made, for the type.
    """
    mixed = []
    for node in model.get_nodes_by_op_type("Concat"):
        types = [model.get_tensor_datatype(tensor) for tensor in node.input]
        if all(each.is_integer() for each in types) and len({each.name for each in types}) > 1:
            mixed.append(node)
            _along_the_last_axis(model, node)
    return model.transform(InferConcatLayer()) if mixed else model


def _along_the_last_axis(model: ModelWrapper, node: Any) -> None:
    """Put transposes around a Concat along another axis: FINN's layer takes channels last."""
    axis = next(each for each in node.attribute if each.name == "axis")
    shape = list(model.get_tensor_shape(node.output[0]))
    order = [each for each in range(len(shape)) if each != axis.i % len(shape)] + [axis.i % len(shape)]
    if order[-1] == len(shape) - 1:
        return
    at = list(model.graph.node).index(node)
    for index, tensor in enumerate(node.input):
        turned = model.make_new_valueinfo_name()
        before = model.get_tensor_shape(tensor)
        model.set_tensor_shape(turned, [before[each] for each in order])
        model.set_tensor_datatype(turned, model.get_tensor_datatype(tensor))
        model.graph.node.insert(at, helper.make_node("Transpose", [tensor], [turned], perm=order))
        node.input[index] = turned
    joined, result = model.make_new_valueinfo_name(), str(node.output[0])
    model.set_tensor_shape(joined, [shape[each] for each in order])
    back = [order.index(each) for each in range(len(shape))]
    model.graph.node.insert(at + len(node.input) + 1, helper.make_node("Transpose", [joined], [result], perm=back))
    node.output[0] = joined
    axis.i = len(shape) - 1


def _rounds(model: ModelWrapper, transformations: Sequence[Any]) -> ModelWrapper:
    before = b""
    for _ in range(_MOST):
        now = model.model.SerializeToString(deterministic=True)
        if now == before:
            break
        before = now
        for transformation in transformations:
            model = model.transform(transformation())
    return model
