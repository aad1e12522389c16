"""The test bench of simulations: `main.cpp` drives any stitched design; what differs between designs is written here.

`fst/` holds what Verilator's waveform writer wants from lz4 and zlib, so that neither needs to be installed.
"""

from __future__ import annotations

from pathlib import Path

from finnyaml.rtl.design import Design

FOLDER = Path(__file__).parent
MAIN = FOLDER / "main.cpp"
TOP = "finnyaml_sim"
"""The module that is simulated: the design as `dut`, and what looks into it."""


def simulation_top(design: Design, *, edges: bool, dynamic_fifos: bool) -> str:
    """The SystemVerilog of `TOP`.

    At the end it reports the maximum fill of every FIFO and the state of every stream; nothing of that costs time in a
    cycle. With `edges` it also reports each word that passes on an inner stream. With `dynamic_fifos`, they report what
    they hold in cycles with `look`.
    """
    taken, given = design.input, design.output
    ports = [
        "input logic ap_clk",
        "input logic ap_rst_n",
        "input logic look",
        f"input logic [{taken.width - 1}:0] s_axis_0_tdata",
        "input logic s_axis_0_tvalid",
        "output logic s_axis_0_tready",
        f"output logic [{given.width - 1}:0] m_axis_0_tdata",
        "output logic m_axis_0_tvalid",
        "input logic m_axis_0_tready",
    ]
    lines = [
        f"module {TOP} (\n\t" + ",\n\t".join(ports) + "\n);",
        f"\t{design.top} dut (.*);",
        '\timport "DPI-C" function void finnyaml_fill(input string fifo, input int fill);',
        '\timport "DPI-C" function void finnyaml_end(input string stream, input bit valid, input bit ready);',
        "\tfinal begin",
        *(f'\t\tfinnyaml_fill("{fifo.node}", int\'(dut.{fifo.node}.maxcount));' for fifo in design.fifos),
        *(
            f'\t\tfinnyaml_end("{each.name}", {net}_tvalid, {net}_tready);'
            for each in (taken, *design.edges, given)
            for net in (f"dut.{each.name}" if each in design.edges else each.name,)
        ),
        "\tend",
    ]
    if dynamic_fifos:
        lines.append("\talways_comb  fifo_dynamic_pkg::look = look;")
    if edges:
        for width in edge_widths(design):
            word = f"input bit [{width - 1}:0] word"
            lines.append(f'\timport "DPI-C" function void finnyaml_beat_{width}(input int stream, {word});')
        lines.append("\talways_ff @(posedge ap_clk) if(ap_rst_n) begin")
        for index, edge in enumerate(design.edges):
            beat = f"finnyaml_beat_{edge.width}({index}, dut.{edge.name}_tdata)"
            lines.append(f"\t\tif(dut.{edge.name}_tvalid && dut.{edge.name}_tready)  {beat};")
        lines.append("\tend")
    return "\n".join([*lines, f"endmodule : {TOP}", ""])


def header(design: Design, *, edges: bool) -> str:
    """The `design.h` that main.cpp includes."""
    widths = " ".join(f"beat({width})" for width in edge_widths(design)) if edges else ""
    return (
        "#pragma once\n#include <cstddef>\n#include <cstdint>\n"
        f"constexpr std::size_t INPUT_BYTES = {design.input.width // 8}, OUTPUT_BYTES = {design.output.width // 8};\n"
        f"constexpr std::uint64_t INPUT_BEATS = {design.input.beats}, OUTPUT_BEATS = {design.output.beats};\n"
        f"constexpr std::uint64_t HALF_PERIOD_PS = {max(1, round(design.clock_ns * 500))};\n"
        f"constexpr int EDGES = {len(design.edges) if edges else 0};\n"
        f"#define FINNYAML_EDGE_WIDTHS(beat) {widths}\n"
    )


def edge_widths(design: Design) -> list[int]:
    """The widths that inner streams have, in bits."""
    return sorted({edge.width for edge in design.edges})
