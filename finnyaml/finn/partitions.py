"""The kernels that an accelerator will consist of, as FINN's synthesis will partition it, and the weights loaded there.

Layers whose weights a driver writes have an address by the number of their partition, and DMA engines are counted along
the partitions. Before synthesis nothing says these numbers, so FINN's transformations are asked: those of `ZynqBuild`
(and of prepare_synthesis for Alveo boards) up to the first that needs Vivado. A floorplan of the user's, or several
FPGAs, would make other partitions.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames

from finnyaml.errors import StepFailed
from finnyaml.finn.ports import is_partitioned
from finnyaml.graph.view import attributes

LOADED = ("MVAU", "Thresholding")
"""The layers whose weights FINN's driver can write."""


@dataclass(frozen=True)
class Kernel:
    """One partition. number: its place in the graph. ip: its name in the bitfile. model: its layers."""

    number: int
    ip: str
    node: NodeProto
    model: ModelWrapper


@dataclass(frozen=True)
class Loaded:
    """A layer whose weights are written at run time: over AXI-lite (`index` among those of its kernel), or by `dma`.

    node: in the kernel. name: in the prepared graph of the whole accelerator. instance: FINN's object for it. repeats:
    how often the DMA engine reads the weights for one sample.
    """

    node: NodeProto
    name: str
    instance: Any
    kernel: Kernel
    index: int | None = None
    dma: str | None = None
    repeats: int = 1


def has_loaded_weights(model: ModelWrapper) -> bool:
    """Whether any layer of an accelerator has runtime-writeable or external weights."""
    models = [kernel.model for kernel in kernels(model)] if is_partitioned(model) else [model]
    return any(_is_writeable(n) or _is_external(n) or _is_weight_dma(n) for m in models for n in m.graph.node)


def partitioned(model: ModelWrapper, folder: Path) -> ModelWrapper:
    """The model in the partitions that FINN's synthesis will make; itself if it is. Their files go into `folder`.

    The layers of the partitions have the number of their node in `model` as doc_string.
    """
    if is_partitioned(model):
        return model
    from finn.analysis.fpgadataflow.floorplan_params import floorplan_params
    from finn.transformation.fpgadataflow.create_dataflow_partition import CreateDataflowPartition
    from finn.transformation.fpgadataflow.floorplan import Floorplan
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_iodma import InsertIODMA

    def transformed(model: ModelWrapper, *transformations: Any) -> ModelWrapper:
        for transformation in transformations:
            for each in (transformation, GiveUniqueNodeNames(), GiveReadableTensorNames()):
                model = model.transform(each)
        return model

    result = copy.deepcopy(model)
    for number, node in enumerate(result.graph.node):
        node.doc_string = str(number)
    folder.mkdir(parents=True, exist_ok=True)
    floorplan = folder / "floorplan.json"  # FINN's default one, but where we say
    try:
        result = transformed(result, InsertIODMA(), InsertDWC())
        floorplan.write_text(json.dumps(result.analysis(floorplan_params)), encoding="utf-8")
        return transformed(result, Floorplan(str(floorplan)), CreateDataflowPartition(str(folder)))
    except AssertionError as error:
        raise StepFailed(
            f"FINN cannot cut the accelerator into kernels, so its synthesis would fail, too: {error}",
            hint="weights that are streamed from memory need PE * SIMD * bits to be a multiple of 8",
        ) from error


def kernels(partitioned: ModelWrapper) -> Iterator[Kernel]:
    """The partitions, in the order in which FINN's drivers number them."""
    for number, node in enumerate(partitioned.graph.node):
        yield Kernel(number, str(node.name), node, ModelWrapper(getCustomOp(node).get_nodeattr("model")))


def dma_names(partitioned: ModelWrapper) -> dict[str, str]:
    """The name in the bitfile of each partition that is a DMA engine, by the partition's name.

    As FINN said when it made the bitfile; before that, as it will count them.
    """
    names: dict[str, str] = {}
    inputs = outputs = 0
    for node in partitioned.graph.node:
        reads = bool(node.input) and partitioned.find_producer(node.input[0]) is not None
        if not reads:
            names[node.name], inputs = f"idma{inputs}", inputs + 1
        elif not partitioned.find_consumers(node.output[0]):
            names[node.name], outputs = f"odma{outputs}", outputs + 1
        if node.name in names:
            names[node.name] = getCustomOp(node).get_nodeattr("instance_name") or names[node.name]
    return names


def loaded(model: ModelWrapper, partitioned: ModelWrapper) -> list[Loaded]:
    """The layers whose weights are written at run time, in the order of the partitions.

    model: the accelerator as it came, partitioned or not; partitioned: what `partitioned` made of it.
    """
    found = []
    names = dma_names(partitioned)
    parts = {kernel.ip: kernel for kernel in kernels(partitioned)}

    def name(node: NodeProto, kernel: Kernel) -> str:
        return f"{kernel.ip}_{node.name}" if partitioned is model else str(model.graph.node[int(node.doc_string)].name)

    for kernel in parts.values():
        index = 0
        for node in kernel.model.graph.node:
            if _is_writeable(node):
                found.append(Loaded(node, name(node, kernel), getCustomOp(node), kernel, index=index))
                index += 1
            elif _is_weight_dma(node):
                target = parts[partitioned.find_consumer(kernel.node.output[0]).name]
                layer = target.model.find_consumer(node.output[0])
                shape = target.model.get_tensor_shape(layer.output[0])
                repeats = int(shape[1] * shape[2]) if len(shape) == 4 else 1
                details: dict[str, Any] = {"dma": names[kernel.ip], "repeats": repeats}
                found.append(Loaded(layer, name(layer, target), getCustomOp(layer), target, **details))
    return found


def memory_of(instance: Any, weights: np.ndarray) -> np.ndarray:
    """What FINN puts into memory for weights [MW, MH], a row of values per word; instance: FINN's for their layer."""
    from finn.transformation.fpgadataflow.insert_iodma import InsertIODMA

    pe, simd = (instance.get_nodeattr(name) for name in ("PE", "SIMD"))
    return InsertIODMA().get_mem_init(weights, pe, simd)  # type: ignore[no-any-return]


def external_file(memory: np.ndarray, datatype: Any) -> np.ndarray:
    """The bytes, uint8 of any shape, of the file with external weights; memory: of `memory_of`.

    Raises ValueError where a line has no whole bytes.
    """
    from finn.util.data_packing import to_external_tensor

    return to_external_tensor(memory, datatype).astype(np.uint8)  # type: ignore[no-any-return]


def _is_writeable(node: NodeProto) -> bool:
    return bool(node.op_type.startswith(LOADED) and attributes(node).get("runtime_writeable_weights") == 1)


def _is_external(node: NodeProto) -> bool:
    return bool(node.op_type.startswith("MVAU") and attributes(node).get("mem_mode") == "external")


def _is_weight_dma(node: NodeProto) -> bool:
    return bool(node.op_type == "IODMA_hls" and attributes(node).get("burstMode") == "wrap")
