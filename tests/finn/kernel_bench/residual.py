"""A small residual network as QONNX, made by hand (no training, no torch), and FINN's steps for it up to hardware code.

All quantisers have the scale 4 and all weights are integers, so floats are exact. It has a layer for each kernel.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

SIZE, CHANNELS, LABELS, TOP = 8, 4, 6, 3
RANDOM = np.random.default_rng(3)


class Graph:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def constant(self, values: Any) -> str:
        name = f"given_{len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def add(self, op_type: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], **attributes))
        return output

    def quantised(self, x: str, bits: int, signed: bool, scale: float = 4.0) -> str:
        constants = [self.constant(np.float32(value)) for value in (scale, 0, bits)]
        attributes = {"signed": int(signed), "narrow": 0, "rounding_mode": "ROUND"}
        return self.add("Quant", x, *constants, domain="qonnx.custom_op.general", **attributes)

    def weights(self, *shape: int) -> str:
        return self.quantised(self.constant(RANDOM.integers(-3, 4, shape).astype(np.float32)), 3, True, 1.0)

    def convolution(self, x: str, into: int, out: int) -> str:
        shape = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1], "dilations": [1, 1], "group": 1}
        return self.add("Conv", x, self.weights(out, into, 3, 3), **shape)


def network() -> ModelWrapper:
    """Integers UINT4 [1, 2, 8, 8] to the indices INT64 [1, 3] of the largest of six labels."""
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.cleanup import cleanup_model

    g = Graph()
    stem = g.quantised(g.add("Relu", g.convolution("input", 2, CHANNELS)), 4, signed=False)
    branch = g.quantised(g.convolution(stem, CHANNELS, CHANNELS), 4, signed=True)
    skip = g.quantised(stem, 4, signed=True)
    block = g.quantised(g.add("Relu", g.add("Add", branch, skip)), 4, signed=False)
    small = g.add("MaxPool", block, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])
    average = g.add("GlobalAveragePool", small)
    flat = g.add("Reshape", average, g.constant(np.array([1, CHANNELS])))
    scores = g.add("MatMul", flat, g.weights(CHANNELS, LABELS))
    values = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 2, SIZE, SIZE])]
    g.nodes.append(helper.make_node("TopK", [scores, g.constant(np.array([TOP]))], ["values", "labels"]))
    result = [helper.make_tensor_value_info("labels", TensorProto.INT64, [1, TOP])]
    graph = helper.make_graph(g.nodes, "residual", values, result)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    model = ModelWrapper(helper.make_model(graph, opset_imports=opsets))
    for name, array in g.constants.items():
        model.set_initializer(name, array)
    model.set_tensor_datatype("input", DataType["UINT4"])
    return cleanup_model(model)


def streamlined(model: ModelWrapper) -> ModelWrapper:
    """FINN's transformations in the order that a residual network with a global average needs."""
    from finn.transformation.fpgadataflow.convert_to_hw.global_acc_pool import InferGlobalAccPoolLayer
    from finn.transformation.streamline import Streamline, absorb, reorder
    from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
    from qonnx.transformation.infer_data_layouts import InferDataLayouts
    from qonnx.transformation.infer_datatypes import InferDataTypes
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul

    rounds = [
        # scales leave the branches, then go past their sum
        *[Streamline(), reorder.MoveLinearPastFork(), reorder.MoveLinearPastEltwiseAdd()] * 2,
        Streamline(),
        LowerConvsToMatMul(),
        # transposes leave the branches in the same way
        absorb.AbsorbTransposeIntoMultiThreshold(),
        *[
            reorder.MakeMaxPoolNHWC(),
            absorb.AbsorbConsecutiveTransposes(),
            reorder.MoveTransposePastFork(),
            reorder.MoveTransposePastJoinAdd(),
            absorb.AbsorbTransposeIntoMultiThreshold(),
        ]
        * 3,
        # before step convert_to_hw, so that its factor 1 / pixels can still go to the end
        InferDataLayouts(),
        InferGlobalAccPoolLayer(),
        absorb.AbsorbConsecutiveTransposes(),
        absorb.AbsorbTransposeIntoFlatten(),
        Streamline(),
        absorb.AbsorbScalarMulAddIntoTopK(),
        # a signed quantiser behind an unsigned one has thresholds below zero
        RoundAndClipThresholds(),
    ]
    for transformation in rounds:
        model = model.transform(transformation)
        for tidy in (InferShapes(), InferDataTypes(), InferDataLayouts()):
            model = model.transform(tidy)
    return model


@dataclass(frozen=True)
class Hardware:
    """specialised: with our kernels in place; final: after set_fifo_depths; refused: what no kernel covers."""

    specialised: ModelWrapper
    final: ModelWrapper
    refused: list[tuple[str, str]]


def hardware(model: ModelWrapper, folder: Path) -> Hardware:
    """FINN's steps from `streamlined` to set_fifo_depths."""
    from finnyaml.finn.door import open_door
    from finnyaml.finn.kernels.conversion import use_kernels
    from finnyaml.finn.specialize import prefer

    config, steps = open_door().config_module, open_door().steps
    settings = config.DataflowBuildConfig(
        output_dir=str(folder),
        synth_clk_period_ns=10.0,
        board="ZCU102",
        target_fps=100_000,
        standalone_thresholds=True,
        generate_outputs=[],
        auto_fifo_strategy=config.AutoFIFOSizingMethod.FORCE_MINIMAL_FIFOS,
    )
    for step in ("convert_to_hw", "minimize_bit_width_initial", "create_dataflow_partition"):
        model = steps[f"step_{step}"](model, settings)
    model = steps["step_specialize_layers"](prefer(model, "rtl"), settings)
    specialised, refused = use_kernels(model)
    model = copy.deepcopy(specialised)
    for step in ("target_fps_parallelization", "minimize_bit_width", "hw_codegen", "set_fifo_depths"):
        model = steps[f"step_{step}"](model, settings)
    return Hardware(specialised, model, refused)
