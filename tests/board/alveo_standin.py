"""A software stand-in for an Alveo card, below PYNQ's `Device` interface.

Real: `pynq.Overlay`, `pynq.allocate`, `DefaultIP`, `MMIO` (register by register, as on these cards), and the driver
under test. Stood in, beyond what tests/board/standin.py says of itself: what PYNQ reads from an .xclbin (here a table
of kernels and one clock), and XRT's scheduler, which is what `start` and `wait` of a kernel are (PYNQ 4.0.0 has no such
thing any more; PYNQ 3.0 has).
"""

from __future__ import annotations

import struct
import threading
from types import SimpleNamespace
from typing import Any

from pynq.overlay import DefaultIP

from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.devices.bitfile import Xclbin, read_bitfile
from tests.board.standin import ADDRESS, ADDRESS_HIGH, CONTROL, COUNT, DONE, START, StandIn

KERNEL = "finn:standin:iodma:1.0"


class Kernel(DefaultIP):
    """A DMA engine as XRT presents it."""

    bindto = (KERNEL,)

    def start(self, buffer: Any, count: int) -> Handle:
        """Start it; returns at once."""
        for offset, value in (
            (ADDRESS, buffer.device_address & 0xFFFFFFFF),
            (ADDRESS_HIGH, buffer.device_address >> 32),
        ):
            self.write(offset, value)
        self.write(COUNT, count)
        self.write(CONTROL, START)
        return Handle(self)


class Handle:
    """What XRT returns for a kernel that was started."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def wait(self) -> None:
        """Without end, as XRT's."""
        while not self._kernel.read(CONTROL) & DONE:
            threading.Event().wait(0.01)


class AlveoStandIn(StandIn):
    """A card with the accelerator of a bundle in it."""

    def __init__(self, bundle: Bundle, **misbehaviour: bool) -> None:
        super().__init__(bundle, **misbehaviour)
        self.capabilities = {"REGISTER_RW": True, "CALLABLE": True}
        self._blocks: dict[int, Any] = {}

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        """What the parser of an .xclbin gives."""
        xclbin = read_bitfile(self.fabric.bundle.path(bitfile_name))
        assert isinstance(xclbin, Xclbin)
        ip_dict = {
            name: {
                "phys_addr": 0x180_0000 + 0x1_0000 * index,
                "addr_range": 0x1_0000,
                "type": KERNEL if "dma" in name else "finn:standin:partition:1.0",
                "fullpath": name,
                "registers": {},
            }
            for index, name in enumerate(xclbin.kernels)
        }
        names = ("gpio_dict", "interrupt_controllers", "interrupt_pins", "hierarchy_dict", "mem_dict", "systemgraph")
        empty: dict[str, Any] = {name: {} for name in names}
        return SimpleNamespace(**empty, ip_dict=ip_dict, clock_dict={"clock0": {"frequency": xclbin.clock_mhz}})

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Load an .xclbin."""
        self.fabric.loaded()
        places = {entry["phys_addr"]: (name, 0) for name, entry in parser.ip_dict.items()}
        fabric = self.fabric
        self._blocks = {
            base: fabric.behind.get(place) or fabric.engines.get(place[0]) for base, place in places.items()
        }
        self.post_download(bitstream, parser, self.name)

    def read_registers(self, address: int, length: int) -> bytes:
        """Words of a kernel."""
        block, offset = self._find(address)
        return b"".join(struct.pack("<I", block.read(offset + at)) for at in range(0, length, 4))

    def write_registers(self, address: int, data: bytes) -> None:
        """Set words of a kernel."""
        block, offset = self._find(address)
        for at in range(0, len(data), 4):
            block.write(offset + at, struct.unpack_from("<I", data, at)[0])

    def _find(self, address: int) -> tuple[Any, int]:
        base = address & ~0xFFFF
        return self._blocks[base], address - base
