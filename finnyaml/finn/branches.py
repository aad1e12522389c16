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

PAST_FORK = "MoveScalarLinearPastFork" if hasattr(reorder, "MoveScalarLinearPastFork") else "MoveLinearPastFork"
"""FINN has one for scalars and for channels, finn-plus two."""

PAST = (
    PAST_FORK,
    "MoveTransposePastFork",
    "MoveScalarLinearPastInvariants",
    "MoveScalesPastIm2Col",
    "MoveScalarMulPastMatMul",
    "MoveScalarAddPastMatMul",
    "MoveScalarLinearPastSplit",
    "MoveTransposePastSplit",
    "MoveMulPastJoinConcat",
    "MoveAddPastJoinConcat",
    "MoveMulPastJoinAdd",
    "MoveAddPastJoinAdd",
    "MoveTransposePastJoinConcat",
    "MoveTransposePastJoinAdd",
    "MakeMaxPoolNHWC",
)
"""In FINN's order. One that this FINN does not have is left out: each is exact, and what stays is told by lint."""

ROUND = (
    *(getattr(reorder, name) for name in PAST if hasattr(reorder, name)),
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
