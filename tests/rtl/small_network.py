"""A small network of FINN's hardware layers, as it is after set_fifo_depths: made directly, not by the front end.

    x UINT4 [1, 32] ── DuplicateStreams ──┬─ MVAU ──┬─ IntegerAdd ── Thresholding (UINT4) ── MVAU ── y INT13 [1, 32]
                                          └─────────┘

Both MVAU are alike but for their weights. The first gives nothing before it has taken a whole frame, 16 beats of 2
values, so the branch beside it has to hold most of one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

PART, CLOCK = "xczu7ev-ffvc1156-2-e", 10.0
WIDTH, PE = 32, 2
RTL = "finn.custom_op.fpgadataflow.rtl"


def generated(folder: Path, monkeypatch: pytest.MonkeyPatch, *, bypass: int | None = 32) -> Any:
    """The model with generated HDL, which lies in `folder`. bypass: depth of the FIFO of the branch without a layer;
    the others have 2. None: no FIFOs at all, as before set_fifo_depths."""
    from finnyaml.finn.door import open_door
    from finnyaml.finn.kernels.register import register

    monkeypatch.setenv("FINN_BUILD_DIR", str(folder))
    assert open_door().steps_module
    register()
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from finn.transformation.fpgadataflow.replace_verilog_relpaths import ReplaceVerilogRelPaths
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from finn.util.basic import getHWCustomOp
    from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames

    folder.mkdir(parents=True, exist_ok=True)
    model = layers()
    if bypass is not None:
        model = model.transform(InsertFIFO(create_shallow_fifos=True))
    for node in model.get_nodes_by_op_type("StreamingFIFO"):
        getHWCustomOp(node).set_nodeattr("preferred_impl_style", "rtl")
    model = model.transform(SpecializeLayers(PART))
    model = model.transform(GiveUniqueNodeNames()).transform(GiveReadableTensorNames())
    for node in model.get_nodes_by_op_type("StreamingFIFO_rtl"):
        getHWCustomOp(node).set_nodeattr("depth", bypass if _is_bypass(model, node) else 2)
    return model.transform(PrepareIP(PART, CLOCK)).transform(ReplaceVerilogRelPaths())


def cache(factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled programs that all tests of a session share: their names are their content."""
    return factory.getbasetemp() / "compiled"


def layers() -> Any:
    """The network without FIFOs."""
    from onnx import TensorProto, helper
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper

    rng = np.random.default_rng(5)
    channels = {"NumChannels": WIDTH, "PE": PE, "numInputVectors": [1]}
    matrix = {"MW": WIDTH, "MH": WIDTH, "SIMD": PE, "PE": PE, "numInputVectors": [1], "mem_mode": "internal_decoupled"}
    matrix |= {"ActVal": 0, "noActivation": 1, "binaryXnorMode": 0, "resType": "dsp"}
    matrix |= {"inputDataType": "UINT4", "weightDataType": "INT4", "outputDataType": "INT13", "accDataType": "INT13"}
    copies = {"inputDataType": "UINT4", "NumOutputStreams": 2, "outFIFODepths": [2, 2]}
    levels = {"numSteps": 15, "ActVal": 0, "inputDataType": "INT14", "weightDataType": "INT14"}
    levels |= {"outputDataType": "UINT4"}
    addition = {"PE": PE, "lhs_dtype": "INT13", "rhs_dtype": "UINT4", "out_dtype": "INT14", "inFIFODepths": [2, 2]}
    addition |= {"lhs_style": "input", "rhs_style": "input"}
    addition |= {f"{each}_shape": [1, WIDTH] for each in ("lhs", "rhs", "out")}
    nodes = [
        _node("DuplicateStreams_rtl", ["x"], ["left", "right"], **channels, **copies),
        _node("MVAU_rtl", ["left", "w0"], ["sums"], **matrix),
        _node("IntegerAdd_rtl", ["sums", "right"], ["added"], **addition),
        _node("Thresholding_rtl", ["added", "t0"], ["levels"], **channels, **levels),
        _node("MVAU_rtl", ["levels", "w1"], ["y"], **matrix),
    ]
    kinds = {"x": "UINT4", "left": "UINT4", "right": "UINT4", "sums": "INT13", "added": "INT14", "levels": "UINT4"}
    kinds["y"] = "INT13"
    info = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, WIDTH]) for name in kinds}
    inner = [each for name, each in info.items() if name not in ("x", "y")]
    graph = helper.make_graph(nodes, "small", [info["x"]], [info["y"]], value_info=inner)
    model = ModelWrapper(helper.make_model(graph))
    constants = {
        "w0": (rng.integers(-8, 8, (WIDTH, WIDTH)), "INT4"),
        "t0": (np.sort(rng.integers(-600, 400, (WIDTH, 15)), axis=1), "INT14"),
        "w1": (rng.integers(-8, 8, (WIDTH, WIDTH)), "INT4"),
    }
    for name, (values, kind) in constants.items():
        model.set_initializer(name, values.astype(np.float32))
        kinds[name] = kind
    for name, kind in kinds.items():
        model.set_tensor_datatype(name, DataType[kind])
    return model


def _node(op_type: str, inputs: list[str], outputs: list[str], **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(op_type, inputs, outputs, domain=RTL, backend="fpgadataflow", **attributes)


def executed(model: Any, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """FINN's Python values of every tensor of the graph that is not a constant, [frames, ...]."""
    from finn.core.onnx_exec import execute_onnx
    from finn.transformation.fpgadataflow.set_exec_mode import SetExecMode

    model = model.transform(SetExecMode("cppsim"))  # of a copy; RTL layers are numpy then
    name = model.graph.input[0].name
    rows = [execute_onnx(model, {name: frame[None].astype(np.float32)}, True) for frame in inputs]
    made = [tensor for node in model.graph.node for tensor in node.output]
    return {tensor: np.concatenate([np.asarray(row[tensor]) for row in rows]) for tensor in made}


def frames(count: int) -> np.ndarray:
    """Inputs [count, WIDTH]."""
    return np.random.default_rng(9).integers(0, 16, (count, WIDTH))


def _is_bypass(model: Any, node: Any) -> bool:
    """Whether a FIFO lies between DuplicateStreams and IntegerAdd with no layer in between."""
    producer, consumer = model.find_producer(node.input[0]), model.find_consumer(node.output[0])
    kinds = [each.op_type if each is not None else "" for each in (producer, consumer)]
    return kinds == ["DuplicateStreams_rtl", "IntegerAdd_rtl"]
