"""FINN's own choice of PE and SIMD, to compare with."""

from __future__ import annotations

import copy

from qonnx.core.modelwrapper import ModelWrapper


def set_folding(model: ModelWrapper, cycles: int, widest: int = 36) -> ModelWrapper | None:
    """A model as FINN's `SetFolding` folds it for this many cycles for a frame; None where it stops.

    model: with specialised layers; not changed. widest: bits of weights for a PE and cycle, FINN's `mvau_wwidth_max`.
    """
    from finn.transformation.fpgadataflow.set_folding import SetFolding

    try:
        folded: ModelWrapper = copy.deepcopy(model).transform(SetFolding(cycles, widest, two_pass_relaxation=True))
    except Exception:  # it raises plain exceptions on layers that it does not expect
        return None
    return folded
