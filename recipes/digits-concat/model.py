"""A small network with branches side by side, for 14x14 grey images, in Brevitas: a few bits for each number."""

import torch
from brevitas.inject.enum import BitWidthImplType, QuantType, RestrictValueType, ScalingImplType
from brevitas.nn import QuantConv2d, QuantLinear, QuantReLU
from brevitas.quant.base import IntQuant
from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver
from torch import Tensor, nn

CLASSES = 10
LARGEST = 3
"""Weights are the integers -3 to 3."""


class Constant(IntQuant):
    """Integers times a scale that is set here, not learned."""

    quant_type = QuantType.INT
    bit_width_impl_type = BitWidthImplType.CONST
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP


class Weight(Constant, WeightQuantSolver):
    """Signed and symmetric, three bits. `scaling_const` is the largest weight: the integers are the weights."""

    signed = True
    narrow_range = True
    bit_width = 3
    scaling_const = float(LARGEST)


class Activation(Constant, ActQuantSolver):
    """From 0 to 2 in seven steps, three bits."""

    signed = False
    narrow_range = False
    bit_width = 3
    min_val = 0.0
    max_val = 2.0


def layer(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size of the image (over the stride), batch normalisation, and a ReLU."""
    convolution = QuantConv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False, weight_quant=Weight)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), QuantReLU(act_quant=Activation))


class Block(nn.Module):
    """A 1x1 convolution and a 3x3 one (behind a 1x1 that makes channels fewer), side by side.

    Their channels are joined as integers, since all ReLUs here have one scale.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.narrow = layer(inputs, outputs // 2, 1, stride)
        self.wide = nn.Sequential(layer(inputs, outputs // 2, 1), layer(outputs // 2, outputs // 2, 3, stride))

    def forward(self, x: Tensor) -> Tensor:
        """The channels of both."""
        return torch.cat([self.narrow(x), self.wide(x)], 1)


class DigitsConcat(nn.Module):
    """A convolution, two blocks of branches, and a dense layer.

    Input: float NCHW [n, 1, 14, 14], 0 (paper) to 1 (ink). Output: float [n, 10], one score per digit.
    """

    largest = LARGEST

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            layer(1, width, 3, stride=2), Block(width, 2 * width), Block(2 * width, 2 * width, stride=2), nn.Flatten()
        )
        self.classifier = QuantLinear(2 * width * 4 * 4, CLASSES, bias=False, weight_quant=Weight)
        for module in self.modules():
            if isinstance(module, (QuantConv2d, QuantLinear)):  # spread over all integers that a weight can be
                nn.init.uniform_(module.weight, -LARGEST, LARGEST)
        self.train()

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the ten digits; dividing them keeps the softmax of training soft and changes no ranking."""
        return self.classifier(self.features(image)) / (8 * LARGEST)


def digits_concat(width: int = 8) -> nn.Module:
    """The network with fresh weights.

    Args:
        width: channels of the first convolution; each block gives twice as many.
    """
    return DigitsConcat(width)
