"""What runs an accelerator: boards through PYNQ, FINN's own driver, the emulator. Each is a `Device`."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Device(Protocol):
    """Runs the accelerator on packed bytes. `clock_mhz`: None for a device that has no clock.

    Threads may share one: what there is only once (buffers, DMA engines) is locked in here.
    """

    name: str
    clock_mhz: float | None

    def execute(self, packed: np.ndarray) -> np.ndarray:
        """uint8 [n, *packed_in[1:]], n >= 1, to uint8 [n, *packed_out[1:]].

        The result is the caller's: later calls do not write to its memory.
        """
        ...

    def close(self) -> None:
        """Give the device back."""
        ...
