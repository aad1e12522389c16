"""Stand-ins for what Vivado writes: a .bit that has only a head and noise, and the .hwh of a design without logic."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.bundle.sample import read_json, write_json

BLOCKS = ("idma0", "odma0", "StreamingDataflowPartition_0")


def attach(folder: Path, *, hwh_mhz: float = 100.0) -> Path:
    """Put both into the bundle in `folder`; returns the path of the bitfile."""
    bitfile = folder / "bitfile/finn-accel.bit"
    bitfile.parent.mkdir()
    texts = ((b"a", b"top;UserID=0XFFFFFFFF"), (b"b", b"7z020clg400"), (b"c", b"2026/01/01"), (b"d", b"12:00:00"))
    head = b"\x00\x09\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\x00\x00\x01"
    for letter, text in texts:
        head += letter + struct.pack(">H", len(text) + 1) + text + b"\0"
    payload = bytes(range(256)) * 16
    bitfile.write_bytes(head + b"e" + struct.pack(">I", len(payload)) + payload)
    write_hwh(folder, hwh_mhz)
    data = read_json(folder)
    data["driver"].update(bitfile="bitfile/finn-accel.bit", hwh="bitfile/finn-accel.hwh")
    data["missing"] = []
    write_json(folder, data)
    return bitfile


def write_hwh(folder: Path, mhz: float) -> None:
    """The accelerator's blocks, their addresses, and the clock of the processing system that drives them."""
    modules = "".join(
        f'<MODULE INSTANCE="{name}" MODTYPE="{name}" VLNV="x"><PORTS>'
        f'<PORT NAME="ap_clk" CLKFREQUENCY="{int(mhz * 1e6)}">'
        '<CONNECTIONS><CONNECTION INSTANCE="ps" PORT="FCLK_CLK0"/></CONNECTIONS></PORT></PORTS></MODULE>'
        for name in BLOCKS
    )
    ranges = "".join(
        f'<MEMRANGE INSTANCE="{name}" SLAVEBUSINTERFACE="s_axi_control_0" BASEVALUE="{0x40000000 + 0x10000 * n:#x}" '
        f'HIGHVALUE="{0x4000FFFF + 0x10000 * n:#x}"/>'
        for n, name in enumerate(BLOCKS)
    )
    system = '<SYSTEMINFO ARCH="zynq" DEVICE="7z020" NAME="top" PACKAGE="clg400" SPEEDGRADE="-1"/>'
    processor = f'<MODULE INSTANCE="ps" MODTYPE="processing_system7" VLNV="x"><MEMORYMAP>{ranges}</MEMORYMAP></MODULE>'
    (folder / "bitfile/finn-accel.hwh").write_text(
        f"<EDKSYSTEM>{system}<MODULES>{modules}{processor}</MODULES></EDKSYSTEM>"
    )
