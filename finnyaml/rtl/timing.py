"""A design without its data: what is left is when words pass, for simulations that count cycles and nothing else.

In FINN's layers the handshakes do not depend on the values that pass: counters and queues decide when a word comes. So
what computes and keeps values can go, if only the registers that say when stay as they are. FIFOs give zeros
(sv/fifo_dynamic.sv), the patches here cut where a register of data feeds itself, and Verilator drops all that nothing
reads any more. That is most of a wide design.

What a patch leaves out is out of one known text of FINN's. Any other text stays as it is, whole: slower, never wrong.
"""

from __future__ import annotations

from finnyaml.rtl.overlay import SIMULATION, Move, Patch, Patches, Replace

NO_DATA = "`define FINNYAML_NO_DATA\n"
"""In front of sv/fifo_dynamic.sv."""

_WHY = "its values do not change when words pass"

_GCD = (
    "\tfunction int unsigned gcd(input int unsigned  a, input int unsigned  b);\n"
    "\t\treturn (b == 0)? a : gcd(b, a % b);\n"
    "\tendfunction\n"
    "\tlocalparam int unsigned  PART = gcd(IBITS, OBITS);\n"
)

_PATCHES = (
    Patch(
        "dwc_axi.sv",
        _WHY,
        (
            Replace(
                "\tvpc #(.W(1), .N(IBITS * OBITS), .PI(IBITS), .PO(OBITS)) core (\n",
                _GCD + "\tvpc #(.W(1), .N(IBITS * OBITS / PART), .PI(IBITS / PART), .PO(OBITS / PART)) core (\n",
            ),
            Replace(".idat(s_axis_tdata[IBITS-1:0])", ".idat('0)"),
            Replace(".odat(m_axis_tdata[OBITS-1:0])", ".odat()"),
        ),
        only="42f1594aad22a1ed1b20cf33975550c9c8f6d3759222a6e05cde535c2fbdeb23",
    ),
    Patch(
        "memstream.sv",
        _WHY,
        (
            Replace('\t\tif(INIT_FILE != "")  initial $readmemh(INIT_FILE, Mem);\n', ""),
            Replace("assign	config_q0   = Dat3;", "assign	config_q0   = '0;"),
            Replace("\t\t\tif(Rs3)  OSrl <= { Dat3, OSrl[0:FULL_CREDIT-3] };\n", ""),
        ),
        only="dca7be8a6315d0fd0f0af10970af320c0d01f8739404a75ffd66c431c6dc441f",
    ),
    Patch(
        "mvu.sv",
        _WHY,
        (
            Move(first="\t// Stages #1 - #3: DSP Lanes", last="\tend : genPipes\n"),
            Replace("assign	vld = L[PIPELINE_DEPTH];", "assign	vld = L[PIPELINE_DEPTH];\n\tassign	p = '0;"),
        ),
        only="4c6c11482fe3e8b569b6249469a302f9cb9bf89978d007ff1d0153511762b068",
    ),
    Patch(
        "mvu_vvu_8sx9_dsp58.sv",
        _WHY,
        (
            Move(first="//-------------------- Shift register for ZERO flag", last="\tend : genDSPPE\n"),
            Replace("assign vld = L[0];", "assign vld = L[0];\n\tassign p = '0;"),
        ),
        only="31174b1c5fd374c06ae31e64793064e3b3cba2f9a33a37e541f546f45cf45acc",
    ),
    Patch(
        "mvu_vvu_axi.sv",
        _WHY,
        (Replace("\t\t\tif(ovld)  OBuf <= { odat, OBuf[0:MAX_IN_FLIGHT-1] };\n", ""),),
        only="f4c91ae7cbb2887c92b034c2364481e9d40e31313bbd1aff82491c1350388dab",
    ),
    Patch(
        "swg_common.sv",
        _WHY,
        (
            Replace("        if (DEPTH > 1) Data[DEPTH-1:1] <= Data[DEPTH-2:0];\n", ""),
            Replace("        Data[0] <= shift_in;\n", ""),
        ),
        only="3dea68298aa7185bc7d71ed5bcf7b0b46fc24a61044f6b1adb39230054e3578b",
    ),
    Patch(
        "thresholding.sv",
        _WHY,
        (
            Replace("\t\t\t\tforeach(pipe[pe])  ADat[0][pe] <= pipe[pe][M].ptr;\n", ""),
            Replace("\t\t\t\tfor(int unsigned  i = 1; i < A_DEPTH; i++)  ADat[i] <= ADat[i-1];\n", ""),
        ),
        only="706ca3232e5daab15374b9645f4a3696bd39787e6578f2905aa697f059f57772",
    ),
    Patch(
        "thresholding_axi.sv",
        _WHY,
        (
            Replace(".K(WT), .N(N), .C(C), .PE(PE),", ".K(1), .N(N), .C(CF), .PE(1),"),
            Replace(".THRESHOLDS_PATH(THRESHOLDS_PATH), .USE_CONFIG(USE_AXILITE),", ".USE_CONFIG(0),"),
            Replace(".irdy, .ivld, .iset, .idat,", ".irdy, .ivld, .iset, .idat('0),"),
            Replace(".odat(m_axis_tdata[PE*O_BITS-1:0])", ".odat()"),
        ),
        only="72d8f3c70e701e50d4613c8cc5f0f9c3b9a618715d2fc5e2e84b9f80750391bc",
    ),
)

TIMING: Patches = {finn: (*patches, *_PATCHES) for finn, patches in SIMULATION.items()}
