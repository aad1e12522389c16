"""A small network of real FINN layers: a dense layer and its thresholds, with width converters and FIFOs around."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

from tests.verify.executor.one_layer import HARDWARE, Tensor, graph

PART = "xczu9eg-ffvb1156-2-e"
CLOCK_NS = 5.0


@contextlib.contextmanager
def build_folder(folder: Path) -> Iterator[Path]:
    """Let FINN put generated code there; it looks at FINN_BUILD_DIR only once per process."""
    from finn.util.settings import get_settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINN_BUILD_DIR", str(folder))
        patch.setattr(get_settings(), "finn_build_dir", folder)
        yield folder


def node(op_type: str, inputs: list[str], outputs: list[str], style: str = "rtl", **attributes: Any) -> Any:
    """A hardware layer before it is specialised."""
    return helper.make_node(
        op_type,
        inputs,
        outputs,
        op_type,
        domain=HARDWARE,
        backend="fpgadataflow",
        preferred_impl_style=style,
        **attributes,
    )


def dense(style: str = "rtl") -> Any:
    types = {"inputDataType": "UINT4", "weightDataType": "INT3", "outputDataType": "INT10", "accDataType": "INT10"}
    sizes = {"MW": 8, "MH": 6, "SIMD": 4, "PE": 2, "numInputVectors": [1, 3]}
    return node("MVAU", ["x", "weights"], ["sums"], style, noActivation=1, **types, **sizes)


def thresholds() -> Any:
    types = {"inputDataType": "INT10", "weightDataType": "INT10", "outputDataType": "UINT2"}
    sizes = {"NumChannels": 6, "PE": 3, "numSteps": 3, "numInputVectors": [1, 3]}
    return node("Thresholding", ["sums", "levels"], ["y"], ActVal=0, **types, **sizes)


def network(nodes: list[Any], output: str = "y") -> ModelWrapper:
    """Layers from "x" to an output, as FINN specialises them, without FIFOs and code."""
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.transformation.general import GiveUniqueNodeNames

    generator = np.random.default_rng(0)
    levels = np.sort(generator.integers(-40, 40, (6, 3)), axis=1)
    tensors = {
        "x": Tensor([1, 3, 8], "UINT4"),
        "weights": Tensor([8, 6], "INT3", generator.integers(-3, 4, (8, 6)).astype(np.float32)),
        "sums": Tensor([1, 3, 6], "INT10"),
        "levels": Tensor([6, 3], "INT10", levels.astype(np.float32)),
        "y": Tensor([1, 3, 6], "UINT2"),
    }
    used = {name for each in nodes for name in (*each.input, *each.output)}
    made = graph(nodes, {name: tensor for name, tensor in tensors.items() if name in used}, "x", [output])
    return made.transform(SpecializeLayers(PART)).transform(GiveUniqueNodeNames())


def generated(model: ModelWrapper) -> ModelWrapper:
    """The network with width converters, FIFOs, names and code, as set_fifo_depths leaves it."""
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames

    model = model.transform(InsertDWC()).transform(InsertFIFO(create_shallow_fifos=True))
    model = model.transform(SpecializeLayers(PART)).transform(GiveUniqueNodeNames())
    return model.transform(GiveReadableTensorNames()).transform(PrepareIP(PART, CLOCK_NS))
