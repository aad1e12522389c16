"""A software stand-in for the board, below PYNQ's `Device` interface.

Everything above is real: `pynq.Overlay` with PYNQ's own parser of the .hwh, `pynq.allocate`, `DefaultIP`, `MMIO`,
`pynq.ps.Clocks`, and the driver under test. What is stood in: loading (the .bit is only parsed, by PYNQ's parser),
memory with a cache in front (what nobody flushes does not arrive), the clock registers of the processor, FINN's DMA
engines register by register, the memory of runtime-writeable weights (zeros until somebody writes them; what the weight
streamers had read ahead is used once more), and for the accelerator the graph of the hardware layers.

What it does not show: timing, FIFO depths, AXI, cache lines, that Vivado builds what the graph says. Only a board does.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pynq.buffer import PynqBuffer
from pynq.pl_server.device import Device
from pynq.pl_server.embedded_device import parse_bit_header
from pynq.ps import Clocks
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser

from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.devices.hwh import read_hwh
from finnyaml.accelerator.graphs import Sessions, open_graph
from tests.board.files import INSTRUMENTATION_REGISTERS

MEMORY = 0x1_4000_0000  # above 4 GB: the upper half of an address counts
PAGE = 4096
CONTROL, ADDRESS, ADDRESS_HIGH, COUNT = 0x00, 0x10, 0x14, 0x1C
START, DONE, IDLE = 1, 2, 4
WEIGHT_WORDS = 1 << 16
INSTRUMENTATION = "instrumentation_wrap_0"

# A PLL at 1500 MHz (ZynqMP: 33.333 MHz * 90 / 2) or 1000 MHz (Zynq: 50 MHz * 20), and PL clocks divided by 30 from it.
CLOCK_REGISTERS: dict[int, dict[int, int]] = {
    0xFF5E_0000: {0x20: 90 << 8 | 1 << 16, **{0xC0 + 4 * n: 1 << 24 | 1 << 16 | 30 << 8 for n in range(4)}},
    0xFD1A_0000: {},
    0xF800_0000: {0x108: 20 << 12, **{0x170 + 16 * n: 1 << 20 | 30 << 8 for n in range(4)}},
}


class Registers(np.ndarray):
    """What PYNQ maps: words that somebody listens to. `block` is told of every read and write of a single word."""

    block: Any = None

    def __getitem__(self, index: Any) -> Any:
        if self.block is not None and isinstance(index, (int, np.integer)):
            return np.uint32(self.block.read(4 * int(index)))
        return super().__getitem__(index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.block is not None and isinstance(index, (int, np.integer)):
            self.block.write(4 * int(index), int(value))
        else:
            super().__setitem__(index, value)


@dataclass
class Engine:
    """FINN's IODMA: address, count, start, done (cleared by reading), idle."""

    name: str
    fabric: Fabric
    registers: dict[int, int] = field(default_factory=dict)
    busy: bool = False
    done: bool = False

    def read(self, offset: int) -> int:
        """A register."""
        if offset != CONTROL:
            return self.registers.get(offset, 0)
        status = (DONE if self.done else 0) | (0 if self.busy else IDLE)
        self.done = False
        return status

    def write(self, offset: int, value: int) -> None:
        """Set a register, or start."""
        if offset == CONTROL and value & START:
            self.busy, self.done = True, False
            self.fabric.started(self)
        else:
            self.registers[offset] = value

    @property
    def address(self) -> int:
        """Where in memory."""
        return self.registers.get(ADDRESS_HIGH, 0) << 32 | self.registers.get(ADDRESS, 0)

    @property
    def count(self) -> int:
        """How many samples."""
        return self.registers.get(COUNT, 0)


