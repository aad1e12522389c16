"""Weights that a DMA engine streams from memory: there are such engines only in the partitions of FINN's synthesis."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from onnx import NodeProto, helper

from finnyaml.finn.partitions import memory_of
from finnyaml.verify.executor.base import NotExecutable

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def restore_weights(model: ModelWrapper, through: Collection[str]) -> None:
    """Give layers whose weights a DMA engine streams the weights themselves, in place of the engine (in place).

    The engine's memory holds them in the order of the stream, which FINN's Python of the layers does not know. through:
    layers whose output is their input.
    """
    for engine in [n for n in model.graph.node if n.op_type == "IODMA_hls"]:
        known = {a.name: helper.get_attribute_value(a) for a in engine.attribute}
        if known.get("burstMode") != b"wrap":
            continue
        layer = model.find_consumer(engine.output[0])
        while layer is not None and layer.op_type.removesuffix("_hls").removesuffix("_rtl") in through:
            layer = model.find_consumer(layer.output[0])
        memory = model.get_initializer(engine.input[0])
        if layer is None or not layer.op_type.startswith("MVAU") or memory is None:
            raise NotExecutable(f"{engine.name} streams weights to a layer that is not known")
        weights = f"{layer.name}_weights"
        model.set_initializer(weights, _unstreamed(memory, layer))
        model.set_tensor_datatype(weights, model.get_tensor_datatype(engine.input[0]))
        layer.input[1] = weights
        model.graph.node.remove(engine)


def _unstreamed(memory: np.ndarray, layer: NodeProto) -> np.ndarray:
    """Weights [MW, MH] from the memory that FINN made of them; what it makes of numbers tells their order."""
    from qonnx.custom_op.registry import getCustomOp

    instance = getCustomOp(layer)
    height, width = (instance.get_nodeattr(name) for name in ("MW", "MH"))
    numbers: np.ndarray = np.arange(height * width, dtype=np.float32)
    if numbers.size > 1 << 24:
        raise NotExecutable(f"{layer.name} has more external weights than float32 can number")
    order: np.ndarray = memory_of(instance, numbers.reshape(height, width)).astype(np.int64)
    weights: np.ndarray = np.zeros(height * width, np.float32)
    weights[order.reshape(-1)] = memory.reshape(-1)
    matrix: np.ndarray = weights.reshape(height, width)
    return matrix
