"""A small, coarsely quantized convolutional network for 14x14 grey images, in Brevitas."""

from typing import Any

import torch
from brevitas.inject.enum import BitWidthImplType, QuantType, RestrictValueType, ScalingImplType
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear
from brevitas.quant.base import IntQuant
from brevitas.quant.binary import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver
from torch import Tensor, nn

IMAGE_SIZE = 14
CLASSES = 10


class BinaryWeight(SignedBinaryWeightPerTensorConst):
    """Weights of -1 or +1."""

    scaling_const = 1.0


class Bounded(IntQuant):
    """Values of two bits and more, evenly spaced over a constant, symmetric range."""

    quant_type = QuantType.INT
    bit_width_impl_type = BitWidthImplType.CONST
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP
    signed = True
    narrow_range = True


class BoundedWeight(Bounded, WeightQuantSolver):
    """Weights from -1 to +1: with two bits -1, 0 and +1."""

    scaling_const = 1.0


class BoundedActivation(Bounded, ActQuantSolver):
    """Activations from -1 to +1: with two bits -1, 0 and +1."""

    min_val = -1.0
    max_val = 1.0


class InputQuant(BoundedActivation):
    """The image in eight bits: steps of 1/128, a power of two, so that hardware scales by shifting."""

    bit_width = 8
    restrict_scaling_type = RestrictValueType.POWER_OF_TWO
    max_val = 1.0 - 2.0**-7


def _activation(bits: int) -> QuantIdentity:
    if bits == 1:
        return QuantIdentity(act_quant=SignedBinaryActPerTensorConst)
    return QuantIdentity(act_quant=BoundedActivation, bit_width=bits)


def _weight(bits: int) -> dict[str, Any]:
    return {"weight_quant": BinaryWeight} if bits == 1 else {"weight_quant": BoundedWeight, "weight_bit_width": bits}


class DigitsCNV(nn.Module):
    """Three convolutions and two dense layers, all weights of the same few bits.

    Input: float NCHW [n, 1, 14, 14], 0 (paper) to 1 (ink). Output: float [n, 10], one score per digit.
    """

    def __init__(self, act_bits: int, weight_bits: int, kernel: int, padding: int, bias: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [QuantIdentity(act_quant=InputQuant)]
        channels, weight = 1, _weight(weight_bits)
        for width, pool in ((16, False), (16, True), (32, False)):
            layers += [
                QuantConv2d(channels, width, kernel, padding=padding, bias=bias, **weight),
                nn.BatchNorm2d(width),
                _activation(act_bits),
            ]
            if pool:
                layers.append(nn.MaxPool2d(2))
            channels = width
        layers.append(nn.Flatten())
        self.features = nn.Sequential(*layers)
        with torch.no_grad():
            flat = self.features.eval()(torch.zeros(1, 1, IMAGE_SIZE, IMAGE_SIZE)).shape[1]
        self.classifier = nn.Sequential(
            QuantLinear(flat, 64, bias=False, **weight),
            nn.BatchNorm1d(64),
            _activation(act_bits),
            QuantLinear(64, CLASSES, bias=False, **weight),
        )
        if weight_bits > 1:  # PyTorch's initial weights are so small that they would all be rounded to zero
            for layer in self.modules():
                if isinstance(layer, (QuantConv2d, QuantLinear)):
                    nn.init.uniform_(layer.weight, -1, 1)
        self.train()

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the ten digits; dividing them by 8 keeps the softmax of training soft and changes no ranking."""
        return self.classifier(self.features(2 * image - 1)) / 8


def digits_cnv(
    act_bits: int = 1, weight_bits: int = 1, kernel: int = 6, padding: int = 4, bias: bool = True
) -> nn.Module:
    """The network with fresh weights.

    Args:
        act_bits: bits of every inner activation; 1 means -1 or +1, 2 means -1, 0 or +1.
        weight_bits: bits of every weight, as those of an activation.
        kernel: edge length of the convolution kernels in pixels.
        padding: zeros put around every convolution input. Zero is not a value of a 1-bit activation: see README.md.
        bias: whether convolutions have a bias.
    """
    return DigitsCNV(act_bits, weight_bits, kernel, padding, bias)
