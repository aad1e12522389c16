"""Zynq and ZynqMP: FINN's DMA engines, driven through their registers."""

from __future__ import annotations

import time
from typing import Any

from ..errors import AcceleratorError
from .transport import Transport

# FINN's IODMA is an HLS kernel; these are its AXI-lite registers.
_CONTROL, _ADDRESS, _ADDRESS_HIGH, _COUNT = 0x00, 0x10, 0x14, 0x1C
_START, _DONE, _IDLE = 1, 2, 4


class Zynq(Transport):
    """The accelerator in the programmable logic of a Zynq or ZynqMP."""

    name = "zynq"
    cacheable = True

    def _run(self, count: int) -> None:
        engine = self._output_dma
        if not engine.read(_CONTROL) & _IDLE:
            raise AcceleratorError(
                f"output DMA {self._bundle.accelerator_output.name} is still busy with an earlier inference",
                name="device",
                hint="does another process use the accelerator? Otherwise load the bitfile again",
            )
        for weights_engine, buffer, repeats in self._external:
            _start(weights_engine, buffer, count * repeats)
        _start(engine, self._output, count)  # ready before the first output comes
        _start(self._input_dma, self._input, count)
        seconds = self.timeout(count)
        deadline = time.monotonic() + seconds
        while not engine.read(_CONTROL) & _DONE:  # reading clears it
            if time.monotonic() > deadline:
                busy = "still busy" if not self._input_dma.read(_CONTROL) & _IDLE else "finished"
                raise self.unfinished(count, seconds, f"input DMA {self._bundle.accelerator_input.name}: {busy}")


def _start(engine: Any, buffer: Any, count: int) -> None:
    address = int(buffer.device_address)
    engine.write(_ADDRESS, address & 0xFFFFFFFF)
    engine.write(_ADDRESS_HIGH, address >> 32)
    engine.write(_COUNT, count)
    engine.write(_CONTROL, _START)
