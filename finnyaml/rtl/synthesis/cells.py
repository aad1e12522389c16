"""Counts of Xilinx cells to resources."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from finnyaml.errors import StepFailed

RESOURCES = ("LUT", "LUTRAM", "FF", "CARRY4", "BRAM18", "URAM", "DSP")
"""What is counted. LUTRAM (memories, shift registers) is part of LUT. A CARRY8 is two CARRY4, a BRAM36 two BRAM18."""

_TAKES = {
    name: takes
    for names, takes in (
        ("LUT1 LUT2 LUT3 LUT4 LUT5 LUT6 LUT6_2 INV", {"LUT": 1}),
        ("SRL16E SRLC16E SRLC32E RAM32X1S RAM64X1S", {"LUT": 1, "LUTRAM": 1}),
        ("RAM32X1D RAM64X1D RAM128X1S", {"LUT": 2, "LUTRAM": 2}),
        ("RAM32M RAM64M RAM128X1D RAM256X1S", {"LUT": 4, "LUTRAM": 4}),
        ("RAM32M16 RAM64M8 RAM256X1D RAM512X1S RAM32X16DR8 RAM64X8SW", {"LUT": 8, "LUTRAM": 8}),
        ("FDRE FDSE FDCE FDPE FDRE_1 FDSE_1 FDCE_1 FDPE_1", {"FF": 1}),
        ("RAMB18E1 RAMB18E2", {"BRAM18": 1}),
        ("RAMB36E1 RAMB36E2", {"BRAM18": 2}),
        ("DSP48E1 DSP48E2", {"DSP": 1}),
        ("URAM288", {"URAM": 1}),
        ("CARRY4", {"CARRY4": 1}),
        ("CARRY8", {"CARRY4": 2}),
    )
    for name in names.split()
}
_FREE = re.compile(r"MUXF[789]|GND|VCC|BUFG")
"""Part of the slices that the LUTs are in, or of the chip."""


def resources(cells: Mapping[str, int], module: str) -> dict[str, int]:
    """The resources that cells take, by type of cell. module: for messages.

    Raises StepFailed: a type that is none of the device's, so Yosys has not finished; the sum would be too low.
    """
    total: Counter[str] = Counter(dict.fromkeys(RESOURCES, 0))
    for name, count in cells.items():
        if name not in _TAKES and not _FREE.fullmatch(name):
            raise StepFailed(
                f"Yosys left {count} cells of type {name} in {module}, which are not counted as any resource",
                hint="so there is no estimate; please report the network that does this",
            )
        for resource, each in _TAKES.get(name, {}).items():
            total[resource] += count * each
    return dict(total)
