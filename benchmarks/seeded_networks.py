"""Small Brevitas networks with random weights (seeded), for `seeded`; what they compute is nothing, but it is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat
from torch import nn

from benchmarks.networks import bnn_pynq
from benchmarks.rtl_networks import CASES, with_branches


def example(name: str) -> Any:
    """A network of Brevitas' examples, by its name there."""
    return bnn_pynq(name)


def depthwise() -> Any:
    """The one of the benchmark `rtl`."""
    return CASES["depthwise CNN"].network.make()


def residual() -> Any:
    """The one of the benchmark `rtl`."""
    return CASES["small ResNet"].network.make()


def signed() -> Any:
    """Signed 4-bit activations, so that thresholds count from below 0; three numbers come out, no classes."""
    return _seen(
        [
            *_convolution(1, 8, 3, 2, Int8WeightPerTensorFloat),
            QuantIdentity(bit_width=4),
            *_convolution(8, 8, 3, 2, Int8WeightPerTensorFloat),
            QuantIdentity(bit_width=4),
            nn.Flatten(),
            QuantLinear(8 * 16, 3, bias=False, weight_bit_width=6, weight_quant=Int8WeightPerTensorFloat),
        ]
    )


def channels() -> Any:
    """A scale per channel, and pooling; five classes."""
    return _seen(
        [
            *_convolution(1, 8, 3, 1, Int8WeightPerChannelFloat),
            QuantReLU(bit_width=3),
            nn.MaxPool2d(2),
            *_convolution(8, 12, 3, 1, Int8WeightPerChannelFloat),
            QuantReLU(bit_width=3),
            nn.Flatten(),
            QuantLinear(12 * 49, 5, bias=False, weight_bit_width=4, weight_quant=Int8WeightPerTensorFloat),
        ]
    )


def branches(model: Any, cfg: Any) -> Any:
    """What a residual network needs in place of FINN's step streamline."""
    return with_branches(model)


def colours() -> tuple[np.ndarray, None]:
    """Random images [100, 3, 32, 32]."""
    return np.random.default_rng(1).integers(0, 256, (100, 3, 32, 32)).astype(np.uint8), None


def numbers() -> tuple[np.ndarray, np.ndarray]:
    """Random images [300, 1, 14, 14], and for each three numbers that nothing is known to predict."""
    random = np.random.default_rng(1)
    return random.integers(0, 256, (300, 1, 14, 14)).astype(np.uint8), random.normal(size=(300, 3)).astype(np.float32)


def _convolution(taken: int, given: int, size: int, stride: int, weights: Any) -> list[nn.Module]:
    return [
        QuantConv2d(
            taken, given, size, stride=stride, padding=size // 2, bias=False, weight_bit_width=4, weight_quant=weights
        ),
        nn.BatchNorm2d(given),
    ]


def _seen(layers: list[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(*layers)
    for module in network.modules():
        if isinstance(module, (QuantConv2d, QuantLinear)):
            nn.init.normal_(module.weight)
    network.train()
    with torch.no_grad():
        for _ in range(30):
            network(torch.rand(16, 1, 14, 14))
    return network.eval()
