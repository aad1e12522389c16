"""Weights as FINN's drivers hold them in memory and files. Runs in workers."""

from __future__ import annotations

from typing import Any

import numpy as np


def memory_of(instance: Any, weights: np.ndarray) -> np.ndarray:
    """What FINN puts into memory for weights [MW, MH], a row of values per word; instance: FINN's for their layer."""
    from finn.transformation.fpgadataflow.insert_iodma import InsertIODMA

    pe, simd = (instance.get_nodeattr(name) for name in ("PE", "SIMD"))
    return InsertIODMA().get_mem_init(weights, pe, simd)  # type: ignore[no-any-return]


def external_file(memory: np.ndarray, datatype: Any) -> np.ndarray:
    """The bytes (uint8) of the file with external weights. Raises ValueError where a line has no whole bytes."""
    from finn.util.data_packing import to_external_tensor

    return to_external_tensor(memory, datatype).astype(np.uint8)  # type: ignore[no-any-return]
