"""Accelerators to derive interfaces from: real ones of a build, and small ones with a host part of their own."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

from finnyaml.accelerator.contract import FORMAT, Bundle
from finnyaml.bundle import derive
from finnyaml.recipe.model import InputSpec
from finnyaml.verify.data.dataset import DataSet
from finnyaml.verify.executor import whole_model
from tests.bundle.sample import seal

HARDWARE = "finn.custom_op.fpgadataflow"
LAST = "step_minimize_bit_width"
STAGES = {
    "preprocess": [{"kind": "to_tensor", "options": {}}],
    "postprocess": [{"kind": "top_k", "options": {"k": 1}}],
}


class Arrays:
    """A source of samples as `DataSet` takes it."""

    def __init__(self, inputs: np.ndarray, labels: np.ndarray | None = None) -> None:
        self.inputs, self.labels, self.shape, self.labelled = inputs, labels, inputs.shape, labels is not None

    def __len__(self) -> int:
        return len(self.inputs)

    def pieces(self, chunks: Any) -> Any:
        for chunk in chunks:
            yield self.inputs[chunk], None if self.labels is None else self.labels[chunk]


def data(inputs: np.ndarray, labels: np.ndarray | None = None, layout: str | None = None) -> DataSet:
    return DataSet(Arrays(inputs, labels), None, None, layout)


def bytes_of(shape: Sequence[int], count: int = 100) -> np.ndarray:
    """Random uint8 samples [count, *shape] (seeded)."""
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.uint8)


def written(
    folder: Path,
    model: ModelWrapper,
    parent: ModelWrapper | None,
    samples: DataSet | None,
    *,
    spec: InputSpec | None = None,
    stages: Mapping[str, Sequence[Mapping[str, Any]]] = STAGES,
    count: int = 16,
    driver_folder: Path | None = None,
) -> Bundle:
    """Derive the interface; returns it as the host package reads it."""
    whole = whole_model(model, parent) if parent is not None else model
    folder.mkdir(parents=True, exist_ok=True)
    derive.write(
        whole,
        model,
        parent,
        samples,
        folder,
        spec=spec or InputSpec(None, "UINT8", None),
        stages=stages,
        samples=count,
        driver_folder=driver_folder,
    )
    content = json.loads((folder / "contract.json").read_text())
    seal(folder, {"format": FORMAT, "name": "test", "files": {}, **content})
    return Bundle.load(folder)


def golden(bundle: Bundle) -> dict[str, np.ndarray]:
    with np.load(bundle.path("golden/samples.npz"), allow_pickle=False) as arrays:
        return dict(arrays)


def node(op_type: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(op_type, list(inputs), list(outputs), name=f"{op_type}_{outputs[0]}", **attributes)


def graph(
    nodes: Sequence[Any],
    shapes: Mapping[str, Sequence[int]],
    constants: Mapping[str, np.ndarray],
    datatypes: Mapping[str, str],
    ends: tuple[str, str],
) -> ModelWrapper:
    """A model of one input and one output. shapes, datatypes: of all tensors that are not constants."""
    indices = {n.output[1] for n in nodes if n.op_type == "TopK"}
    infos = {
        t: helper.make_tensor_value_info(t, TensorProto.INT64 if t in indices else TensorProto.FLOAT, shape)
        for t, shape in shapes.items()
    }
    made = helper.make_graph(
        list(nodes),
        "graph",
        [infos[ends[0]]],
        [infos[ends[1]]],
        value_info=[info for t, info in infos.items() if t not in ends],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 2)]
    opsets.append(helper.make_opsetid(HARDWARE, 1))
    model = ModelWrapper(qonnx_make_model(made, opset_imports=opsets))
    for tensor, value in constants.items():
        model.set_initializer(tensor, np.asarray(value))
    for tensor, datatype in datatypes.items():
        model.set_tensor_datatype(tensor, DataType[datatype])
    return model


def scores(folding: tuple[int, int] = (1, 4)) -> ModelWrapper:
    """An accelerator that makes 7 scores (INT10) of 12 values (INT4): one matrix-vector unit, (PE, SIMD) of it."""
    weights = np.random.default_rng(3).integers(-4, 4, (12, 7)).astype(np.float32)
    unit = node(
        "MVAU",
        ["in", "weights"],
        ["out"],
        domain=HARDWARE,
        backend="fpgadataflow",
        MW=12,
        MH=7,
        PE=folding[0],
        SIMD=folding[1],
        inputDataType="INT4",
        weightDataType="INT3",
        outputDataType="INT10",
        accDataType="INT10",
        noActivation=1,
        numInputVectors=[1],
    )
    datatypes = {"in": "INT4", "weights": "INT3", "out": "INT10"}
    return graph([unit], {"in": [1, 12], "out": [1, 7]}, {"weights": weights}, datatypes, ("in", "out"))


def partition(given: str, made: str) -> Any:
    return node("StreamingDataflowPartition", [given], [made], domain=HARDWARE, model="")


def writeable(model: ModelWrapper, *layers: str) -> ModelWrapper:
    """A copy in which these layers have runtime-writeable weights."""
    model = copy.deepcopy(model)
    for layer in layers:
        instance = getCustomOp(next(n for n in model.graph.node if n.name == layer))
        instance.set_nodeattr("runtime_writeable_weights", 1)
        if layer.startswith("MVAU"):
            instance.set_nodeattr("mem_mode", "internal_decoupled")
    return model


def external(model: ModelWrapper, *layers: str) -> ModelWrapper:
    """A copy in which these layers stream their weights from memory."""
    model = copy.deepcopy(model)
    for layer in layers:
        instance = getCustomOp(next(n for n in model.graph.node if n.name == layer))
        instance.set_nodeattr("mem_mode", "external")
    return model
