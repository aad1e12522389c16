"""What FINN writes for its drivers: shapes of streams, and weights as memory and files hold them. Runs in workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def driver_shapes(model: ModelWrapper) -> dict[str, Any]:
    """FINN's own words on the streams of a partitioned model. Raises AssertionError where it has no DMA engines."""
    from finn.util.basic import get_driver_shapes

    shapes: dict[str, Any] = get_driver_shapes(model)
    return shapes


def memory_of(instance: Any, weights: np.ndarray) -> np.ndarray:
    """What FINN puts into memory for weights [MW, MH], a row per word; instance: FINN's for their layer."""
    from finn.transformation.fpgadataflow.insert_iodma import InsertIODMA

    pe, simd = (instance.get_nodeattr(name) for name in ("PE", "SIMD"))
    memory: np.ndarray = InsertIODMA().get_mem_init(weights, pe, simd)
    return memory


def external_file(memory: np.ndarray, datatype: Any) -> np.ndarray:
    """The bytes (uint8) of the file with external weights. Raises ValueError where a line has no whole bytes."""
    from finn.util.data_packing import to_external_tensor

    packed: np.ndarray = to_external_tensor(memory, datatype)
    return packed.astype(np.uint8)