@dataclass
class WeightMemory:
    """The memory behind a layer's AXI-lite interface. `broken`: this word does not keep its lowest bit."""

    words: np.ndarray
    broken: int | None = None

    def read(self, offset: int) -> int:
        """A word."""
        return int(self.words[offset // 4])

    def write(self, offset: int, value: int) -> None:
        """Set a word."""
        self.words[offset // 4] = value & ~1 if offset // 4 == self.broken else value


class Counters:
    """FINN's instrumentation block: counts nothing, but only has figures after it was started."""

    figures: ClassVar[dict[str, int]] = {"min_latency": 900, "latency": 1000, "interval": 500, "checksum": 0x123456}

    def __init__(self) -> None:
        self.running = False

    def read(self, offset: int) -> int:
        """A counter."""
        name = {where: name for name, where in INSTRUMENTATION_REGISTERS.items()}[offset]
        return self.figures.get(name, 0) if self.running else 0

    def write(self, offset: int, value: int) -> None:
        """Start or stop."""
        if offset == INSTRUMENTATION_REGISTERS["cfg"]:
            self.running = bool(value & 1)


@dataclass
class Fabric:
    """The programmable logic after loading: the DMA engines, the weights, the accelerator.

    `never_finish` and `only_first` (later results are those of the sample before) make it misbehave.
    """

    bundle: Bundle
    memory: Memory
    never_finish: bool = False
    only_first: bool = False
    order: list[str] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.graph = open_graph(self.bundle.data["contract"]["hardware"], self.bundle)
        self.source, self.sink = self.bundle.accelerator_input, self.bundle.accelerator_output
        driver = self.bundle.data["driver"]
        self.external = {entry["dma"]: entry for entry in driver["external_weights"]}
        self.loaded()

    def started(self, engine: Engine) -> None:
        """Run as soon as all engines do, and with counts that fit; otherwise they wait for each other, without end."""
        self.order.append(engine.name)
        count = self.engines[self.sink.name].count
        wanted = {name: count * int(entry["repeats"]) for name, entry in self.external.items()}
        wanted |= {self.source.name: count, self.sink.name: count}
        fits = all(e.busy and e.count == wanted[name] for name, e in self.engines.items())
        if fits and count and not self.never_finish:
            self._run(count)
            for each in self.engines.values():
                each.busy, each.done = False, True
            self.moved.append(count)

    def loaded(self) -> None:
        """As after loading a bitfile: idle, and all weights zero."""
        layers = {
            entry["layer"]: (entry["ip"], entry["layer_index"])
            for entry in self.bundle.data["driver"]["runtime_weights"]
        }
        self.weights = {layer: WeightMemory(np.zeros(WEIGHT_WORDS, np.uint32)) for layer in layers}
        self.behind: dict[tuple[str, int], Any] = {place: self.weights[layer] for layer, place in layers.items()}
        self.behind[INSTRUMENTATION, 0] = Counters()
        self.behind["axi_gpio_0", 0] = self.gpio = WeightMemory(np.zeros(PAGE // 4, np.uint32))
        self.streamed = {layer: memory.words.tobytes() for layer, memory in self.weights.items()}
        self.engines = {name: Engine(name, self) for name in (self.source.name, self.sink.name, *self.external)}
        self.left: np.ndarray | None = None

    def _run(self, count: int) -> None:
        """The first sample still sees the weights that the streamers had read ahead."""
        source, sink = self.engines[self.source.name], self.engines[self.sink.name]
        shape = (count, *self.source.packed[1:])
        values = self.source.unpack(self.memory.read(source.address, int(np.prod(shape))).reshape(shape))
        now = {layer: memory.words.tobytes() for layer, memory in self.weights.items()}
        for name, entry in self.external.items():
            size = int(np.prod(np.load(self.bundle.path(entry["file"])).shape))
            now[entry["layer"]] = self.memory.read(self.engines[name].address, size).tobytes()
        before, self.streamed = {**now, **self.streamed}, {layer: now[layer] for layer in self.weights}
        first = self._compute(values[:1], before)
        results = np.concatenate([first, self._compute(values[1:], now)]) if count > 1 else first
        if self.only_first:  # one result too many stays in a FIFO, and every later one comes late
            late = results if self.left is None else np.concatenate([self.left, results])
            results, self.left = late[:count], late[-1:]
        self.memory.write(sink.address, self.sink.pack(results).reshape(-1))

    def _compute(self, values: np.ndarray, weights: dict[str, bytes]) -> np.ndarray:
        if isinstance(self.graph, Sessions):
            for layer, raw in weights.items():
                self.graph.set_weights(layer, raw)
        return self.graph(values)


class Memory:
    """The board's memory: what is flushed is in it, what is invalidated comes from it."""

    def __init__(self) -> None:
        self.regions: dict[int, np.ndarray] = {}
        self.free = MEMORY

    def allocate(self, size: int) -> int:
        """The address of a new region, full of garbage."""
        address = self.free
        self.regions[address] = np.full(size, 0xA5, np.uint8)
        self.free += -(-size // PAGE) * PAGE + PAGE
        return address

    def find(self, address: int, size: int) -> np.ndarray:
        """The bytes at an address, as a view."""
        for start, region in self.regions.items():
            if start <= address and address + size <= start + len(region):
                return region[address - start :][:size]
        raise RuntimeError(f"the DMA leaves the memory it was given: {size} bytes at 0x{address:x}")

    def read(self, address: int, size: int) -> np.ndarray:
        """A copy of the bytes at an address."""
        return self.find(address, size).copy()

    def write(self, address: int, data: np.ndarray) -> None:
        """Put bytes at an address."""
        self.find(address, len(data))[:] = data


class StandIn(Device):
    """A `pynq.Device` with the accelerator of a bundle in it."""

    def __init__(self, bundle: Bundle, **misbehaviour: bool) -> None:
        super().__init__("stand-in")
        self.capabilities = {"MEMORY_MAPPED": True}
        self.arch = "armv7l" if bundle.data["target"]["part"].startswith("xc7") else "aarch64"
        self.name = "stand-in"
        self.memory = Memory()
        self.fabric = Fabric(bundle, self.memory, **misbehaviour)
        self.broken_word: int | None = None  # of every weight memory
        self._processor = {base: self._clock_registers(base) for base in CLOCK_REGISTERS}
        # PYNQ keeps the clocks of the first device it sees for the life of the process; on a board there is no other.
        if "_real_instance" in vars(Clocks):
            del Clocks._real_instance

    @staticmethod
    def _clock_registers(base: int) -> np.ndarray:
        words = np.zeros(0x200 // 4, np.uint32)
        for offset, value in CLOCK_REGISTERS[base].items():
            words[offset // 4] = value
        return words

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
        """The .hwh beside the bitfile, as PYNQ reads it."""
        return RuntimeMetadataParser(Metadata(input=Path(bitfile_name).with_suffix(".hwh")))

    def download(self, bitstream: Any, parser: Any = None) -> None:
        """Load a bitfile: all weights are zero again."""
        parse_bit_header(Path(bitstream.bitfile_name).read_bytes())
        self.fabric.loaded()
        for memory in self.fabric.weights.values():
            memory.broken = self.broken_word
        self.post_download(bitstream, parser, self.name)

    def allocate(self, shape: Any, dtype: Any, **_: Any) -> PynqBuffer:
        """Memory that a DMA engine can reach; the array itself is the processor's cache of it."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = self.memory.allocate(size)
        return PynqBuffer(
            shape, dtype, device=self, device_address=address, bo=address, coherent=False, buffer=bytearray(size)
        )

    def flush(self, bo: int, offset: int, vaddr: int, nbytes: int) -> None:
        """From the cache to memory."""
        self.memory.write(bo + offset, self._cached(vaddr, nbytes))

    def invalidate(self, bo: int, offset: int, vaddr: int, nbytes: int) -> None:
        """From memory to the cache."""
        self._cached(vaddr, nbytes)[:] = self.memory.read(bo + offset, nbytes)

    @staticmethod
    def _cached(vaddr: int, nbytes: int) -> np.ndarray:
        return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(vaddr))

    def mmap(self, base_addr: int, length: int) -> np.ndarray:
        """The registers at an address: the processor's, or a block of the loaded design."""
        if base_addr in self._processor:
            return self._processor[base_addr]
        place = self._block_at(base_addr)
        block = self.fabric.behind.get(place) or self.fabric.engines.get(place[0])
        words = getattr(block, "words", np.zeros(length // 4, np.uint32)).view(Registers)
        words.block = block
        return words

    def _block_at(self, address: int) -> tuple[str, int]:
        """The block with registers at this address, and which of its interfaces it is."""
        handoff = read_hwh(Path(self.bitfile_name).with_suffix(".hwh"))
        for name, ranges in handoff.ranges.items():
            for index, (base, _) in enumerate(ranges):
                if base == address:
                    return name, index
        raise RuntimeError(f"bus error at 0x{address:x}")
