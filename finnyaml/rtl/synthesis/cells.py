"""Counts of Xilinx cells to resources."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from finnyaml.errors import StepFailed

RESOURCES = ("LUT", "LUTRAM", "FF", "CARRY4", "BRAM18", "URAM", "DSP")
"""What is counted. LUTRAM (memories, shift registers) is part of LUT. A CARRY8 is two CARRY4, a BRAM36 two BRAM18."""

_LUTS = {**{f"LUT{inputs}": 1 for inputs in range(1, 7)}, "LUT6_2": 1, "INV": 1}
_LUTRAMS = {
    **dict.fromkeys(("SRL16E", "SRLC16E", "SRLC32E", "RAM32X1S", "RAM64X1S"), 1),
    **dict.fromkeys(("RAM32X1D", "RAM64X1D", "RAM128X1S"), 2),
    **dict.fromkeys(("RAM32M", "RAM64M", "RAM128X1D", "RAM256X1S"), 4),
    **dict.fromkeys(("RAM32M16", "RAM64M8", "RAM256X1D", "RAM512X1S", "RAM32X16DR8", "RAM64X8SW"), 8),
}
_OTHERS = {
    **{f"RAMB18E{version}": ("BRAM18", 1) for version in (1, 2)},
    **{f"RAMB36E{version}": ("BRAM18", 2) for version in (1, 2)},
    **{f"DSP48E{version}": ("DSP", 1) for version in (1, 2)},
    "URAM288": ("URAM", 1),
    "CARRY4": ("CARRY4", 1),
    "CARRY8": ("CARRY4", 2),
}
_FLIP_FLOP = re.compile(r"FD[RSCP]E(_1)?")
_FREE = re.compile(r"MUXF[789]|GND|VCC|BUFG")
"""Part of the slices that the LUTs are in, or of the chip."""


def resources(cells: Mapping[str, int], module: str) -> dict[str, int]:
    """The resources that cells take, by type of cell. module: for messages.
    Raises StepFailed: a type that is none of the device's, so Yosys has not finished; the sum would be too low."""
    total: Counter[str] = Counter(dict.fromkeys(RESOURCES, 0))
    for name, count in cells.items():
        if name in _LUTS:
            total["LUT"] += count * _LUTS[name]
        elif name in _LUTRAMS:
            total["LUT"] += count * _LUTRAMS[name]
            total["LUTRAM"] += count * _LUTRAMS[name]
        elif name in _OTHERS:
            resource, each = _OTHERS[name]
            total[resource] += count * each
        elif _FLIP_FLOP.fullmatch(name):
            total["FF"] += count
        elif not _FREE.fullmatch(name):
            raise StepFailed(
                f"Yosys left {count} cells of type {name} in {module}, which are not counted as any resource",
                hint="so there is no estimate; please report the network that does this",
            )
    return dict(total)
