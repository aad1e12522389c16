"""Networks taken to hardware that is all RTL, with FIFOs of least depth: where the open RTL path starts."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.networks import ROOT, Network, bnn_pynq, stages

CLOCK_NS = 10.0


@dataclass(frozen=True)
class Case:
    """bipolar: -1 and +1 get two bits. residual: branches, which FINN's step streamline does not treat; several: their
    scales are multiples of one, which finnyaml's steps make the same. widest: the widest weight stream in bits, FINN's
    mvau_wwidth_max. frames: how many are simulated."""

    network: Network
    bipolar: bool = False
    residual: bool = False
    several: bool = False
    widest: int = 36
    frames: int = 200


@dataclass(frozen=True)
class Hardware:
    """model: after FINN's set_fifo_depths. styles: what became of each layer (`finnyaml.finn.specialize.settle`)."""

    model: Any
    part: str
    styles: list[dict[str, str]]


def hardware(case: Case, output: Path) -> Hardware:
    """FINN's steps from Brevitas to set_fifo_depths; FINN writes into `output`.

    Raises:
        SystemExit: a layer is not RTL.
    """
    return finished(specialised(case, output), {})


def finished(started: Specialised, folding: Mapping[str, Mapping[str, int]]) -> Hardware:
    """FINN's steps from there to set_fifo_depths. folding: attributes of nodes beside what the target gives."""
    from qonnx.custom_op.registry import getCustomOp

    model = started.run(started.model, "target_fps_parallelization", "apply_folding_config")
    for node in model.graph.node:
        for attribute, value in folding.get(node.name, {}).items():
            getCustomOp(node).set_nodeattr(attribute, value)
    model = started.run(model, "minimize_bit_width", "hw_codegen", "hw_ipgen", "set_fifo_depths")
    return Hardware(model, started.part, started.styles)


@dataclass(frozen=True)
class Specialised:
    """A model after FINN's specialize_layers. run: FINN's steps, by their names, on a model. The rest: `Hardware`."""

    model: Any
    part: str
    styles: list[dict[str, str]]
    run: Callable[..., Any]


def specialised(case: Case, output: Path) -> Specialised:
    """FINN's steps from Brevitas to specialize_layers; FINN writes into `output`.

    Raises:
        SystemExit: a layer is not RTL.
    """
    start = "step_qonnx_to_finn"
    return specialise(case, stages(case.network, output, last=start)[start], output)


def keyword_spotting(file: Path, output: Path) -> Specialised:
    """The MLP of the QONNX model zoo, of which the published results on a board are, up to specialize_layers."""
    from finnyaml.recipe.model import InputSpec
    from finnyaml.steps.source import annotate_input, read_onnx

    case = Case(Network(lambda: None, (1, 1, 10, 49), "RFSoC2x2", 200_000))
    (output / "intermediate_models").mkdir(parents=True)
    model = annotate_input(read_onnx(file), InputSpec(datatype="FLOAT32"))
    return specialise(case, model, output, first="qonnx_to_finn")


def specialise(case: Case, model: Any, output: Path, first: str = "tidy_up") -> Specialised:
    """FINN's steps from `first` on to specialize_layers, on a model of one's own."""
    from finnyaml.finn.door import open_door
    from finnyaml.finn.specialize import prefer, settle
    from finnyaml.steps.bipolar import represent_bipolar
    from finnyaml.steps.branches import streamline_branches
    from finnyaml.steps.host import leave_to_host
    from finnyaml.steps.pooling import sum_pools

    finn = open_door()
    build = finn.config_module
    config = build.DataflowBuildConfig(
        output_dir=str(output),
        synth_clk_period_ns=CLOCK_NS,
        board=case.network.board,
        shell_flow_type=build.ShellFlowType.VIVADO_ZYNQ,
        target_fps=case.network.rate,
        mvau_wwidth_max=case.widest,
        standalone_thresholds=True,
        generate_outputs=[],
        auto_fifo_strategy=build.AutoFIFOSizingMethod.FORCE_MINIMAL_FIFOS,
    )

    def run(model: Any, *steps: str) -> Any:
        for step in steps:
            model = finn.steps[f"step_{step}"](model, config)
        return model

    model = run(model, *dict.fromkeys((first, "tidy_up")))
    if case.bipolar:
        model = represent_bipolar(model).model
    if case.several:
        model = streamline_branches(run(sum_pools(model).model, "streamline")).model
    else:
        model = with_branches(model) if case.residual else run(model, "streamline")
    model = leave_to_host(run(model, "convert_to_hw")).model
    model = prefer(run(model, "minimize_bit_width_initial", "create_dataflow_partition"), "rtl")
    model = run(model, "specialize_layers")
    part = config._resolve_fpga_part()
    settled = settle(model, part)
    if left := [f"{entry['node']}: {entry['why']}" for entry in settled.styles if entry["style"] != "rtl"]:
        raise SystemExit("; ".join(left))
    return Specialised(settled.model, part, settled.styles, run)


def with_branches(model: Any) -> Any:
    """What a residual network needs in place of FINN's step streamline; torch's mean as the average that FINN knows."""
    from onnx import helper

    from tests.finn.kernel_bench.residual import streamlined

    model = copy.deepcopy(model)
    for index, node in enumerate(list(model.graph.node)):
        if node.op_type == "ReduceMean" and len(model.get_tensor_shape(node.output[0])) == 4:
            model.graph.node.remove(node)
            model.graph.node.insert(index, helper.make_node("GlobalAveragePool", [node.input[0]], list(node.output)))
    return streamlined(model)


