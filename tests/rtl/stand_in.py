"""A stand-in for a stitched design: one register for wide words, which does wrong what its memory image says.

FINN's layers keep the rules that it breaks, so they cannot show that breaking them is seen.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

import numpy as np

from finnyaml.rtl.design import FORMAT, TOP, Design, Stream

SHAPE = (3, 301)
WIDTH = 301 * 4 + 4
STUCK_AFTER = 7
"""Words."""


class Fault(IntEnum):
    """What goes wrong."""

    NONE = 0
    TAKES_VALID_BACK = 1
    CHANGES_ITS_WORD = 2
    GETS_STUCK = 3
    FAILS_A_CHECK = 4
    ENDS_THE_SIMULATION = 5


_SOURCE = f"""
module {TOP} (
	input logic ap_clk, input logic ap_rst_n,
	input logic [{WIDTH - 1}:0] s_axis_0_tdata, input logic s_axis_0_tvalid, output logic s_axis_0_tready,
	output logic [{WIDTH - 1}:0] m_axis_0_tdata, output logic m_axis_0_tvalid, input logic m_axis_0_tready
);
	logic [7:0]  fault[1];
	initial $readmemh("data/fault.dat", fault);

	int  words = 0;
	assign s_axis_0_tready = (!m_axis_0_tvalid || m_axis_0_tready)
		&& (fault[0] != {Fault.GETS_STUCK:d} || words < {STUCK_AFTER});
	always_ff @(posedge ap_clk) begin
		if(!ap_rst_n)  m_axis_0_tvalid <= 0;
		else if(s_axis_0_tready) begin
			m_axis_0_tvalid <= s_axis_0_tvalid;
			m_axis_0_tdata <= s_axis_0_tdata;
			if(s_axis_0_tvalid)  words <= words + 1;
		end
		else if(m_axis_0_tready)  m_axis_0_tvalid <= 0;
		else if(fault[0] == {Fault.TAKES_VALID_BACK:d})  m_axis_0_tvalid <= 0;
		else if(fault[0] == {Fault.CHANGES_ITS_WORD:d})  m_axis_0_tdata[{WIDTH - 10}] <= !m_axis_0_tdata[{WIDTH - 10}];
		if(words == 4) begin
			assert(fault[0] != {Fault.FAILS_A_CHECK:d}) else $error("%m: four words");
			if(fault[0] == {Fault.ENDS_THE_SIMULATION:d})  $finish;
		end
	end
endmodule
"""


def write(folder: Path, fault: Fault) -> Design:
    """Write its design folder. Words of 301 UINT4 go in, three per frame, and come out as they are."""
    (folder / "src").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "top.sv").write_text(_SOURCE)
    (folder / "data" / "fault.dat").write_text(f"{fault:x}\n")
    shapes = {"datatype": "UINT4", "shape": (1, *SHAPE), "folded": (1, *SHAPE), "width": WIDTH}
    design = Design(
        format=FORMAT,
        top=TOP,
        finn="finn-plus 1.6.1",
        part="xczu9eg-ffvb1156-2-e",
        clock_ns=5.0,
        sources=("top.sv",),
        data=("data/fault.dat",),
        input=Stream("s_axis_0", "x", producer=None, consumer="Register_0", **shapes),
        output=Stream("m_axis_0", "y", producer="Register_0", consumer=None, **shapes),
        edges=(),
        nodes=(),
        fifos=(),
        max_cycles=3,
        latency_cycles=4,
        device={},
    )
    design.save(folder)
    return design


def frames(count: int) -> np.ndarray:
    """Inputs [count, 3, 301]."""
    return np.random.default_rng(5).integers(0, 16, (count, *SHAPE))
