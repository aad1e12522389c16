"""The SystemVerilog of a block design, elaborated by slang: who is connected to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from finnyaml.errors import StepFailed
from finnyaml.rtl.block_design import BlockDesign, Cell, Pin
from finnyaml.rtl.netlist import Netlist, netlist, wrapper
from finnyaml.rtl.ports import Port

CLOCK = {"ap_clk": Port("input", 1), "ap_rst_n": Port("input", 1)}


def stream(name: str, width: int, *, driven: bool, lower: bool = False) -> dict[str, Port]:
    there, back = ("output", "input") if driven else ("input", "output")
    found = {"TDATA": Port(there, width), "TVALID": Port(there, 1), "TREADY": Port(back, 1)}
    return {f"{name}_{signal.lower() if lower else signal}": port for signal, port in found.items()}


def pin(path: str) -> Pin:
    cell, _, name = path.rpartition("/")
    return Pin(cell, name)


def pins(*groups: str) -> tuple[tuple[Pin, ...], ...]:
    return tuple(tuple(pin(path) for path in group.split()) for group in groups)


# F (a FIFO) -> M (a hierarchy of a core and of the memory that feeds it)
DESIGN = BlockDesign(
    files=(),
    cells=(Cell("F", "fifo_f", {}), Cell("M/M", "core", {"N": "3"}), Cell("M/M_mem", "memory", {})),
    nets=pins(
        "ap_clk F/ap_clk M/ap_clk M/M/ap_clk M/M/ap_clk2x M/M_mem/ap_clk",
        "ap_rst_n F/ap_rst_n M/ap_rst_n M/M/ap_rst_n M/M_mem/ap_rst_n",
    ),
    interfaces=pins(
        "s_axis_0 F/in0_V",
        "F/out0_V M/in0_V M/M/in0_V",
        "M/M_mem/m_axis_0 M/M/in1_V",
        "M/out0_V M/M/out0_V m_axis_0",
    ),
)
PORTS: dict[str, dict[str, Port]] = {
    "F": {
        **CLOCK,
        **stream("in0_V", 8, driven=False),
        **stream("out0_V", 8, driven=True),
        "count": Port("output", 32),
        "maxcount": Port("output", 32),
    },
    "M/M": {
        **CLOCK,
        "ap_clk2x": Port("input", 1),
        **stream("in0_V", 8, driven=False),
        **stream("in1_V", 24, driven=False),
        **stream("out0_V", 16, driven=True),
    },
    "M/M_mem": {
        **CLOCK,
        **stream("m_axis_0", 24, driven=True, lower=True),
        **stream("s_axis_0", 1, driven=False, lower=True),
        "awready": Port("output", 1),
        "awaddr": Port("input", 12),
    },
}


def emit(
    design: BlockDesign = DESIGN,
    ports: Mapping[str, Mapping[str, Port]] = PORTS,
    streams: Mapping[Pin, str] | None = None,
) -> Netlist:
    streams = {Pin("F", "out0_V"): "F_out0"} if streams is None else streams
    return netlist(design, ports, top="finn_design", streams=streams, fifos={"F"})


COMPILATIONS: list[Any] = []  # slang's symbols lie in the memory of their compilation and do not keep it alive


def elaborate(text: str, top: str) -> tuple[Any, list[str]]:
    """slang's instance of the top with stand-ins for the cells' modules, and what slang finds wrong."""
    from pyslang import ast, syntax

    stubs = []
    for cell in DESIGN.cells:
        ports = ", ".join(f"{p.direction} [{p.width - 1}:0] {name}" for name, p in PORTS[cell.path].items())
        stubs.append(f"module {cell.module} #(parameter N = 0) ({ports}); endmodule")
    compilation = ast.Compilation()
    COMPILATIONS.append(compilation)
    for part in (text, "\n".join(stubs)):
        compilation.addSyntaxTree(syntax.SyntaxTree.fromText(part))
    (found,) = (each for each in compilation.getRoot().topInstances if each.name == top)
    return found, [
        str(each.code) for each in compilation.getAllDiagnostics() if "EmptyOutputPort" not in str(each.code)
    ]


def connections(instance: Any) -> dict[str, str]:
    """Port to what it is connected to."""
    found = {}
    for each in instance.portConnections:
        expression = each.expression
        if expression is not None and expression.kind.name == "Assignment":  # what an output is connected to
            expression = expression.left
        syntax = expression.syntax if expression is not None else None
        found[each.port.name] = str(syntax).strip() if syntax is not None else ""
    return found


def children(instance: Any) -> dict[str, Any]:
    from pyslang import ast

    return {each.name: each for each in instance.body if each.kind == ast.SymbolKind.Instance}


def test_the_text_is_clean() -> None:
    top, diagnostics = elaborate(emit().text, "finn_design")
    assert not diagnostics
    assert {port.name: str(port.type) for port in top.body.portList} == {
        "ap_clk": "logic",
        "ap_rst_n": "logic",
        "s_axis_0_tdata": "logic[7:0]",
        "s_axis_0_tvalid": "logic",
        "s_axis_0_tready": "logic",
        "m_axis_0_tdata": "logic[15:0]",
        "m_axis_0_tvalid": "logic",
        "m_axis_0_tready": "logic",
    }


def test_nodes_are_connected_by_nets_of_the_streams_names() -> None:
    nodes = children(elaborate(emit().text, "finn_design")[0])
    assert {name: node.body.name for name, node in nodes.items()} == {"F": "node_F", "M": "node_M"}
    fifo, layer = connections(nodes["F"]), connections(nodes["M"])
    for signal in ("tdata", "tvalid", "tready"):
        assert fifo[f"in0_V_{signal}"] == f"s_axis_0_{signal}"
        assert fifo[f"out0_V_{signal}"] == layer[f"in0_V_{signal}"] == f"F_out0_{signal}"
        assert layer[f"out0_V_{signal}"] == f"m_axis_0_{signal}"
    assert fifo["ap_clk"] == layer["ap_clk"] == "ap_clk"
    assert fifo["ap_rst_n"] == layer["ap_rst_n"] == "ap_rst_n"


def test_cells_inside_of_a_node() -> None:
    cells = children(children(elaborate(emit().text, "finn_design")[0])["M"])
    assert set(cells) == {"u_M_M", "u_M_M_mem"}
    core, memory = connections(cells["u_M_M"]), connections(cells["u_M_M_mem"])
    assert core["ap_clk"] == core["ap_clk2x"] == memory["ap_clk"] == "ap_clk"
    assert core["in1_V_TDATA"] == memory["m_axis_0_tdata"] == "M_M_mem_m_axis_0_tdata"
    assert core["in1_V_TREADY"] == memory["m_axis_0_tready"]
    assert core["in0_V_TDATA"] == "in0_V_tdata"
    assert str(cells["u_M_M"].body.parameters[0].value) == "3"


def test_open_inputs_are_low_and_open_outputs_open() -> None:
    memory = connections(children(children(elaborate(emit().text, "finn_design")[0])["M"])["u_M_M_mem"])
    assert memory["awaddr"] == memory["s_axis_0_tvalid"] == "'0"
    assert memory["awready"] == memory["s_axis_0_tready"] == ""


def test_what_a_node_drives_is_its_output_wherever_else_it_is_read() -> None:
    """The core reads the bit that the memory, which comes after it, also hands to the next node."""
    ports = {**changed("M/M", sees=Port("input", 1)), "F": {**PORTS["F"], "takes": Port("input", 1)}}
    nets = (*DESIGN.nets, *pins("F/takes M/full M/M/sees M/M_mem/awready"))
    text = emit(replace(DESIGN, nets=nets), ports).text
    layer, fifo = (text.partition(f"module node_{name} ")[2].partition(");")[0] for name in ("M", "F"))
    assert "output logic full" in layer and "input logic takes" in fifo
    assert text.count(".takes(F_takes)") == text.count(".full(F_takes)") == text.count("logic F_takes;") == 1


def test_fills_of_fifos_can_be_read() -> None:
    from pyslang import ast

    fifo = children(elaborate(emit().text, "finn_design")[0])["F"]
    nets = {each.name: str(each.type) for each in fifo.body if each.kind == ast.SymbolKind.Variable}
    assert {"count": "logic[31:0]", "maxcount": "logic[31:0]"}.items() <= nets.items()
    assert connections(children(fifo)["u_F"])["maxcount"] == "maxcount"


def test_widths_are_those_of_the_ports() -> None:
    assert emit().widths == {"s_axis_0": 8, "m_axis_0": 16, "F_out0": 8}


def test_the_wrapper_is_the_top_by_another_name() -> None:
    made = emit()
    top, diagnostics = elaborate(made.text + wrapper("outer", "finn_design", made.widths), "outer")
    assert not diagnostics
    (inner,) = children(top).values()
    assert connections(inner) == {port.name: port.name for port in inner.body.portList}
    assert [port.name for port in top.body.portList] == [port.name for port in inner.body.portList]


def interfaces(*groups: str) -> BlockDesign:
    return replace(DESIGN, interfaces=pins(*groups))


def changed(cell: str, **ports: Port | None) -> dict[str, dict[str, Port]]:
    merged = {**PORTS[cell], **ports}
    return {**PORTS, cell: {name: port for name, port in merged.items() if port is not None}}


REST = ("s_axis_0 F/in0_V", "M/M_mem/m_axis_0 M/M/in1_V")


@pytest.mark.parametrize(
    ("design", "ports", "message"),
    [
        (interfaces(*REST, "M/out0_V M/M/out0_V m_axis_0"), PORTS, "nothing takes the stream of F/out0_V"),
        (interfaces(*REST, "F/out0_V"), PORTS, "the stream at F/out0_V has 1 ends"),
        (interfaces(*REST, "F/out0_V M/M/in0_V m_axis_0"), PORTS, "has 3 ends"),
        (interfaces("F/out0_V M/out0_V M/M/out0_V"), PORTS, "not driven by one of its ends"),
        (interfaces("F/in0_V M/in0_V M/M/in0_V"), PORTS, "not driven by one of its ends"),
        (interfaces(*REST, "M/out0_V M/M/out0_V F/in0_V"), PORTS, "graph does not have|two nets"),
        (interfaces("s_axis_0 F/out0_V"), PORTS, "not driven by one"),
        (interfaces("M/M/out0_V F/in0_V"), PORTS, "M/M/out0_V drives a stream that the graph does not have"),
        (interfaces("s_axis_0 M/M/in0_V"), PORTS, "M/M/in0_V.* across the border of its node"),
        (interfaces("F/out0_V M/M/in0_V"), PORTS, "M/M/in0_V.* across the border of its node"),
        (DESIGN, changed("M/M", in0_V_TDATA=Port("input", 16)), "F/out0_V_TDATA has 8, M/M/in0_V_TDATA has 16"),
        (
            DESIGN,
            changed("M/M", in0_V_TREADY=None),
            "M/M/in0_V is not an AXI stream .*core has in0_V_TDATA, in0_V_TVALID",
        ),
        (DESIGN, changed("M/M", in0_V_TLAST=Port("input", 1)), "M/M/in0_V is not an AXI stream"),
        (DESIGN, changed("M/M", in0_V_TREADY=Port("input", 1)), "F_out0_tready has 0 drivers"),
        (DESIGN, changed("M/M", ap_clk2x=None), "module core of M/M has no port ap_clk2x"),
        (replace(DESIGN, nets=(*DESIGN.nets, pins("base F/ap_clk")[0])), PORTS, "F/ap_clk is on two nets"),
        (replace(DESIGN, nets=(*DESIGN.nets, pins("base M/M_mem/awaddr")[0])), PORTS, "across the border"),
        (replace(DESIGN, nets=(*DESIGN.nets, pins("full F/count")[0])), PORTS, "differs in the port full"),
        (replace(DESIGN, nets=DESIGN.nets[:1]), PORTS, "differs in the port ap_rst_n"),
        (
            interfaces(*(" ".join(map(str, each)) for each in DESIGN.interfaces[:3])),
            PORTS,
            "differs in the port m_axis_0",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    design: BlockDesign, ports: Mapping[str, Mapping[str, Port]], message: str
) -> None:
    with pytest.raises(StepFailed, match=message):
        emit(design, ports)


def test_a_stream_that_the_graph_does_not_have_is_refused() -> None:
    with pytest.raises(StepFailed, match="F/out0_V drives a stream that the graph does not have"):
        emit(streams={})


def test_two_streams_of_one_name_are_refused() -> None:
    cells = (*DESIGN.cells, Cell("G", "fifo_g", {}), Cell("H", "fifo_h", {}))
    more = replace(DESIGN, cells=cells, interfaces=(*DESIGN.interfaces, *pins("G/out0_V H/in0_V")))
    ports = {**PORTS, "G": PORTS["F"], "H": PORTS["F"]}
    with pytest.raises(StepFailed, match="two nets would be called F_out0_tdata"):
        emit(more, ports, {Pin("F", "out0_V"): "F_out0", Pin("G", "out0_V"): "F_out0"})
