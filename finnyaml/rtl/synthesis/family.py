"""Which of Yosys' Xilinx families a part belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from finnyaml.errors import StepFailed


@dataclass(frozen=True)
class Family:
    """What `synth_xilinx -family` calls it, and what people do."""

    name: str
    title: str


SERIES_7 = Family("xc7", "7 series")
ULTRASCALE_PLUS = Family("xcup", "UltraScale+")

_PARTS = (
    (r"xc7[zakvs]", SERIES_7),
    (r"xczu\d|xc[akv]u\d+p|xck\d|xcu\d", ULTRASCALE_PLUS),
)
_VERSAL = r"xcv[cehmp]\d|xcv80"


def family_of(part: str) -> Family:
    """The family of a part, by its name: "xc7z020clg400-1" is 7 series.
    Raises StepFailed: Yosys has no cells for this part; nothing that it counts would be true."""
    for names, family in _PARTS:
        if re.match(names, part.lower()):
            return family
    if re.match(_VERSAL, part.lower()):
        why = f"{part} is a Versal part: Yosys has no library for its cells (LUTs with cascades, LOOKAHEAD8, DSP58)"
    else:
        why = f"{part} is not a part that finnyaml knows as 7 series or UltraScale+, for which Yosys has libraries"
    raise StepFailed(
        f"Yosys cannot estimate the resources of this design: {why}",
        hint="leave rtl.synthesize out of the recipe for this part (simulation and export work), or use Vivado for it",
    )
