"""The topologies of finn-examples, with random weights; the large ones also with fewer blocks and channels.

All take float NCHW and give float [n, classes].
"""

from collections.abc import Sequence

import brevitas.nn as qnn
import torch
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import Int8ActPerTensorFloat, SignedBinaryWeightPerTensorConst
from brevitas_examples.bnn_pynq.models import model_with_cfg
from brevitas_examples.bnn_pynq.models.CNV import CNV
from brevitas_examples.imagenet_classification.models.mobilenetv1 import MobileNet
from torch import Tensor, nn


def network(name: str) -> nn.Module:
    """One of Brevitas' networks, such as `tfc_1W1A` or `cnv_2W2A`: weights and activations of so many bits.

    Input: 0 to 1; [n, 1, 28, 28] for tfc and sfc, [n, 3, 32, 32] for cnv.
    """
    torch.manual_seed(0)  # the same weights each time
    made, _ = model_with_cfg(name.upper(), False)
    return made


def gtsrb() -> nn.Module:
    """The binary CNV with a class for each of 43 traffic signs. Input: [n, 3, 32, 32], 0 to 1."""
    torch.manual_seed(0)
    return CNV(num_classes=43, weight_bit_width=1, act_bit_width=1, in_bit_width=8, in_ch=3)


def mobilenet(channels: Sequence[Sequence[int]], pixels: int, classes: int = 1000) -> nn.Module:
    """Brevitas' MobileNetV1 with 4 bits. Input: [n, 3, pixels, pixels], normalized.

    channels: of the first layer, then of each stage's blocks. From the third stage on, each halves the image.
    """
    torch.manual_seed(0)
    return MobileNet(
        [list(stage) for stage in channels],
        first_stage_stride=False,
        act_bit_width=4,
        weight_bit_width=4,
        round_average_pool=False,
        last_layer_bit_width=4,
        avg_pool_kernel_size=pixels // 2 ** (len(channels) - 1),
        num_classes=classes,
    )


def resnet(channels: int, blocks: Sequence[int], pixels: int, classes: int = 1000) -> nn.Module:
    """ResNet with bottlenecks, binary weights and 2-bit activations. Input: [n, 3, pixels, pixels], normalized.

    channels: inside the first stage's blocks, twice as many in each further stage. blocks: of each stage.
    """
    torch.manual_seed(0)
    layers: list[nn.Module] = [
        qnn.QuantConv2d(3, channels, 7, stride=2, padding=3, bias=False, weight_bit_width=8),
        nn.BatchNorm2d(channels),
        qnn.QuantReLU(bit_width=4),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    width = channels
    for stage, count in enumerate(blocks):
        inside = channels * 2**stage
        for block in range(count):
            layers.append(Bottleneck(width, inside, stride=2 if stage and not block else 1))
            width = 4 * inside
    left = pixels // 2 ** (len(blocks) + 1)
    layers += [
        qnn.TruncAvgPool2d(left, bit_width=4, float_to_int_impl_type="FLOOR"),
        nn.Flatten(),
        qnn.QuantLinear(width, classes, bias=False, weight_bit_width=8),
    ]
    return nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """Convolutions over 1, 3 and 1 pixels beside a shortcut. One quantizer serves both: their sum needs one scale."""

    def __init__(self, width: int, inside: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            _binary(width, inside, 1),
            nn.BatchNorm2d(inside),
            qnn.QuantReLU(bit_width=2),
            _binary(inside, inside, 3, stride=stride, padding=1),
            nn.BatchNorm2d(inside),
            qnn.QuantReLU(bit_width=2),
            _binary(inside, 4 * inside, 1),
            nn.BatchNorm2d(4 * inside),
        )
        changes = stride > 1 or width != 4 * inside
        self.shortcut = (
            nn.Sequential(_binary(width, 4 * inside, 1, stride=stride), nn.BatchNorm2d(4 * inside))
            if changes
            else nn.Identity()
        )
        self.joined = qnn.QuantIdentity(Int8ActPerTensorFloat, bit_width=4, return_quant_tensor=False)
        self.end = qnn.QuantReLU(bit_width=4, return_quant_tensor=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.joined(self.main(x)) + self.joined(self.shortcut(x)))


def _binary(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    return qnn.QuantConv2d(
        inputs,
        outputs,
        kernel,
        stride=stride,
        padding=padding,
        bias=False,
        weight_quant=SignedBinaryWeightPerTensorConst,
        scaling_impl_type=ScalingImplType.CONST,
    )


def vgg10(filters: int, samples: int = 1024, classes: int = 24) -> nn.Module:
    """VGG10 for radio signals with 4 bits: seven convolutions over time, each with a pooling, three dense layers.

    Input: [n, 2, samples], whole numbers from -128 to 127.
    """
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    width = 2
    for _ in range(7):
        layers += [
            qnn.QuantConv1d(width, filters, 3, padding=1, bias=False, weight_bit_width=4),
            nn.BatchNorm1d(filters),
            qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
            nn.MaxPool1d(2),
        ]
        width = filters
    layers.append(nn.Flatten())
    width = filters * (samples // 2**7)
    for _ in range(2):
        layers += [
            qnn.QuantLinear(width, 128, bias=False, weight_bit_width=4),
            nn.BatchNorm1d(128),
            qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        ]
        width = 128
    layers.append(qnn.QuantLinear(width, classes, bias=False, weight_bit_width=4))
    return nn.Sequential(*layers)