def _digits() -> Any:
    """The network of recipes/digits-rtl."""
    place = ROOT / "recipes" / "digits-rtl" / "model.py"
    spec = importlib.util.spec_from_file_location("digits_rtl_model", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.digits_rtl()


def _four_bits() -> tuple[dict[str, Any], dict[str, Any]]:
    """How Brevitas' layers have four bits: settings for weights, and for activations."""
    from brevitas.quant import Int8WeightPerTensorFloat, Uint8ActPerTensorFloat

    return (
        {"weight_bit_width": 4, "weight_quant": Int8WeightPerTensorFloat},
        {"bit_width": 4, "act_quant": Uint8ActPerTensorFloat},
    )


def _seen(network: Any, *shape: int) -> Any:
    """The network with scales and batch-norm statistics from random images; nothing is trained."""
    import torch

    network.train()
    with torch.no_grad():
        for _ in range(30):
            network(torch.rand(16, *shape))
    return network.eval()


def _depthwise() -> Any:
    """A convolution, a depthwise one with stride 2, another convolution with stride 2, a dense layer; 14x14 pixels."""
    import torch
    from brevitas.nn import QuantConv2d, QuantLinear, QuantReLU
    from torch import nn

    torch.manual_seed(0)
    weights, activations = _four_bits()
    layers: list[Any] = []
    channels = 1
    for out, stride, groups in ((8, 1, 1), (8, 2, 8), (16, 2, 1)):
        layers.append(
            QuantConv2d(channels, out, 3, stride=stride, padding=1, groups=groups, bias=False, **weights),
        )
        layers += [nn.BatchNorm2d(out), QuantReLU(**activations)]
        channels = out
    layers += [nn.Flatten(), QuantLinear(channels * 4 * 4, 10, bias=False, **weights)]
    return _seen(nn.Sequential(*layers), 1, 14, 14)


def _residual(scales: tuple[float, float] | None = None) -> Any:
    """A convolution, two residual blocks (the second with stride 2), a global average, a dense layer; 16x16 pixels."""
    import torch
    from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
    from brevitas.quant import Int8ActPerTensorFloat
    from torch import nn

    torch.manual_seed(0)
    weights, activations = _four_bits()

    def convolution(taken: int, given: int, size: int, stride: int = 1) -> Any:
        layer = QuantConv2d(taken, given, size, stride=stride, padding=size // 2, bias=False, **weights)
        return nn.Sequential(layer, nn.BatchNorm2d(given))

    def quantiser(scale: float | None) -> Any:
        fixed = {} if scale is None else {"scaling_impl_type": "const", "scaling_init": 8 * scale}
        return QuantIdentity(bit_width=4, act_quant=Int8ActPerTensorFloat, **fixed)

    class Block(nn.Module):
        """Both branches have one quantiser, so that FINN finds one scale; or one each, with these scales."""

        def __init__(self, taken: int, given: int, stride: int) -> None:
            super().__init__()
            first = convolution(taken, given, 3, stride)
            self.branch = nn.Sequential(first, QuantReLU(**activations), convolution(given, given, 3))
            self.skip = convolution(taken, given, 1, stride) if stride > 1 else nn.Identity()
            self.shared = quantiser(scales and scales[0])
            self.other = self.shared if scales is None else quantiser(scales[1])
            self.out = QuantReLU(**activations)

        def forward(self, x: Any) -> Any:
            return self.out(self.shared(self.branch(x)) + self.other(self.skip(x)))

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(convolution(1, 8, 3), QuantReLU(**activations))
            self.blocks = nn.Sequential(Block(8, 8, 1), Block(8, 16, 2))
            self.average = nn.AdaptiveAvgPool2d(1)
            self.dense = QuantLinear(16, 10, bias=False, **weights)

        def forward(self, x: Any) -> Any:
            return self.dense(self.average(self.blocks(self.stem(x))).flatten(1))

    return _seen(Residual(), 1, 16, 16)


def _bnn(name: str) -> Callable[[], Any]:
    return lambda: bnn_pynq(name)


_WEIGHTS = ROOT / "recipes/digits-rtl/weights.pth"
CASES: Mapping[str, Case] = {
    "digits-rtl": Case(Network(_digits, (1, 1, 14, 14), "ZCU102", 20_000, _WEIGHTS)),
    "TFC_2W2A": Case(Network(_bnn("TFC_2W2A"), (1, 1, 28, 28), "ZCU102", 250_000), widest=400),
    "TFC_1W1A": Case(Network(_bnn("TFC_1W1A"), (1, 1, 28, 28), "ZCU102", 250_000), bipolar=True, widest=400),
    "depthwise CNN": Case(Network(_depthwise, (1, 1, 14, 14), "VCK190", 20_000)),
    "small ResNet": Case(Network(_residual, (1, 1, 16, 16), "ZCU102", 16_000), residual=True),
    "ResNet, two scales": Case(Network(lambda: _residual((0.6, 0.2)), (1, 1, 16, 16), "ZCU102", 16_000), several=True),
    "digits-rtl, SIMD = MW": Case(Network(_digits, (1, 1, 14, 14), "ZCU102", 100_000, _WEIGHTS), widest=1_000),
    "CNV_2W2A": Case(Network(_bnn("CNV_2W2A"), (1, 3, 32, 32), "ZCU102", 500), frames=8),
}
