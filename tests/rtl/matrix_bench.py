"""FINN's matrix unit by itself: many shapes in one Verilator program, with sources and sinks that stall at random.

Activations and weights are hashes of their place, so every result is known without data that would have to be stored.
Of each shape there are two units, one with FINN's source as it is, one with the source that finnyaml makes of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from finnyaml.finn.identity import distribution_of_finn, package_root
from finnyaml.rtl import overlay, verilator

UNIT = "mvu_vvu_axi.sv"
CYCLES = 8000
_FILES = ("mvu_pkg.sv", "add_multi.sv", "replay_buffer.sv", "mvu.sv", "mvu_vvu_8sx9_dsp58.sv")

_CASE, _MAIN = (Path(__file__).with_name(name) for name in ("matrix_case.sv", "matrix_main.cpp"))


@dataclass(frozen=True)
class Shape:
    """Parameters of the unit, by FINN's names. version: of the DSP slice, 3 for Versal."""

    mw: int
    mh: int
    pe: int
    simd: int
    version: int = 2
    is_mvu: bool = True
    segmentlen: int = 0
    activation_width: int = 4
    weight_width: int = 4
    signed_activations: bool = False
    narrow_weights: bool = False


@dataclass(frozen=True)
class Ran:
    """Results that a unit gave, and how many values in them were wrong. quick: the results in those cycles without
    stalls, of the second unit.
    """

    given: int
    wrong: int
    quick: int = 0


def theirs(name: str) -> str:
    """A source of the installed FINN's matrix unit."""
    root = package_root("finn")
    assert root is not None
    return (root / "finn-rtllib/mvu" / name).read_text(encoding="utf-8")


def run(shapes: Sequence[Shape], folder: Path, cache: Path, cycles: int = CYCLES) -> list[tuple[Ran, Ran]]:
    """For each shape FINN's own unit, and ours, through eight mixtures of stalls."""
    finn = " ".join(distribution_of_finn())
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*_FILES, UNIT):
        text = theirs(name)
        made = overlay.patched_source(name, text, finn, overlay.SIMULATION)
        if name == UNIT:
            (folder / "theirs.sv").write_text(re.sub(r"\bmvu_vvu_axi\b", "theirs", text), encoding="utf-8")
            (folder / "ours.sv").write_text(re.sub(r"\bmvu_vvu_axi\b", "ours", made), encoding="utf-8")
        else:
            (folder / name).write_text(made, encoding="utf-8")
    parts = []
    for index, shape in enumerate(shapes):
        parameters = ", ".join(f".{name.upper()}({int(value)})" for name, value in asdict(shape).items())
        ports = f".clk, .rst_n, .stall_in, .stall_out, .given(given[{index}]), .wrong(wrong[{index}])"
        parts.append(f"\tmatrix_case #({parameters}) case{index} ({ports});\n")
    ports = ", ".join(f"output logic [31:0] {name} [{len(shapes)}][2]" for name in ("given", "wrong"))
    inputs = "input logic clk, input logic rst_n, input logic [6:0] stall_in, input logic [6:0] stall_out"
    (folder / "top.sv").write_text(f"module top ({inputs}, {ports});\n{''.join(parts)}endmodule\n")
    (folder / "main.cpp").write_text(f"#define CASES {len(shapes)}\n#define CYCLES {cycles}\n{_MAIN.read_text()}")
    shutil.copy(_CASE, folder)
    program = verilator.program(
        folder, [*_FILES, "theirs.sv", "ours.sv", _CASE.name, "top.sv"], "top", "main.cpp", cache, folder / "log"
    )
    told = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, row)) for row in re.findall(r"^(\d+) (\d+) (\d+) (\d+) (\d+)$", told, re.MULTILINE)]
    return [(Ran(*row[:2]), Ran(*row[2:])) for row in rows]
