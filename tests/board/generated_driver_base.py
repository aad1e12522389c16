"""A stand-in for the driver_base.py that FINN (not finn-plus) generates: its class and the methods that others use.

Written for these tests after the interface of FINN's; the real one also packs and unpacks, which nobody needs who hands
over bytes.
"""

import os

import numpy as np
from pynq import Overlay, allocate
from pynq.ps import Clocks


class FINNExampleOverlay(Overlay):
    """FINN's constructor and the methods on packed buffers."""

    def __init__(
        self,
        bitfile_name,
        platform,
        io_shape_dict,
        batch_size=1,
        fclk_mhz=100.0,
        device=None,
        download=True,
        runtime_weight_dir="runtime_weights/",
    ):
        super().__init__(bitfile_name, download=download, device=device)
        self.platform = platform
        self.shapes = io_shape_dict
        self.batch_size = batch_size
        self.idma = [getattr(self, name) for name in io_shape_dict["input_dma_name"]]
        self.odma = [getattr(self, name) for name in io_shape_dict["output_dma_name"]]
        if fclk_mhz > 0:
            Clocks.fclk0_mhz = fclk_mhz
        self.load_runtime_weights(runtime_weight_dir)

    def load_runtime_weights(self, folder):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            with open(os.path.join(folder, name)) as file:
                words = np.array([int(word, 16) for word in file.read().split()], np.uint32)
            mmio = getattr(self, "StreamingDataflowPartition_" + name.split("_")[0]).mmio
            mmio.write_mm(0, words.tobytes())
            assert (np.copy(mmio.array[: len(words)]) == words).all()
        self.execute_on_buffers()

    @property
    def batch_size(self):
        return self._batch_size

    @batch_size.setter
    def batch_size(self, value):
        self._batch_size = value
        sizes = [[(value, *shape[1:]) for shape in self.shapes[f"{letter}shape_packed"]] for letter in "io"]
        kind = {"dtype": np.uint8, "cacheable": True, "target": self.device}
        self.ibuf_packed_device = [allocate(shape=size, **kind) for size in sizes[0]]
        self.obuf_packed_device = [allocate(shape=size, **kind) for size in sizes[1]]
        self.obuf_packed = [np.empty_like(buffer) for buffer in self.obuf_packed_device]

    def copy_input_data_to_device(self, data, ind=0):
        np.copyto(self.ibuf_packed_device[ind], data)
        self.ibuf_packed_device[ind].flush()

    def copy_output_data_from_device(self, data, ind=0):
        self.obuf_packed_device[ind].invalidate()
        np.copyto(data, self.obuf_packed_device[ind])

    def execute_on_buffers(self, asynch=False, batch_size=None):
        count = self.batch_size if batch_size is None else batch_size
        assert count <= self.batch_size
        assert self.odma[0].read(0) & 4
        for engine, buffer in ((self.odma[0], self.obuf_packed_device[0]), (self.idma[0], self.ibuf_packed_device[0])):
            engine.write(0x10, buffer.device_address & 0xFFFFFFFF)
            engine.write(0x14, buffer.device_address >> 32)
            engine.write(0x1C, count)
            engine.write(0x00, 1)
        while not asynch and not self.odma[0].read(0) & 2:
            pass
