"""A small residual network for 14x14 grey images with weights and activations of a few bits, in Brevitas."""

from brevitas.inject.enum import BitWidthImplType, QuantType, RestrictValueType, ScalingImplType
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
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


class Unsigned(Constant, ActQuantSolver):
    """From 0 to 2 in seven steps, three bits."""

    signed = False
    narrow_range = False
    bit_width = 3
    min_val = 0.0
    max_val = 2.0


class Signed(Constant, ActQuantSolver):
    """From -2 to 2 in steps of the same size, four bits: both can be added as integers."""

    signed = True
    narrow_range = True
    bit_width = 4
    min_val = -2.0
    max_val = 2.0


def convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size of the image (over the stride), and batch normalisation."""
    layer = QuantConv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False, weight_quant=Weight)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


def relu() -> nn.Module:
    """What ends every layer whose values are not added to others."""
    return QuantReLU(act_quant=Unsigned)


class Block(nn.Module):
    """Two 3x3 convolutions, and what came in added to what comes out.

    Both have to be integers times one scale when they are added. The convolutions end in a signed quantizer with the
    scale of the ReLUs, so what comes in (from a ReLU) is added as it is. Where the block changes the size, a 1x1
    convolution does so beside it, and ends in a quantizer of the same scale.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, outputs, 3, stride),
            relu(),
            convolution(outputs, outputs, 3),
            QuantIdentity(act_quant=Signed),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(convolution(inputs, outputs, 1, stride), QuantIdentity(act_quant=Signed))
        self.relu = relu()

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways, behind a ReLU."""
        return self.relu(self.body(x) + self.shortcut(x))


class DigitsResNet(nn.Module):
    """A convolution, two residual blocks, the average over the image, and a dense layer.

    Input: float NCHW [n, 1, 14, 14], 0 (paper) to 1 (ink). Output: float [n, 10], one score per digit.
    """

    largest = LARGEST

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(1, width, 3, stride=2), relu())
        self.blocks = nn.Sequential(Block(width, width), Block(width, 2 * width, stride=2))
        self.average = nn.AdaptiveAvgPool2d(1)
        self.classifier = QuantLinear(2 * width, CLASSES, bias=False, weight_quant=Weight)
        for layer in self.modules():
            if isinstance(layer, (QuantConv2d, QuantLinear)):  # spread over all integers that a weight can be
                nn.init.uniform_(layer.weight, -LARGEST, LARGEST)
        self.train()

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the ten digits."""
        return self.classifier(self.average(self.blocks(self.stem(image))).flatten(1))


def digits_resnet(width: int = 8) -> nn.Module:
    """The network with fresh weights.

    Args:
        width: channels of the first convolution and the first block (7x7 pixels); the second has twice as many (4x4).
    """
    return DigitsResNet(width)
