"""What becomes of each kind of layer, block and ending: the rows of docs/networks.md, each with a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.lint.catalogue import RULES
from tests.networks.graphs import Network


@dataclass(frozen=True)
class Row:
    """One kind: in which group, what it is, a network that has it, and what becomes of it.

    `repairs` are the steps of finnyaml that it takes; `refused` is a part of what is said where it cannot be built,
    after the rule (its id) or the step that says so. `why` is that in the words of the table. `report`: the public
    report behind it. `settings`: of FINN, other than standalone thresholds. `long`: its test shows on a larger network
    what others do.
    """

    group: str
    what: str
    network: Callable[[], Network]
    repairs: tuple[str, ...] = ()
    refused: tuple[str, str] | None = None
    why: str = ""
    report: str = ""
    standalone: bool = True
    long: bool = False

    @property
    def line(self) -> str:
        """The row of the page."""
        if self.refused is not None:
            speaker = self.refused[0]
            by = f"[{speaker}](lints/{speaker}.md)" if speaker in RULES else f"`{speaker}`"
            becomes = f"refused ({by}): {self.why}"
        elif self.repairs:
            becomes = f"repaired by {' and '.join(f'`{repair}`' for repair in self.repairs)}"
        else:
            becomes = "builds"
        return f"| {self.group} | {self.what} | {becomes} | {self.report} |"

    def model(self) -> ModelWrapper:
        """The network, as the step `model` leaves it."""
        return self.network().done()


def image(channels: int = 2, size: int = 6, width: int | None = None) -> Network:
    """An image of unsigned numbers of 4 bits."""
    return Network(1, channels, size, width or size)


def line(channels: int = 2, length: int = 8) -> Network:
    """A sequence [1, channels, length]."""
    return Network(1, channels, length)


def row() -> Network:
    """8 values."""
    return Network(1, 8)


def features(size: int = 6) -> Network:
    """4 quantized feature maps."""
    return image(2, size).conv(2, 4, 1, 1).relu()


def hidden() -> Network:
    """8 quantized values behind a dense layer."""
    return row().dense(8, 8).relu()


def _bn(net: Network, channels: int) -> Network:
    one = np.linspace(0.5, 1.5, channels)
    operands = [net.constant(value) for value in (one, one - 1, one - 0.75, one + 0.25)]
    return net.then("BatchNormalization", *operands, epsilon=1e-5)


def _bias(net: Network, values: int, rank: int) -> Network:
    shape = [1, values] + [1] * (rank - 2)
    return net.then("Add", net.constant(np.linspace(-1, 1, values).reshape(shape)))


def _quantized_bias(net: Network, kind: str) -> Network:
    bias = net._quant(net.constant(np.array([0.42, -1.05, 0.21])), 4, 0.21, 0.0, True, "ROUND", False)
    shape = (4, 3, 2, 2) if kind == "ConvTranspose" else (3, 4, 2, 2)
    written = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0] * 4, "group": 1, "dilations": [1, 1]}
    net.x = net.node(kind, net.x, net.weights(*shape), bias, **written)
    return net


def _average(net: Network, axes: list[int]) -> Network:
    return net.then("ReduceMean", net.constant(axes, kind=np.int64), keepdims=1)


def _resize(net: Network, *scales: float, mode: str = "nearest") -> Network:
    written = {"mode": mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if mode != "nearest":
        written = {"mode": mode, "coordinate_transformation_mode": "half_pixel"}
    net.x = net.node("Resize", net.x, "", net.constant(scales), **written)
    return net


def _view(net: Network, *sizes: int) -> Network:
    return net.then("Reshape", net.constant(sizes, kind=np.int64))


def _prelu(net: Network) -> Network:
    return net.then("PRelu", net.constant(np.linspace(0, 0.5, 4).reshape(4, 1, 1)))


def _instance_norm(net: Network) -> Network:
    return net.then("InstanceNormalization", net.constant(np.ones(4)), net.constant(np.zeros(4)))


def _lstm() -> Network:
    net = Network(1, 1, 4).quant(3, 1.0, signed=False)
    operands = [net.constant(net.random.normal(size=shape)) for shape in ((1, 12, 4), (1, 12, 3))]
    net.x = net.node("LSTM", net.x, *operands, hidden_size=3)
    return net.flat(3).quant(3, 0.25).dense(3, 2)


def _scaled(net: Network, by: float) -> Network:
    return net.then("Div", net.constant(by))


def _silu(net: Network) -> Network:
    net.x = net.node("Mul", net.x, net.node("Sigmoid", net.x))
    return net


def _join(kind: str, shared: bool) -> Network:
    net = features()
    one = net.x
    net.conv(4, 4, 3, 3, pads=[1] * 4).relu()
    other, net.x = net.x, one
    if not shared:
        net.then("Mul", net.constant(3.0)).quant(3, 0.75, signed=False)
    net.x = net.node(kind, net.x, other, **({"axis": 1} if kind == "Concat" else {}))
    return net.relu() if kind == "Add" else net


Layers = Callable[[Network], Network]


def _beside(net: Network, *branches: Layers) -> list[str]:
    """What branches make of the last tensor, side by side."""
    start, made = net.x, []
    for branch in branches:
        net.x = start
        made.append(branch(net).x)
    return made


def _same(inputs: int, outputs: int, size: int = 3) -> Layers:
    """A convolution that keeps the size of the image."""
    return lambda net: net.conv(inputs, outputs, size, size, pads=[size // 2] * 4)


def _ends(layers: Layers, *quantizer: Any, **written: Any) -> Layers:
    """Layers that end in a quantizer."""
    return lambda net: layers(net).quant(*quantizer, **written)


def _plus(net: Network, *tensors: str) -> Network:
    """The sum of tensors, one after the other."""
    net.x = tensors[0]
    for other in tensors[1:]:
        net.then("Add", other)
    return net


def _cat(net: Network, *tensors: str) -> Network:
    net.x = net.node("Concat", *tensors, axis=1)
    return net


def _small() -> Network:
    """4 quantized feature maps of 4 x 4 pixels."""
    return features(4)


def _two(join: Callable[..., Network], one: float, other: float, signed: bool = False) -> Network:
    """Two branches whose quantizers have these scales, the second of them with or without a sign."""
    net = _small()
    return join(
        net, *_beside(net, _ends(_same(4, 4), 3, one, signed=False), _ends(_same(4, 4, 1), 4, other, signed=signed))
    )


def _shortcut(net: Network, scale: float = 0.5) -> Network:
    """A residual block whose input is added as it is."""
    start = net.x
    return _plus(net, _ends(_same(4, 4), 4, scale)(net).x, start).relu(3, 0.43)


def _dense_block() -> Network:
    net = _small()
    joined = _cat(net, net.x, *_beside(net, _ends(_same(4, 4), signed=False, scale=0.5))).x
    return _cat(net, joined, *_beside(net, _ends(_same(8, 4), signed=False, scale=0.25)))


def _inception() -> Network:
    net = _small()
    ways: list[Layers] = [
        _ends(_same(4, 4, 1), 3, 0.5, signed=False),
        lambda net: _same(4, 4, 3)(_same(4, 2, 1)(net).relu(3, 0.37).conv(2, 4, 1, 1)).quant(3, 0.5, signed=False),
        lambda net: _same(4, 4, 1)(net.pool("MaxPool", 3, 3, strides=[1, 1], pads=[1] * 4)).quant(3, 0.5, signed=False),
    ]
    return _cat(net, *_beside(net, *ways))


def _over_two() -> Network:
    net = _small()
    start = net.x
    first = _plus(net, _ends(_same(4, 4), 4, 0.5)(net).x, start).relu().x
    second = _plus(net, _ends(_same(4, 4), 4, 0.5)(net).x, first).relu().x
    return _plus(net, second, start).relu(3, 0.43)


def _three(*scales: float) -> Network:
    net = _small()
    return _plus(net, *_beside(net, *(_ends(_same(4, 4, 1), 3, scale) for scale in scales)))


def _bare(both: bool = False) -> Network:
    net = _small()
    ends: list[Layers] = [lambda net: _bn(_same(4, 4)(net), 4), lambda net: _bn(_same(4, 4, 1)(net), 4)]
    return _plus(net, *_beside(net, *ends)) if both else _plus(net, net.x, *_beside(net, ends[0]))


def _sum_then_cat() -> Network:
    net = _small()
    start = net.x
    one, other = _beside(net, _ends(_same(4, 4), 4, 0.5), _ends(_same(4, 4, 1), 3, 0.5, signed=False))
    return _cat(net, _plus(net, one, start).x, other)


def _dense_sum() -> Network:
    net = hidden()
    return _plus(net, net.x, *_beside(net, _ends(lambda net: net.dense(8, 8), 4, 0.5)))


def _u_net() -> Network:
    net = _small()
    small = lambda net: _resize(_same(4, 4)(net.pool("MaxPool", 2, 2)).relu(), 1, 1, 2, 2)  # noqa: E731
    return _cat(net, net.x, *_beside(net, small))


def _binary_join() -> Network:
    net = image().conv(2, 4, 1, 1).sign()
    one = net.x
    net.binary(4, 4, 1, 1).sign()
    other, net.x = net.x, one
    net.binary(4, 4, 3, 3, pads=[1] * 4).sign()
    net.x = net.node("Concat", net.x, other, axis=1)
    return net.binary(8, 3, 1, 1)


def _split() -> Network:
    net = features()
    net.x = net.node("Split", net.x, net.constant([2, 2], kind=np.int64), axis=1, outputs=2)
    return net


def _slice(net: Network, start: int, end: int) -> Network:
    return net.then("Slice", *(net.constant([value], kind=np.int64) for value in (start, end, 1)))


def _joined_again(net: Network) -> Network:
    other = f"{net.x}_1"
    net.conv(2, 2, 1, 1).relu()
    first, net.x = net.x, other
    net.conv(2, 2, 1, 1).relu()
    net.x = net.node("Concat", first, net.x, axis=1)
    return net.conv(4, 3, 1, 1).relu()


def _top_k(net: Network) -> Network:
    net.x = net.node("TopK", net.x, net.constant([1], kind=np.int64), axis=-1, outputs=2)
    net.x = f"{net.x}_1"
    return net


ROWS = (
    Row("dense", "Linear without bias", lambda: hidden().dense(8, 3)),
    Row("dense", "Linear with a float bias", lambda: _bias(row().dense(8, 8), 8, 2).relu().dense(8, 3)),
    Row("dense", "Linear, BatchNorm, ReLU", lambda: _bn(row().dense(8, 8), 8).relu().dense(8, 3)),
    Row(
        "dense",
        "Linear on signed values",
        lambda: row().dense(8, 8).quant(4, 0.5).dense(8, 3),
    ),
    Row("convolution", "Conv2d", lambda: features().conv(4, 3, 3, 3).relu()),
    Row("convolution", "Conv2d, padded", lambda: features().conv(4, 3, 3, 3, pads=[1] * 4).relu()),
    Row("convolution", "Conv2d with a stride", lambda: features().conv(4, 3, 2, 2, strides=[2, 2]).relu()),
    Row("convolution", "Conv2d, dilated", lambda: features().conv(4, 3, 3, 3, dilations=[2, 2]).relu()),
    Row(
        "convolution", "Conv2d, depthwise", lambda: features().conv(4, 4, 3, 3, group=4).relu().conv(4, 3, 1, 1).relu()
    ),
    Row(
        "convolution",
        "Conv2d with groups",
        lambda: features().conv(4, 4, 3, 3, group=2).relu().conv(4, 3, 1, 1),
        repairs=("expand_groups",),
    ),
    Row(
        "convolution",
        "Conv2d on images that are not square",
        lambda: image(1, 4, 12).conv(1, 4, 2, 3, pads=[0, 1, 0, 1]).relu().conv(4, 3, 3, 5, strides=[1, 2]).relu(),
        report="FINN 814",
    ),
    Row("convolution", "Conv2d with a float bias", lambda: _bias(features().conv(4, 3, 3, 3), 3, 4).relu()),
    Row(
        "convolution",
        "Conv2d with a quantized bias, one scale",
        lambda: _quantized_bias(features(), "Conv").relu(),
        repairs=("fold_bias_quantizers",),
        report="FINN 1484",
    ),
    Row("convolution", "Conv2d, BatchNorm, ReLU", lambda: _bn(features().conv(4, 3, 3, 3), 3).relu()),
    Row(
        "convolution",
        "Conv1d",
        lambda: line().conv(2, 4, 3, strides=[2], pads=[1, 1]).relu().conv(4, 3, 3).relu(),
        repairs=("lift_to_4d",),
        report="FINN 908",
    ),
    Row(
        "convolution",
        "Conv1d behind Linear and view",
        lambda: _view(hidden(), 1, 8, 1).conv(8, 3, 1).relu(),
        repairs=("lift_to_4d",),
        report="FINN 908",
    ),
    Row(
        "convolution",
        "ConvTranspose2d",
        lambda: features(4).conv(4, 3, 4, 4, kind="ConvTranspose", strides=[2, 2], pads=[1] * 4).relu(),
        repairs=("lower_transposed_convolutions",),
        report="FINN 1504",
    ),
    Row(
        "convolution",
        "ConvTranspose2d with a quantized bias",
        lambda: _quantized_bias(features(3), "ConvTranspose").relu(),
        repairs=("fold_bias_quantizers", "lower_transposed_convolutions"),
        report="FINN 1484",
    ),
    Row(
        "convolution",
        "ConvTranspose2d with groups",
        lambda: features(3).conv(4, 4, 2, 2, kind="ConvTranspose", group=2, strides=[2, 2]).relu(),
        refused=("transposed-convolution", "groups"),
        why="FINN has nothing for it; nearest upsampling and a convolution",
    ),
    Row("pooling", "MaxPool2d", lambda: features().pool("MaxPool", 2, 2).conv(4, 3, 1, 1).relu()),
    Row(
        "pooling",
        "MaxPool2d whose windows overlap",
        lambda: features().pool("MaxPool", 3, 3, strides=[1, 1]).conv(4, 3, 1, 1).relu(),
    ),
    Row(
        "pooling",
        "MaxPool2d of signed values, padded",
        lambda: image().conv(2, 4, 1, 1).quant(3, 0.5).pool("MaxPool", 2, 2, pads=[1] * 4).conv(4, 3, 1, 1).relu(),
        refused=("padded-pooling-of-signed-values", "padding layer only knows 0"),
        why="FINN pads with 0 only; pool behind a ReLU",
    ),
    Row(
        "pooling",
        "MaxPool2d that leaves pixels out",
        lambda: features().pool("MaxPool", 1, 1, strides=[2, 2]).conv(4, 3, 1, 1).relu(),
        refused=("node-between-hardware-layers", "larger than its kernel"),
        why="FINN's windows leave nothing out",
    ),
    Row(
        "pooling",
        "MaxPool1d",
        lambda: line().conv(2, 4, 3).relu().pool("MaxPool", 2).conv(4, 3, 3).relu(),
        repairs=("lift_to_4d",),
        report="FINN 908",
    ),
    Row(
        "pooling",
        "AvgPool2d before a quantizer",
        lambda: features().pool("AveragePool", 2, 2).quant(3, 0.43, signed=False).conv(4, 3, 1, 1).relu(),
        repairs=("sum_pools",),
        report="FINN 1083",
    ),
    Row(
        "pooling",
        "AvgPool2d on the data, x / 15",
        lambda: _scaled(image(), 15.0).pool("AveragePool", 2, 2).quant(3, 0.13, signed=False).conv(2, 3, 1, 1).relu(),
        repairs=("sum_pools",),
    ),
    Row(
        "pooling",
        "AvgPool2d, not square",
        lambda: features().pool("AveragePool", 2, 3).quant(3, 0.43, signed=False).conv(4, 3, 1, 1).relu(),
        repairs=("sum_pools",),
    ),
    Row(
        "pooling",
        "AvgPool2d, padded, padding counted",
        lambda: (
            features()
            .pool("AveragePool", 2, 2, pads=[1] * 4, count_include_pad=1)
            .quant(3, 0.43, signed=False)
            .conv(4, 3, 1, 1)
            .relu()
        ),
        repairs=("sum_pools",),
    ),
    Row(
        "pooling",
        "AvgPool2d, padded, padding not counted",
        lambda: features().pool("AveragePool", 2, 2, pads=[1] * 4).quant(3, 0.43, signed=False).conv(4, 3, 1, 1).relu(),
        refused=("average-not-convertible", "does not count the padding"),
        why="its windows differ; count_include_pad=True",
    ),
    Row(
        "pooling",
        "AvgPool1d",
        lambda: line().conv(2, 4, 3).relu().pool("AveragePool", 2).quant(3, 0.43, signed=False).conv(4, 3, 3).relu(),
        repairs=("lift_to_4d", "sum_pools"),
    ),
    Row(
        "pooling",
        "AdaptiveAvgPool1d(1)",
        lambda: _average(line().conv(2, 4, 3).relu(), [2]).quant(3, 0.43, signed=False).flat(4).dense(4, 3),
        repairs=("lift_to_4d", "sum_pools"),
    ),
    Row(
        "pooling",
        "AdaptiveAvgPool2d(1)",
        lambda: _average(features(4), [2, 3]).quant(3, 0.43, signed=False).flat(4).dense(4, 3),
        repairs=("sum_pools",),
        report="finn-plus 92",
    ),
    Row(
        "pooling",
        "TruncAvgPool2d that cuts off",
        lambda: features().pool("AveragePool", 2, 2).trunc(5, 3, 0.125, "FLOOR").conv(4, 3, 1, 1).relu(),
        report="FINN 1083",
    ),
    Row(
        "pooling",
        "TruncAvgPool2d that rounds",
        lambda: features().pool("AveragePool", 2, 2).trunc(5, 3, 0.125, "ROUND").conv(4, 3, 1, 1).relu(),
        repairs=("convert_quantizers", "sum_pools"),
        report="FINN 1083",
    ),
    Row(
        "pooling",
        "TruncAdaptiveAvgPool2d",
        lambda: _average(features(4), [2, 3]).trunc(7, 3, 0.03125, "FLOOR").flat(4).dense(4, 3),
        repairs=("convert_quantizers", "sum_pools"),
        report="finn-plus 92",
    ),
    Row("activation", "QuantReLU", lambda: hidden().dense(8, 3)),
    Row(
        "activation", "QuantHardTanh, QuantIdentity", lambda: row().dense(8, 8).quant(3, 0.25, narrow=True).dense(8, 3)
    ),
    *(
        Row(
            "activation",
            f"{words} before a quantizer",
            lambda kind=kind, written=written: (
                row().dense(8, 8).then(kind, **written).quant(3, 0.25).dense(8, 3)  # type: ignore[misc]
            ),
            repairs=("absorb_activations",),
            report=report,
        )
        for words, kind, written, report in (
            ("Sigmoid", "Sigmoid", {}, "Brevitas 385"),
            ("Tanh", "Tanh", {}, "Brevitas 385"),
            ("LeakyReLU", "LeakyRelu", {"alpha": 0.125}, ""),
            ("ELU", "Elu", {"alpha": 1.0}, ""),
            ("Softplus", "Softplus", {}, ""),
            ("Hardsigmoid", "HardSigmoid", {"alpha": 0.1666, "beta": 0.5}, ""),
        )
    ),
    Row(
        "activation",
        "PReLU, one slope per channel",
        lambda: _prelu(image().conv(2, 4, 1, 1)).quant(3, 0.25).conv(4, 3, 1, 1).relu(),
        repairs=("absorb_activations",),
    ),
    Row(
        "activation",
        "GELU before an unsigned quantizer",
        lambda: row().dense(8, 8).then("Gelu").quant(3, 0.25, signed=False).dense(8, 3),
        repairs=("absorb_activations",),
    ),
    Row(
        "activation",
        "SiLU before an unsigned quantizer",
        lambda: _silu(row().dense(8, 8)).quant(3, 0.25, signed=False).dense(8, 3),
        repairs=("absorb_activations",),
    ),
    Row(
        "activation",
        "GELU, SiLU before a fine signed quantizer",
        lambda: _silu(row().dense(8, 8)).quant(4, 0.1).dense(8, 3),
        refused=("absorb_activations", "reached from both sides"),
        why="it falls before it rises; quantize without a sign",
    ),
    Row(
        "quantizer", "binary activations", lambda: row().dense(8, 8).sign().dense(8, 3), repairs=("represent_bipolar",)
    ),
    Row(
        "quantizer",
        "a zero point",
        lambda: image().conv(2, 4, 1, 1).quant(3, 0.5, zero=3, signed=False).conv(4, 3, 3, 3, pads=[1] * 4).relu(),
        repairs=("convert_quantizers",),
        report="FINN 1675",
    ),
    Row(
        "quantizer",
        "rounding down",
        lambda: row().dense(8, 8).quant(3, 0.5, rounding="FLOOR").dense(8, 3),
        repairs=("convert_quantizers",),
    ),
    Row(
        "quantizer",
        "a zero point, 12 bits",
        lambda: row().dense(8, 8).quant(12, 0.01, zero=3, signed=False).dense(8, 3),
        refused=("convert_quantizers", "12 bits"),
        why="4,095 thresholds; use a symmetric quantizer",
    ),
    Row(
        "shape",
        "Upsample, nearest",
        lambda: _resize(features(3), 1, 1, 2, 2).conv(4, 3, 3, 3, pads=[1] * 4).relu(),
        repairs=("upsample_nearest",),
        report="QONNX 197",
    ),
    Row(
        "shape",
        "Upsample, bilinear",
        lambda: _resize(features(3), 1, 1, 2, 2, mode="linear").quant(3, 0.5, signed=False).conv(4, 3, 1, 1).relu(),
        refused=("upsampling-not-converted", "mode is linear"),
        why="FINN repeats pixels",
    ),
    Row(
        "shape",
        "Upsample by 1.5",
        lambda: _resize(features(4), 1, 1, 1.5, 1.5).conv(4, 3, 1, 1).relu(),
        refused=("upsampling-not-converted", "not whole multiples"),
        why="FINN repeats whole pixels",
    ),
    Row("shape", "Flatten between Conv2d and Linear", lambda: features(3).flat(36).dense(36, 3)),
    Row(
        "join",
        "Concat of branches with scales of their own",
        lambda: _join("Concat", False).conv(8, 3, 1, 1).relu(),
        refused=("branches-not-streamlined", "one scale stands for all"),
        why="integers are joined with one scale; one shared quantizer",
        report="FINN 954",
    ),
    Row(
        "join",
        "Split, one part of which is read",
        lambda: _split().conv(2, 3, 1, 1).relu(),
        repairs=("absorb_splits",),
    ),
    Row(
        "join",
        "Slice of channels, x[:, 1:3]",
        lambda: _slice(features(), 1, 3).conv(2, 3, 1, 1).relu(),
        repairs=("absorb_splits",),
    ),
    Row(
        "join",
        "Split, all parts of which are read",
        lambda: _joined_again(_split()),
        repairs=("streamline_branches",),
    ),
    Row(
        "join",
        "Concat of branches with one scale",
        lambda: _join("Concat", True).conv(8, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
        report="FINN 954",
    ),
    Row(
        "join",
        "Concat of binary branches before binary weights",
        lambda: _binary_join(),
        repairs=("represent_bipolar", "streamline_branches"),
    ),
    Row(
        "join",
        "a residual sum with one scale",
        lambda: _join("Add", True).conv(4, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
        report="Brevitas 1101",
    ),
    Row(
        "join",
        "a residual sum with scales of its own",
        lambda: _join("Add", False).conv(4, 3, 1, 1).relu(),
        refused=("branches-not-streamlined", "one scale stands for all"),
        why="integers are added with one scale; one shared quantizer",
        report="Brevitas 1101",
    ),
    Row(
        "join",
        "a residual sum whose scales are multiples of one",
        lambda: _two(_plus, 0.2, 0.3, signed=True).relu(3, 0.43).conv(4, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
        long=True,
    ),
    Row(
        "join",
        "Concat of branches whose scales are multiples of one",
        lambda: _two(_cat, 0.5, 0.25).conv(8, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
        long=True,
    ),
    Row(
        "join",
        "Concat of branches with and without a sign",
        lambda: _two(_cat, 0.5, 0.5, signed=True).conv(8, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
    ),
    Row(
        "join",
        "Concat of a branch with the scale 1.0 and one with another",
        lambda: _two(_cat, 1.0, 0.5).conv(8, 3, 1, 1).relu(3, 0.43),
        repairs=("streamline_branches",),
        long=True,
    ),
    Row(
        "join",
        "Concat of branches with the scale 1.0, with and without a sign",
        lambda: _two(_cat, 1.0, 1.0, signed=True).conv(8, 3, 1, 1).relu(3, 0.43),
        repairs=("streamline_branches",),
        long=True,
    ),
    Row(
        "join",
        "Concat of branches with scales of their own before BatchNorm and a quantizer",
        lambda: _bn(_two(_cat, 0.5, 0.37), 8).relu(3, 0.41).conv(8, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
    ),
    Row(
        "join",
        "a residual block whose input is added as it is, with a global average",
        lambda: _average(_shortcut(_small()), [2, 3]).flat(4).dense(4, 3),
        repairs=("sum_pools", "streamline_branches"),
        long=True,
    ),
    Row(
        "join",
        "a shortcut over two residual blocks",
        lambda: _over_two().conv(4, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
        long=True,
    ),
    Row(
        "join",
        "a sum of three branches, multiples of one scale",
        lambda: _three(0.5, 0.25, 0.75).relu(3, 0.43).conv(4, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
        long=True,
    ),
    Row(
        "join",
        "a sum of three branches, one with a scale of its own",
        lambda: _three(0.5, 0.5, 0.37).relu(3, 0.43).conv(4, 3, 1, 1).relu(),
        refused=("branches-not-streamlined", "0.5 (Add_0) and 0.37"),
        why="integers are added with one scale; one shared quantizer",
    ),
    Row(
        "join",
        "a shortcut beside a branch that ends in BatchNorm",
        lambda: _bare().relu(3, 0.43).conv(4, 3, 1, 1).relu(),
        refused=("branches-not-streamlined", "nothing quantizes it (BatchNormalization_0)"),
        why="it has no scale; one shared quantizer",
    ),
    Row(
        "join",
        "a sum of branches that both end in BatchNorm",
        lambda: _bare(both=True).relu(3, 0.43).conv(4, 3, 1, 1).relu(),
        refused=("branches-not-streamlined", "nothing quantizes it (BatchNormalization_1)"),
        why="they have no scale; one shared quantizer",
    ),
    Row(
        "join",
        "a sum, then Concat",
        lambda: _sum_then_cat().conv(8, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
        long=True,
    ),
    Row(
        "join",
        "a dense block (DenseNet)",
        lambda: _dense_block().conv(12, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
        long=True,
    ),
    Row(
        "join",
        "an Inception block, with pooling",
        lambda: _inception().conv(12, 3, 1, 1).relu(),
        repairs=("streamline_branches",),
        long=True,
    ),
    Row(
        "join",
        "pooled, upsampled and joined (U-Net)",
        lambda: _u_net().conv(8, 3, 1, 1).relu(),
        repairs=("streamline_branches", "upsample_nearest"),
        long=True,
    ),
    Row(
        "join",
        "a residual sum of dense layers",
        lambda: _dense_sum().relu().dense(8, 3),
        repairs=("streamline_branches",),
        long=True,
    ),
    Row(
        "operator",
        "LSTM, GRU",
        lambda: _lstm(),
        refused=("operator-without-hardware", "no hardware layer"),
        why="FINN builds feed-forward networks; convolutions over time",
        report="FINN 38",
    ),
    Row(
        "operator",
        "InstanceNorm, GroupNorm",
        lambda: _instance_norm(features()).quant(3, 0.5).conv(4, 3, 1, 1).relu(),
        refused=("operator-without-hardware", "no hardware layer"),
        why="they depend on each image; BatchNorm",
    ),
    Row(
        "operator",
        "PixelShuffle",
        lambda: features().then("DepthToSpace", blocksize=2).conv(1, 3, 3, 3).relu(),
        refused=("operator-without-hardware", "PixelShuffle"),
        why="FINN has nothing for it; nearest upsampling, a transposed convolution",
    ),
    Row("ending", "scores", lambda: hidden().dense(8, 3)),
    Row("ending", "quantized scores", lambda: hidden().dense(8, 3).quant(8, 0.125)),
    Row("ending", "top_k", lambda: _top_k(hidden().dense(8, 3))),
    Row(
        "ending",
        "QuantSigmoid",
        lambda: hidden().dense(8, 3).then("Sigmoid").quant(4, 0.0625, signed=False),
        repairs=("absorb_activations",),
        report="Brevitas 385",
    ),
    Row(
        "ending",
        "a float Sigmoid or Tanh",
        lambda: hidden().dense(8, 3).then("Sigmoid"),
        repairs=("leave_to_host",),
        report="Brevitas 385",
    ),
    Row("ending", "a float Softmax", lambda: hidden().dense(8, 3).then("Softmax", axis=-1), repairs=("leave_to_host",)),
    Row(
        "ending",
        "a sign, standalone_thresholds: false",
        lambda: hidden().dense(8, 1).sign(),
        standalone=False,
        report="FINN 1351",
    ),
    Row(
        "ending",
        "a sign, standalone_thresholds: true",
        lambda: hidden().dense(8, 1).sign(),
        refused=("threshold-not-convertible", "standalone_thresholds: true"),
        why="FINN takes a sign as part of a matrix layer; standalone_thresholds: false",
        report="FINN 1351",
    ),
)
"""All rows, in the order of the page."""

if __name__ == "__main__":  # the table of the page
    print("\n".join(row.line for row in ROWS))
