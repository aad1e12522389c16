"""What of FINN's sources has to be written in another way before Yosys sees in it what Vivado does.

Only estimates are made from the result: neither simulation nor export use it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from finnyaml.rtl import overlay
from finnyaml.rtl.overlay import Patch, Patches, Replace

_SRL = "Yosys infers no shift registers that are read at any place"
_ROM = 'ram_style = RAM_STYLE == "distributed"? "logic" : RAM_STYLE *)'
"""What nothing writes to is not a LUT RAM for Yosys."""

AXILITE = Patch(
    "axilite.sv",
    "Yosys does not see that a port which is tied off never writes, so weights would not be constant",
    (
        Replace("uwire  snk_we = WAddr.vld && WData.vld && !WIssued;", "uwire  snk_we = 0;"),
        Replace("uwire  snk_re = !snk_we && RAddr.vld && !RLock && !RData.vld;", "uwire  snk_re = 0;"),
    ),
)
FIFO = Patch(
    "fifo.sv",
    _SRL,
    (
        Replace('(* SHREG_EXTRACT = "yes" *) dat_t  A[DEPTH_IMPL];', "uwire dat_t  tap;"),
        Replace(
            "\t\talways_ff @(posedge clk) begin\n\t\t\tif(push)  A <= { idat, A[0:DEPTH_IMPL-2] };\n\t\tend\n",
            "\t\tfinnyaml_srl #(.WIDTH(DATA_WIDTH), .DEPTH(DEPTH_IMPL)) srl (\n"
            "\t\t\t.clk, .push, .d(idat), .a(Ptr[$left(Ptr)-1:0]), .q(tap)\n\t\t);\n",
        ),
        Replace("B <= A[Ptr[$left(Ptr)-1:0]];", "B <= tap;"),
    ),
)
MEMSTREAM = Patch(
    "memstream.sv",
    _SRL,
    (
        Replace('(* SHREG_EXTRACT = "yes" *)\n\t\tdata_t  OSrl[FULL_CREDIT-1];', "uwire data_t  tap;"),
        Replace(
            "\t\talways_ff @(posedge clk) begin\n\t\t\tif(Rs3)  OSrl <= { Dat3, OSrl[0:FULL_CREDIT-3] };\n\t\tend\n",
            "\t\tfinnyaml_srl #(.WIDTH(WIDTH), .DEPTH(FULL_CREDIT-1)) srl (\n"
            "\t\t\t.clk, .push(Rs3), .d(Dat3), .a(OPtr[$clog2(FULL_CREDIT-1)-1:0]), .q(tap)\n\t\t);\n",
        ),
        Replace("ODat <= OSrl[OPtr];", "ODat <= tap;"),
        Replace("(* RAM_STYLE = RAM_STYLE *)", f"(* {_ROM}"),
    ),
)
MVU_AXI = Patch(
    "mvu_vvu_axi.sv",
    _SRL,
    (
        Replace('(* SHREG_EXTRACT = "YES" *)\n\t\toutput_t  OBuf[0:MAX_IN_FLIGHT];', "uwire output_t  tap;"),
        Replace(
            "\t\talways_ff @(posedge ap_clk) begin\n"
            "\t\t\tif(ovld)  OBuf <= { odat, OBuf[0:MAX_IN_FLIGHT-1] };\n\t\tend\n",
            "\t\tfinnyaml_srl #(.WIDTH($bits(output_t)), .DEPTH(MAX_IN_FLIGHT+1)) srl (\n"
            "\t\t\t.clk(ap_clk), .push(ovld), .d(odat), .a(OPtr[$left(OPtr)-1:0]), .q(tap)\n\t\t);\n",
        ),
        Replace("OReg <= OBuf[OPtr[$left(OPtr)-1:0]];", "OReg <= tap;"),
    ),
)
THRESHOLDING = Patch(
    "thresholding.sv",
    _SRL,
    (
        Replace(
            "logic        [PE-1 : 0][M-1 : 0]  ADat[A_DEPTH];",
            "uwire [PE-1:0][M-1:0]  tap;\n\t\tuwire [PE-1:0][M-1:0]  results;\n"
            "\t\tfor(genvar  pe = 0; pe < PE; pe++)  assign  results[pe] = pipe[pe][M].ptr[M-1:0];",
        ),
        Replace(
            "\t\t\t\tforeach(pipe[pe])  ADat[0][pe] <= pipe[pe][M].ptr;\n"
            "\t\t\t\tfor(int unsigned  i = 1; i < A_DEPTH; i++)  ADat[i] <= ADat[i-1];\n",
            "",
        ),
        Replace("BDat <= ADat[APtr];", "BDat <= tap;"),
        Replace('"TRUE" : "FALSE", RAM_STYLE = RAM_STYLE *)', f'"TRUE" : "FALSE", {_ROM}'),
        Replace(
            "\t\tassign\tovld = BVld;\n",
            "\t\tassign\tovld = BVld;\n"
            "\t\tfinnyaml_srl #(.WIDTH(PE*M), .DEPTH(A_DEPTH)) srl (\n"
            "\t\t\t.clk, .push(aload), .d(results), .a(APtr[$left(APtr)-1:0]), .q(tap)\n\t\t);\n",
        ),
    ),
)

PATCHES: Patches = {
    finn: (*patches, AXILITE, FIFO, MEMSTREAM, MVU_AXI, THRESHOLDING) for finn, patches in overlay.SYNTHESIS.items()
}

_DIRECTIVE = re.compile(r"^`default_nettype\b.*$", re.MULTILINE)
"""Yosys' front end reads all files as one; a directive at the start of one counts as inside of the module before."""
_ATTRIBUTES = re.compile(r"\(\*.*?\*\)", re.DOTALL)
_LEFT = re.compile(r'SHREG_EXTRACT\s*=\s*"yes"', re.IGNORECASE)


def finish(folder: Path, sources: tuple[str, ...]) -> Mapping[str, str]:
    """Change all sources of a patched copy: attributes that say how memories are built are spelt as Yosys does.

    sources: relative to the folder. Returns what is estimated too high, by the file that causes it.
    """
    notes = {}
    for source in sources:
        path = folder / source
        text = path.read_text(encoding="utf-8")
        changed = _ATTRIBUTES.sub(lambda found: re.sub(r"\bRAM_STYLE(?=\s*=[^=])", "ram_style", found.group()), text)
        changed = _DIRECTIVE.sub("", changed)
        if changed != text:
            path.write_text(changed, encoding="utf-8")
        if _LEFT.search(text):
            notes[path.name] = "its shift registers are counted as memory or flip-flops"
    return notes
