"""A small convolutional network for 14x14 grey images with weights and activations of a few bits, in Brevitas."""

from brevitas.inject.enum import BitWidthImplType, QuantType, RestrictValueType, ScalingImplType
from brevitas.nn import QuantConv2d, QuantLinear, QuantReLU
from brevitas.quant.base import IntQuant
from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver
from torch import Tensor, nn

CLASSES = 10
LAYERS = ((8, 1), (16, 2), (16, 2))
"""Channels and stride of each convolution: 14x14, 7x7 and 4x4 pixels come out."""


class Constant(IntQuant):
    """Integers times a scale that is set here, not learned."""

    quant_type = QuantType.INT
    bit_width_impl_type = BitWidthImplType.CONST
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP


class Weight(Constant, WeightQuantSolver):
    """Signed and symmetric. `scaling_const` is the largest weight: with that of the type they are the integers."""

    signed = True
    narrow_range = True


class Activation(Constant, ActQuantSolver):
    """Unsigned, from 0 to 2: what follows a batch normalisation is seldom more."""

    signed = False
    narrow_range = False
    min_val = 0.0
    max_val = 2.0


class DigitsRTL(nn.Module):
    """Three 3x3 convolutions, the last two with stride 2 in place of pooling, and a dense layer.

    Input: float NCHW [n, 1, 14, 14], 0 (paper) to 1 (ink). Output: float [n, 10], one score per digit.
    """

    def __init__(self, weight_bits: int, act_bits: int) -> None:
        super().__init__()
        self.largest = 2 ** (weight_bits - 1) - 1
        weight = {"weight_quant": Weight, "weight_bit_width": weight_bits, "weight_scaling_const": float(self.largest)}
        layers: list[nn.Module] = []
        channels = 1
        for width, stride in LAYERS:
            layers += [
                QuantConv2d(channels, width, 3, stride=stride, padding=1, bias=False, **weight),
                nn.BatchNorm2d(width),
                QuantReLU(bit_width=act_bits, act_quant=Activation),
            ]
            channels = width
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.classifier = QuantLinear(channels * 4 * 4, CLASSES, bias=False, **weight)
        for layer in self.modules():
            if isinstance(layer, (QuantConv2d, QuantLinear)):  # spread over all integers that a weight can be
                nn.init.uniform_(layer.weight, -self.largest, self.largest)
        self.train()

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the ten digits; dividing them keeps the softmax of training soft and changes no ranking."""
        return self.classifier(self.features(image)) / (8 * self.largest)


def digits_rtl(weight_bits: int = 3, act_bits: int = 3) -> nn.Module:
    """The network with fresh weights.

    Args:
        weight_bits: bits of every weight; 3 means the integers -3 to 3.
        act_bits: bits of every inner activation; 3 means eight steps from 0 to 2.
    """
    return DigitsRTL(weight_bits, act_bits)
