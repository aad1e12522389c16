"""Images in, outputs out."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Iterator

import numpy as np

from .checks.check import check_images
from .contract import Bundle
from .devices import Device
from .devices.emulator import Emulator
from .errors import AcceleratorError, damaged
from .graphs import Graph, open_graph


class Accelerator:
    """The accelerator of a bundle with all that belongs around it.

    `predict` takes what the contract of the input says (see README.md of the bundle) and returns what that of the
    output says. It is `head`, `run` and `tail` one after the other, in batches: what the host does before, the
    accelerator itself, what the host does after.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        emulate: bool = False,
        driver: str = "pynq",
        batch: int = 256,
        device: Device | None = None,
        changed_bitfile: bool = False,
    ) -> None:
        """Open the bundle in `folder` (by default the one that this package lies in) and its device.

        `emulate` takes the graph of the hardware layers for the accelerator. Otherwise `driver` drives the board:
        "pynq" is this package itself, "finn" the driver that FINN made. `batch` is how many samples the accelerator
        is given at a time. A `device` that is open already is used as it is. `changed_bitfile` drives a bitfile or a
        .hwh that is not the one of this bundle: outputs may be wrong, and DMA engines may overwrite memory of others.

        Threads may share one accelerator; what is there only once is locked in the device.

        Raises:
            AcceleratorError: the bundle is not complete, or the device cannot be opened.
        """
        if batch < 1:
            raise ValueError(f"a batch of {batch} samples")
        self.bundle = Bundle.load(folder)
        self._batch = batch
        contract = self.bundle.data["contract"]
        self._head: Graph = open_graph(contract["head"], self.bundle)
        self._tail: Graph = open_graph(contract["tail"], self.bundle)
        if device is None:
            device = _open(self.bundle, emulate, driver, batch, changed_bitfile)
        self.device: Device = device

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Images [n, *input.shape] of the input's dtype to outputs [n, *output.shape] of the output's dtype; any n.

        Raises:
            AcceleratorError: the images are not what the contract says, or the device failed.
        """
        images = check_images(images, self.bundle)
        outputs = [self.tail(self.run(self.head(images[batch]))) for batch in self._batches(len(images))]
        wanted = self.bundle.output
        return _joined(outputs, wanted.shape, wanted.dtype)

    def head(self, images: np.ndarray) -> np.ndarray:
        """What the host does before: images [n, *input.shape] to values at the accelerator's boundary."""
        return _shaped(self._head(images), self.bundle.accelerator_input.normal[1:], "head")

    def run(self, values: np.ndarray) -> np.ndarray:
        """The accelerator itself, in batches: values [n, *accelerator_input.normal[1:]] to those of its output."""
        output = self.bundle.accelerator_output
        results = [self._execute(values[batch]) for batch in self._batches(len(values))]
        return _joined(results, output.normal[1:], output.datatype.numpy)

    def tail(self, values: np.ndarray) -> np.ndarray:
        """What the host does after: values at the accelerator's boundary to outputs [n, *output.shape]."""
        wanted = self.bundle.output
        return _shaped(self._tail(values), wanted.shape, "tail").astype(wanted.dtype, copy=False)

    def close(self) -> None:
        """Give the device back."""
        self.device.close()

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _batches(self, samples: int) -> Iterator[slice]:
        return (slice(start, start + self._batch) for start in range(0, samples, self._batch))

    def _execute(self, values: np.ndarray) -> np.ndarray:
        packed = self.device.execute(self.bundle.accelerator_input.pack(values))
        if len(packed) != len(values):
            raise AcceleratorError(f"{len(values)} samples in, {len(packed)} out of {self.device.name}", name="device")
        return self.bundle.accelerator_output.unpack(packed)


def _open(bundle: Bundle, emulate: bool, driver: str, batch: int, changed: bool) -> Device:
    if emulate:
        return Emulator(bundle)
    if driver == "pynq":
        from .devices.board import open_board

        return open_board(bundle, batch, changed=changed)
    if driver == "finn":
        from .devices.finn_driver import open_driver

        return open_driver(bundle, batch, changed=changed)
    raise ValueError(f"driver '{driver}': there are 'pynq' and 'finn'")


def _joined(parts: list[np.ndarray], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """All parts [n, *shape] in one; also of none."""
    joined: np.ndarray = np.concatenate(parts) if parts else np.empty((0, *shape), dtype)
    return joined


def _shaped(values: np.ndarray, shape: tuple[int, ...], graph: str) -> np.ndarray:
    if values.shape[1:] != shape:
        wanted = ", ".join(["n", *map(str, shape)])
        raise damaged(f"the {graph} graph returned shape {list(values.shape)}, not [{wanted}]")
    return values
