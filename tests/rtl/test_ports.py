"""Ports of modules, as elaboration gives them: from real Verilog in the style of FINN's wrappers."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.errors import StepFailed
from finnyaml.rtl.block_design import Cell
from finnyaml.rtl.ports import Port, ports

LATE = """\
module late (input ap_clk, input [W-1:0] in0_V_TDATA, output reg signed [PADDED-1:0] out0_V_TDATA);
parameter W = 8;
parameter PADDED = (W + 7) / 8 * 8;
endmodule
"""
BODY = """\
package sizes_pkg;
  function automatic int unsigned padded(int unsigned bits); return (bits + 7) / 8 * 8; endfunction
endpackage
module body #(parameter N = 3, localparam int unsigned B = N > 2? $clog2(N) : 1, parameter NAME = "x") (
  input wire [sizes_pkg::padded(B) - 1:0] a, output logic [0:0] one, output logic [1:0][N-1:0] two
);
  DSP48E2 #(.AMULTSEL("AD")) dsp (.CLK(undeclared_clock));
  if (N > 1) begin
    function automatic int unsigned f(); f = nothing_of_this_name; endfunction
    localparam X = f();
  end
endmodule
"""
BAD = """\
module missing_width (input [UNKNOWN-1:0] a); endmodule
module real_port (input real a); endmodule
module both_ways (inout a); endmodule
module negative #(parameter N = 4) (input [(N > 4? 1 : "x")-1:0] a); unknown_pkg::t b; endmodule
"""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = []
    for name, text in (("late.v", LATE), ("body.sv", BODY), ("bad.sv", BAD)):
        (tmp_path / name).write_text(text)
        found.append(tmp_path / name)
    return found


def test_parameters_may_be_declared_after_their_use(files: list[Path]) -> None:
    found = ports([Cell("a", "late", {}), Cell("b/c", "late", {"W": "12"})], files)
    names = ("ap_clk", "in0_V_TDATA", "out0_V_TDATA")
    assert found["a"] == dict(zip(names, (Port("input", 1), Port("input", 8), Port("output", 8)), strict=True))
    assert found["b/c"] == dict(zip(names, (Port("input", 1), Port("input", 12), Port("output", 16)), strict=True))


def test_errors_inside_of_a_module_leave_its_ports_right(files: list[Path]) -> None:
    found = ports([Cell("a", "body", {"N": "600", "NAME": '"two words"'})], files)
    assert found["a"] == {"a": Port("input", 16), "one": Port("output", 1), "two": Port("output", 1200)}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Cell("Node_3", "missing_width", {}), "Node_3: the width of a of module missing_width"),
        (Cell("Node_3", "real_port", {}), "Node_3: the width of a of module real_port"),
        (Cell("Node_3", "both_ways", {}), "Node_3: a of module both_ways is neither"),
        (Cell("Node_3", "nowhere", {}), "Node_3 is an instance of nowhere, which no source defines"),
        (Cell("Node_3", "late", {"V": "1"}), "Node_3: the module late has no parameter V"),
    ],
)
def test_what_cannot_be_found_is_refused(files: list[Path], cell: Cell, message: str) -> None:
    with pytest.raises(StepFailed, match=message):
        ports([cell], files)
