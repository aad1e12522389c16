"""FINN's own transformations for networks with branches, in an order in which they come to an end.

Scales pass forks, windows, products and joins until thresholds take them in; transposes pass forks and joins until two
of them meet. FINN's step `streamline` has none of those for forks and joins.
"""

from __future__ import annotations

from finn.transformation.streamline import absorb, reorder
from finn.transformation.streamline.collapse_repeated import CollapseRepeatedAdd, CollapseRepeatedMul
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

ROUND = (
    reorder.MoveScalarLinearPastFork,
    reorder.MoveTransposePastFork,
    reorder.MoveScalarLinearPastInvariants,
    reorder.MoveScalesPastIm2Col,
    reorder.MoveScalarMulPastMatMul,
    reorder.MoveScalarAddPastMatMul,
    reorder.MoveScalarLinearPastSplit,
    reorder.MoveTransposePastSplit,
    reorder.MoveMulPastJoinConcat,
    reorder.MoveAddPastJoinConcat,
    reorder.MoveMulPastJoinAdd,
    reorder.MoveAddPastJoinAdd,
    reorder.MoveTransposePastJoinConcat,
    reorder.MoveTransposePastJoinAdd,
    reorder.MakeMaxPoolNHWC,
    absorb.AbsorbTransposeIntoMultiThreshold,
    absorb.AbsorbConsecutiveTransposes,
    CollapseRepeatedMul,
    CollapseRepeatedAdd,
    absorb.AbsorbAddIntoMultiThreshold,
    absorb.AbsorbMulIntoMultiThreshold,
    InferShapes,
    InferDataTypes,
    InferDataLayouts,
    RoundAndClipThresholds,
    GiveUniqueNodeNames,
    GiveReadableTensorNames,
)

_MOST = 20
"""Rounds after which it is left as it is; a network needs about as many as it has branches behind one another."""


def streamline_branches(model: ModelWrapper) -> ModelWrapper:
    """Apply the transformations, round after round, until nothing changes."""
    before = b""
    for _ in range(_MOST):
        now = model.model.SerializeToString(deterministic=True)
        if now == before:
            break
        before = now
        for transformation in ROUND:
            model = model.transform(transformation())
    return model
