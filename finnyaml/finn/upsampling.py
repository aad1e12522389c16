"""FINN's own transformations for nearest upsampling, which its step convert_to_hw does not call for a Resize."""

from __future__ import annotations

from finn.transformation.fpgadataflow.convert_to_hw.upsample import InferUpsample
from finn.transformation.streamline.absorb import AbsorbConsecutiveTransposes, AbsorbTransposeIntoMultiThreshold
from finn.transformation.streamline.reorder import MakeScaleResizeNHWC
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes


def repeat_pixels(model: ModelWrapper) -> ModelWrapper:
    """Turn every Resize to channels last, and make FINN's layer of it that repeats pixels."""
    for transformation in (
        InferDataLayouts(),
        MakeScaleResizeNHWC(),
        InferDataLayouts(),
        AbsorbTransposeIntoMultiThreshold(),
        AbsorbConsecutiveTransposes(),
        InferDataLayouts(),
        InferDataTypes(),
        InferUpsample(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
    ):
        model = model.transform(transformation)
    return model
