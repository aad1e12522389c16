"""What Zynq and Alveo have in common: buffers, batches, weights."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ..contract import Bundle
from ..errors import AcceleratorError, check_open
from .hwh import Handoff
from .instrumentation import measure
from .weights import external_weights, runtime_weights

PATIENCE = 10.0
"""Seconds that an inference may take beyond ten times its estimate."""


class Transport(ABC):
    """A `Device` on top of a PYNQ overlay. The buffers are allocated once, for `batch` samples."""

    name: str
    cacheable: bool

    def __init__(
        self, bundle: Bundle, overlay: Any, batch: int, clock_mhz: float | None, handoff: Handoff | None = None
    ) -> None:
        """Find the DMA engines, allocate the buffers and load the weights.

        Raises AcceleratorError: "device" (the overlay has not what the bundle needs), "weights not loaded", "weights
        damaged".
        """
        self.clock_mhz = clock_mhz
        self.finished = 0  # samples, since the bitfile was loaded
        self._lock = threading.Lock()  # buffers and DMA engines are there once, whoever asks
        self._bundle = bundle
        self._overlay = overlay
        self._batch = batch
        self._handoff = handoff
        source, sink = bundle.accelerator_input, bundle.accelerator_output
        self._input_dma, self._output_dma = self.ip(source.name), self.ip(sink.name)
        self._input = self._allocate((batch, *source.packed[1:]))
        self._output = self._allocate((batch, *sink.packed[1:]))
        self._external = [self._place(entry, array) for entry, array in external_weights(bundle)]
        if self._write_weights():
            # The weight streamers have read ahead: what is still in their FIFOs are the weights from before.
            self.execute(np.zeros(self._input.shape, np.uint8))

    def execute(self, packed: np.ndarray) -> np.ndarray:
        """uint8 [n, *packed_in[1:]], any n, to uint8 [n, *packed_out[1:]].

        Threads that call it wait for each other, a batch at a time.
        Raises AcceleratorError: "device"; "closed".
        """
        results: np.ndarray = np.empty((len(packed), *self._bundle.accelerator_output.packed[1:]), np.uint8)
        for start in range(0, len(packed), self._batch):
            part = packed[start : start + self._batch]
            with self._lock:
                check_open(self._input is not None)
                self._input[: len(part)] = part
                self._input.flush()
                self._run(len(part))
                self._output.invalidate()
                results[start : start + len(part)] = self._output[: len(part)]
                self.finished += len(part)
        return results

    def instrumentation(self, seconds: float = 1.0) -> dict[str, Any]:
        """What FINN's instrumentation measures on random data in so many seconds; only where it was built in."""
        if not self._bundle.data["driver"]["instrumentation"]:
            raise AcceleratorError("this accelerator was built without instrumentation", name="not supported")
        with self._lock:
            return measure(self._overlay, self.ip("instrumentation_wrap_0"), self.clock_mhz, seconds)

    def close(self) -> None:
        """Free the buffers. The accelerator stays loaded."""
        with self._lock:
            self._external.clear()
            self._input = self._output = None

    def ip(self, name: str) -> Any:
        """A block of the overlay by name. Raises AcceleratorError: "device"; names the blocks that there are."""
        if name not in self._overlay.ip_dict:
            raise AcceleratorError(
                f"the overlay has no {name}, only {', '.join(sorted(self._overlay.ip_dict)) or 'nothing'}",
                name="device",
                hint="the bitfile is of another build, or its .hwh is: attach the pair again (finnyaml bundle attach)",
            )
        return getattr(self._overlay, name)

    def timeout(self, count: int) -> float:
        """Seconds to wait for so many samples."""
        estimated = (self._bundle.data["performance"] or {}).get("estimated") or {}
        fps = estimated.get("fps")
        return PATIENCE + (10 * count / fps if fps else 0.0)

    def unfinished(self, count: int, seconds: float, state: str) -> AcceleratorError:
        """The error for an output DMA that does not finish."""
        done = f"{self.finished} samples were done before" if self.finished else "nothing was done before"
        clock = f"{self.clock_mhz:g} MHz" if self.clock_mhz else "unknown"
        return AcceleratorError(
            f"output DMA {self._bundle.accelerator_output.name} did not finish {count} samples in {seconds:.0f} s "
            f"({state}; {done}; clock: {clock})",
            name="device",
            hint="if only the first inference works, FIFOs are too small (FINN: set_fifo_depths); if none does, the "
            "clock stands still, weights are missing, or the bitfile is of another board. Load it again before a retry",
        )

    @abstractmethod
    def _run(self, count: int) -> None:
        """Move so many samples through the accelerator, from the input buffer to the output buffer."""

    def _allocate(self, shape: tuple[int, ...]) -> Any:
        import pynq

        return pynq.allocate(shape, dtype=np.uint8, target=self._overlay.device, cacheable=self.cacheable)

    def _place(self, entry: dict[str, Any], array: np.ndarray) -> tuple[Any, Any, int]:
        """External weights in memory: their DMA engine, the buffer, how often it is read for one sample."""
        buffer = self._allocate(array.shape)
        buffer[:] = array
        buffer.flush()
        return self.ip(entry["dma"]), buffer, int(entry["repeats"])

    def _write_weights(self) -> int:
        """Write the runtime-writeable weights and read them back; how many layers have them."""
        layers = runtime_weights(self._bundle)
        for entry, words in layers:
            registers = self._registers(entry)
            if 4 * len(words) > registers.length:
                raise AcceleratorError(
                    f"{entry['file']} has {len(words)} words, {entry['ip']} takes {registers.length // 4}",
                    name="weights damaged",
                    hint="the weights are of another build than the bitfile",
                )
            registers.write(0, words.tobytes())
            # Word by word: device memory does not stand the wide accesses of a memcpy.
            written = np.array([registers.read(4 * index) for index in range(len(words))], np.uint32)
            wrong = np.flatnonzero(written != words)
            if len(wrong):
                raise AcceleratorError(
                    f"{entry['ip']} ({entry['layer']}) holds other weights than were written: {len(wrong)} of "
                    f"{len(words)} words, first word {wrong[0]}: "
                    f"0x{written[wrong[0]]:08x} instead of 0x{words[wrong[0]]:08x}",
                    name="weights damaged",
                    hint="is this the bitfile of this build, and does its clock run?",
                )
        return len(layers)

    def _registers(self, entry: dict[str, Any]) -> Any:
        """The memory of a layer's weights. A block with several such layers has an interface for each; PYNQ knows
        only one.
        """
        block = self.ip(entry["ip"])
        ranges = self._handoff.ranges[entry["ip"]] if self._handoff else ()
        if len(ranges) < 2:
            return block.mmio
        import pynq

        base, size = ranges[entry["layer_index"]]
        return pynq.MMIO(base, size, device=self._overlay.device)
