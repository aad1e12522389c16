"""Networks with the real FINN in this process: the model after each step, to measure and to test the executor on."""

from __future__ import annotations

import copy
import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from finnyaml.verify.executor import BatchedModel

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Network:
    """A Brevitas network for 8-bit images. make: () -> torch module. shape: of one image. rate: images per second."""

    make: Callable[[], Any]
    shape: tuple[int, ...]
    board: str
    rate: int
    weights: Path | None = None


def signature(batched: BatchedModel) -> bytes:
    """Equal for two models that compute the same from the same data in one way, whatever the names are.

    Covers outputs and taps in their order and what is watched, as long as no data contradicts the annotation of the
    input. Nodes that run per sample are not compared: there must be none.
    """
    from onnx import NodeProto

    assert not batched.fallbacks
    names = {batched.input: "input"}
    lines = [f"{batched.input_shape} {batched.input_datatype.name}".encode()]
    for segment in batched.program.steps:
        held = segment.constants.items()
        plain = {t: f"{v.dtype} {v.shape} {hashlib.sha256(v.tobytes()).hexdigest()}" for t, v in held}
        lines.append(f"optimised {segment.optimised}".encode())
        for node in segment.nodes:
            copied = NodeProto()
            copied.CopyFrom(node)
            copied.name = ""
            copied.input[:] = [plain.get(t) or names.setdefault(t, str(len(names))) for t in node.input]
            copied.output[:] = [names.setdefault(t, str(len(names))) for t in node.output]
            lines.append(copied.SerializeToString(deterministic=True))
        lines.append(" ".join(names[t] for t in segment.fetched).encode())
        lines += [f"{names[w.tensor]} {w.datatype.name}".encode() for w in segment.watches]
        lines += [f"{names[g.largest]} {g.first}".encode() for g in segment.guards]
    lines.append(" ".join(names.get(t, t) for t in batched.graph.wanted).encode())
    return hashlib.sha256(b"\n".join(lines)).digest()


def bnn_pynq(name: str) -> Any:
    """A network of Brevitas' `bnn_pynq` examples; instead of training, batch-norm statistics at random (seeded)."""
    import torch
    from brevitas_examples.bnn_pynq.models import model_with_cfg  # type: ignore[import-untyped]

    torch.manual_seed(0)
    network, _ = model_with_cfg(name, False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
            module.running_mean.normal_(0, 2)
            module.running_var.uniform_(5, 50)
    return network


def digits() -> Any:
    """The network of recipes/digits-cnv."""
    sys.path.insert(0, str(ROOT / "recipes" / "digits-cnv"))
    try:
        from model import digits_cnv  # type: ignore[import-not-found]
    finally:
        del sys.path[0]
    return digits_cnv(act_bits=1)


NETWORKS: Mapping[str, Network] = {
    "digits-cnv": Network(digits, (1, 1, 14, 14), "ZCU102", 2000, ROOT / "recipes/digits-cnv/weights.pth"),
    "CNV_1W1A": Network(lambda: bnn_pynq("CNV_1W1A"), (1, 3, 32, 32), "Pynq-Z1", 1000),
    "CNV_2W2A": Network(lambda: bnn_pynq("CNV_2W2A"), (1, 3, 32, 32), "Pynq-Z1", 1000),
    "TFC_1W1A": Network(lambda: bnn_pynq("TFC_1W1A"), (1, 1, 28, 28), "Pynq-Z1", 1000),
}


def stages(network: Network, output: Path, last: str = "step_hw_codegen") -> dict[str, Any]:
    """The ModelWrapper after each step up to `last`, by step, and "dataflow_parent"; FINN writes into `output`."""
    (output / "intermediate_models").mkdir(parents=True)
    (output / "finn_build").mkdir()
    os.environ["FINN_BUILD_DIR"] = str(output / "finn_build")
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.finn.door import open_door
    from finnyaml.recipe.model import InputSpec, Processing
    from finnyaml.steps import processing, source

    spec = InputSpec(network.shape, "UINT8", "NCHW")
    exported = source.export_brevitas(network.make, {}, network.weights, None, network.shape)
    model = source.annotate_input(exported, spec)
    found = {"model": copy.deepcopy(model)}  # what follows changes the graph in place
    model = processing.preprocess(model, [Processing("to_tensor", {}, None, None)], spec, output)
    found["preprocess"] = copy.deepcopy(model)
    model = processing.postprocess(model, [Processing("top_k", {"k": 1}, None, None)], output)
    found["postprocess"] = model
    finn = open_door()
    build = finn.config_module
    config = build.DataflowBuildConfig(
        output_dir=str(output),
        synth_clk_period_ns=10.0,
        board=network.board,
        shell_flow_type=build.ShellFlowType.VIVADO_ZYNQ,
        target_fps=network.rate,
        standalone_thresholds=True,
        generate_outputs=[build.DataflowOutputType.ESTIMATE_REPORTS],
    )
    for step in build.hw_codegen_dataflow_steps:
        model = finn.steps[step](ModelWrapper(model.model, make_deepcopy=True), config)
        found[step] = model
        if step == "step_create_dataflow_partition":
            found["dataflow_parent"] = ModelWrapper(str(output / "intermediate_models" / "dataflow_parent.onnx"))
        if step == last:
            break
    return found


def images(network: Network, count: int) -> np.ndarray:
    """Random 8-bit images [count, ...] (seeded), float32."""
    shape = (count, *network.shape[1:])
    drawn: np.ndarray = np.random.default_rng(1).integers(0, 256, shape).astype(np.float32)
    return drawn
