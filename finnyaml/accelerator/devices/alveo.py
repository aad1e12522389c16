"""Alveo: FINN's DMA engines, started as kernels by XRT."""

from __future__ import annotations

import threading
from typing import Any

from ..errors import AcceleratorError
from .transport import Transport


class Alveo(Transport):
    """The accelerator on an Alveo card. PYNQ 2.7 to 3.0: later versions have given up these cards."""

    name = "alveo"
    cacheable = False

    def ip(self, name: str) -> Any:
        """A kernel of the overlay by name."""
        kernel = super().ip(name)
        external = (entry["dma"] for entry in self._bundle.data["driver"]["external_weights"])
        engines = {self._bundle.accelerator_input.name, self._bundle.accelerator_output.name, *external}
        if name in engines and not hasattr(kernel, "start"):
            raise AcceleratorError(
                f"this version of PYNQ cannot start the kernel {name}",
                name="device",
                hint="install pynq 3.0.1 on this host",
            )
        return kernel

    def _run(self, count: int) -> None:
        handle = self._output_dma.start(self._output, count)
        for engine, buffer, repeats in self._external:
            engine.start(buffer, count * repeats)
        self._input_dma.start(self._input, count)
        # XRT's handles wait without end, so somebody else has to.
        failures: list[Exception] = []

        def wait() -> None:
            try:
                handle.wait()
            except Exception as error:  # reported by the thread that waits for this one
                failures.append(error)

        waiter = threading.Thread(target=wait, daemon=True)
        waiter.start()
        seconds = self.timeout(count)
        waiter.join(seconds)
        if waiter.is_alive():
            raise self.unfinished(count, seconds, "its kernel is still running")
        if failures:
            raise AcceleratorError(f"the output kernel failed: {failures[0]}", name="device") from failures[0]
