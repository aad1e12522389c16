"""fifo_dynamic.sv beside FINN's own fifo.sv: the same in every cycle, whatever the depth, the width and the style.

Beside both, fifo_dynamic.sv that only counts.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from finnyaml.finn.identity import distribution_of_finn, package_root
from finnyaml.rtl import overlay, timing, verilator
from finnyaml.rtl.depth_search import holds
from finnyaml.rtl.design import Fifo

CASES = [
    *[(depth, 8, "auto") for depth in (2, 6, 33, 257, 258, 514, 2029, 4200)],
    *[(300, 4, "auto"), (40, 8, "block"), (40, 8, "ultra"), (9000, 8, "ultra")],
]
"""Depth, data width, style: every backing of fifo.sv, and both sides of where it changes."""

PAIR = """
	if(1) begin : pair{index}
		logic irdy, irdy_, ovld, ovld_; logic [{width}-1:0] odat, odat_;
		logic [$clog2({depth}+1):0] count, maxcount; logic [31:0] count_, maxcount_;
		fifo #(.DEPTH({depth}), .DATA_WIDTH({width}), .RAM_STYLE("{style}")) theirs (
			.clk, .rst, .idat({width}'(data)), .ivld, .irdy, .odat, .ovld, .ordy, .count, .maxcount);
		fifo_dynamic #(.DEPTH(7), .DATA_WIDTH({width}), .RAM_STYLE("{style}")) ours_{depth} (
			.clk, .rst, .idat({width}'(data)), .ivld, .irdy(irdy_), .odat(odat_), .ovld(ovld_), .ordy,
			.count(count_), .maxcount(maxcount_));
		logic irdy2, ovld2; logic [31:0] count2, maxcount2;
		fifo_counting #(.DEPTH(7), .DATA_WIDTH({width}), .RAM_STYLE("{style}")) also_ours_{depth} (
			.clk, .rst, .idat({width}'(data)), .ivld, .irdy(irdy2), .odat(), .ovld(ovld2), .ordy,
			.count(count2), .maxcount(maxcount2));
		assign differs[{index}] = irdy != irdy_ || ovld != ovld_ || (ovld && odat != odat_)
			|| 32'(count) != count_ || 32'(maxcount) != maxcount_
			|| irdy2 != irdy_ || ovld2 != ovld_ || count2 != count_ || maxcount2 != maxcount_;
		assign fill[{index}] = 32'(maxcount);
	end
"""
TOP = """
module beside(
	input logic clk, input logic rst, input logic [15:0] data, input logic ivld, input logic ordy,
	output logic [{last}:0] differs, output logic [31:0] fill [{count}]
);
{pairs}
endmodule
"""
MAIN = """
#include "Vdesign.h"
#include "Vdesign__Dpi.h"
#include "verilated.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>

int finnyaml_fifo_depth(const char* path, int depth) { return std::atoi(std::strstr(path, "ours_") + 5); }
void finnyaml_fifo_level(const char*, int, int, int) {}
void vl_stop(const char* file, int line, const char*) { std::printf("stop %s %d\\n", file, line); std::exit(1); }
void vl_finish(const char* file, int line, const char*) { vl_stop(file, line, ""); }
void vl_fatal(const char* file, int line, const char*, const char*) { vl_stop(file, line, ""); }

int main() {
    Vdesign top;
    long differences[COUNT] = {}, ready = 50, valid = 50;
    auto cycle = [&] {
        top.clk = 0; top.eval();
        for (int i = 0; i < COUNT; ++i) differences[i] += top.differs >> i & 1;
        top.clk = 1; top.eval();
    };
    for (int i = 0; i < 80000; ++i) {
        // Phases of all mixtures of being offered and being asked, with full and empty FIFOs; some resets; then fill.
        if (i % 500 == 0) { ready = std::rand() % 5 * 25; valid = std::rand() % 5 * 25; }
        const bool filling = i >= 40000;
        top.rst = i < 10 || (i >= 40000 && i < 40005) || (i < 40000 && i % 9973 < 3);
        top.ivld = filling || std::rand() % 100 < valid;
        top.ordy = !filling && std::rand() % 100 < ready;
        top.data = std::rand();
        cycle();
    }
    for (int i = 0; i < COUNT; ++i) std::printf("differs %ld fill %u\\n", differences[i], top.fill[i]);
    top.final();
}
"""


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, int]]:
    """For each case: in how many cycles the two differ, and how much fits in."""
    folder = tmp_path_factory.mktemp("beside")
    cache = tmp_path_factory.getbasetemp() / "programs"  # shared by test modules
    root = package_root("finn")
    assert root is not None
    theirs = (root / "finn-rtllib/fifo/hdl/fifo.sv").read_text()
    finn = " ".join(distribution_of_finn())
    (folder / "fifo.sv").write_text(overlay.patched(theirs, overlay.FIFO, finn, finn))
    ours = verilator.DYNAMIC_FIFO.read_text()
    assert ours.count("module fifo ") == 1
    (folder / "ours.sv").write_text(ours.replace("module fifo ", "module fifo_dynamic ").replace(": fifo\n", "\n"))
    end = "endpackage : fifo_dynamic_pkg\n"
    counting = ours.replace("module fifo ", "module fifo_counting ").replace(": fifo\n", "\n")
    (folder / "counting.sv").write_text(timing.NO_DATA + counting[: ours.index("package ")] + counting.split(end)[1])
    pairs = [PAIR.format(index=i, depth=d, width=w, style=s) for i, (d, w, s) in enumerate(CASES)]
    count = len(CASES)
    (folder / "beside.sv").write_text(TOP.format(last=count - 1, count=count, pairs="".join(pairs)))
    (folder / "main.cpp").write_text(f"#define COUNT {count}\n{MAIN}")
    program = verilator.program(
        folder, ["fifo.sv", "ours.sv", "counting.sv", "beside.sv"], "beside", "main.cpp", cache, folder / "log"
    )
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    told = re.findall(r"^differs (\d+) fill (\d+)$", done.stdout, re.MULTILINE)
    return [(int(differences), int(fill)) for differences, fill in told]


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{d}x{w}-{s}" for d, w, s in CASES])
def test_it_does_what_fifo_sv_does_in_every_cycle(beside: list[tuple[int, int]], case: int) -> None:
    """And what it holds is known; FINN's data are whole bytes, so the rule for less than 5 bits never applies."""
    differing_cycles, held = beside[case]
    assert differing_cycles == 0
    depth, width, style = CASES[case]
    assert width < 5 or holds(Fifo("StreamingFIFO_rtl_0", 2, width, style, None, None), depth) == held


def test_what_minimal_fifos_hold_does_not_depend_on_the_depth() -> None:
    fifo = Fifo("StreamingFIFO_rtl_0", 2, 8, "auto", None, None)
    assert [holds(fifo, depth) for depth in range(2, 8)] == [5, 5, 5, 5, 6, 7]
