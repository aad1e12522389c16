"""What FINN's own `streamline` leaves out, from FINN's transformations."""

from finn.transformation.streamline import Streamline
from finn.transformation.streamline.absorb import AbsorbMulIntoMultiThreshold
from finn.transformation.streamline.reorder import MoveMulPastDWConv
from qonnx.core.modelwrapper import ModelWrapper


def streamline_depthwise(model: ModelWrapper, cfg: object) -> ModelWrapper:
    """Move scales per channel past depthwise convolutions, into the thresholds behind them. Before `streamline`."""
    for transformation in (Streamline(), MoveMulPastDWConv(), AbsorbMulIntoMultiThreshold()):
        model = model.transform(transformation)
    return model
