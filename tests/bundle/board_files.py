"""Stand-ins for what Vivado writes, in a bundle: a .bit and a .hwh with no design in them (see `tests.board.files`)."""

from __future__ import annotations

from pathlib import Path

from tests.board.files import blocks_of, write_bit
from tests.board.files import write_hwh as write_handoff
from tests.bundle.sample import read_json, write_json


def attach(folder: Path, *, hwh_mhz: float = 100.0) -> Path:
    """Put both into the bundle in `folder`; returns the path of the bitfile."""
    bitfile = folder / "bitfile/finn-accel.bit"
    bitfile.parent.mkdir()
    data = read_json(folder)
    write_bit(bitfile, data["target"]["part"])
    write_hwh(folder, hwh_mhz)
    data["driver"].update(bitfile="bitfile/finn-accel.bit", hwh="bitfile/finn-accel.hwh")
    data["missing"] = []
    write_json(folder, data)
    return bitfile


def write_hwh(folder: Path, mhz: float) -> None:
    """The accelerator's blocks, their addresses, and the clock of the processing system that drives them."""
    data = read_json(folder)
    blocks = blocks_of(data)
    write_handoff(folder / "bitfile/finn-accel.hwh", data["target"]["part"], blocks, mhz, wizard=False)
