"""FINN's own transformations for nearest upsampling, which its step convert_to_hw does not call for a Resize."""

from __future__ import annotations

import importlib

from finn.transformation.streamline.absorb import AbsorbConsecutiveTransposes, AbsorbTransposeIntoMultiThreshold
from finn.transformation.streamline.reorder import MakeScaleResizeNHWC
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes

CONVERTERS = "finn.transformation.fpgadataflow.convert_to_hw"
"""A package with a module for each sort of layers in finn-plus; one module, `..._layers`, in FINN."""


def repeat_pixels(model: ModelWrapper) -> ModelWrapper:
    """Turn every Resize to channels last, and make FINN's layer of it that repeats pixels."""
    try:
        converters = importlib.import_module(f"{CONVERTERS}.upsample")
    except ModuleNotFoundError:
        converters = importlib.import_module(f"{CONVERTERS}_layers")
    for transformation in (
        InferDataLayouts(),
        MakeScaleResizeNHWC(),
        InferDataLayouts(),
        AbsorbTransposeIntoMultiThreshold(),
        AbsorbConsecutiveTransposes(),
        InferDataLayouts(),
        InferDataTypes(),
        converters.InferUpsample(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
    ):
        model = model.transform(transformation)
    return model
