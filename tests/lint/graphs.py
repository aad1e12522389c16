"""Small graphs in the dialects of a build, FINN's own steps on them, and their answers by qonnx's execution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finnyaml.finn import config
from finnyaml.finn.door import open_door

QONNX = "qonnx.custom_op.general"
HARDWARE = "finn.custom_op.fpgadataflow"


class Net:
    """A graph that grows node by node; every method returns the name of the tensor that it made."""

    def __init__(self, shape: Iterable[int], datatype: str = "UINT4", seed: int = 0) -> None:
        self.shape, self.datatype = list(shape), datatype
        self.random = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.datatypes: dict[str, str] = {}

    def constant(self, values: Any, datatype: str | None = None, kind: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values, kind)
        if datatype:
            self.datatypes[name] = datatype
        return name

    def node(self, kind: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes: Any) -> str:
        names = [f"t{len(self.nodes)}"] + [f"t{len(self.nodes)}_{number}" for number in range(1, outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names[0]

    def bipolar(self, shape: Iterable[int]) -> str:
        return self.constant(self.random.choice([-1, 1], list(shape)), "BIPOLAR")

    def conv(self, x: str, filters: int, channels: int, pad: int = 1, size: int = 3) -> str:
        weights = self.bipolar((filters, channels, size, size))
        given = {"kernel_shape": [size, size], "strides": [1, 1], "dilations": [1, 1], "group": 1}
        return self.node("Conv", x, weights, pads=[pad] * 4, **given)

    def sign(self, x: str, thresholds: Any = ((0.5,),), layout: str = "NCHW", **attributes: Any) -> str:
        """A bipolar activation; `thresholds` is a name, or the values [channels or 1, 1]."""
        name = thresholds if isinstance(thresholds, str) else self.constant(thresholds)
        attributes = {"out_dtype": "BIPOLAR", "out_scale": 2.0, "out_bias": -1.0, **attributes}
        return self.node("MultiThreshold", x, name, domain=QONNX, data_layout=layout, **attributes)

    def pool(self, x: str, **attributes: Any) -> str:
        return self.node("MaxPool", x, **{"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0] * 4, **attributes})

    def flat(self, x: str, size: int) -> str:
        return self.node("Reshape", x, self.constant([1, size], kind=np.int64))

    def matmul(self, x: str, size: int, outputs: int) -> str:
        return self.node("MatMul", x, self.bipolar((size, outputs)))

    def model(self, *outputs: str, tidy: bool = True) -> ModelWrapper:
        """The model; tidied up with shapes, data types and layouts inferred, unless that is to be left out."""
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        start = [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)]
        graph = helper.make_graph(self.nodes, "net", start, ends)
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1), helper.make_opsetid(HARDWARE, 1)]
        model = ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=8))
        for name, values in self.constants.items():
            model.set_initializer(name, values)
            model.set_tensor_datatype(name, DataType[self.datatypes.get(name, "FLOAT32")])
        model.set_tensor_datatype("x", DataType[self.datatype])
        if tidy:
            made = (InferShapes(), GiveUniqueNodeNames(), GiveReadableTensorNames(), InferDataTypes())
            for transformation in (*made, InferDataLayouts()):
                model = model.transform(transformation)
        return model


def cnn(seed: int = 0, classes: int = 5) -> ModelWrapper:
    """A binary CNN as tidy_up leaves it: two padded convolutions behind bipolar activations, one behind pooling.

    Input [1, 2, 8, 8] UINT4; output [1, classes].
    """
    net = Net((1, 2, 8, 8), seed=seed)
    x = net.sign(net.conv("x", 4, 2), net.random.integers(-20, 20, (4, 1)) + 0.5)
    x = net.sign(net.conv(x, 6, 4), net.random.integers(-8, 8, (6, 1)) + 0.5)
    x = net.sign(net.conv(net.pool(x), 8, 6), [[0.5]])
    return net.model(net.matmul(net.flat(x, 8 * 16), 8 * 16, classes))


def images(model: ModelWrapper, count: int, seed: int = 1) -> np.ndarray:
    """Random data for the graph input, [count, *shape without the batch]."""
    name = model.graph.input[0].name
    datatype = model.get_tensor_datatype(name)
    shape = (count, *model.get_tensor_shape(name)[1:])
    return np.random.default_rng(seed).integers(datatype.min(), datatype.max() + 1, shape).astype(np.float32)


def answers(model: ModelWrapper, data: np.ndarray) -> np.ndarray:
    """What the graph gives for each sample, [count, ...], by qonnx's own node-by-node execution."""
    start, end = model.graph.input[0].name, model.graph.output[0].name
    return np.concatenate([execute_onnx(model, {start: sample[None]})[end] for sample in data])


def run(model: ModelWrapper, steps: str, folder: Path, **settings: Any) -> ModelWrapper:
    """FINN's own steps, by their names without `step_`, separated by spaces."""
    values: Mapping[str, Any] = {
        "output_dir": str(folder),
        "synth_clk_period_ns": 10.0,
        "board": "ZCU102",
        "generate_outputs": [],
        "steps": [],
        "standalone_thresholds": True,
        **settings,
    }
    built = config.make(open_door().config_class, values)
    for step in steps.split():
        model = open_door().steps[f"step_{step}"](model, built)
    return model
