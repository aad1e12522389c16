"""The part of Tcl that FINN's stitching writes, read as a block design."""

from __future__ import annotations

import pytest

from finnyaml.errors import StepFailed
from finnyaml.rtl.block_design import BlockDesign, Cell, Pin
from finnyaml.rtl.stitch_script import read

BEFORE = "create_project p /somewhere -part x\nset_property ip_repo_paths [list $::env(LIB)/m /a] [current_project]\n"
CELLS = """\
create_bd_design "finn_design"
add_files -norecurse /a/A.v
add_files -norecurse $::env(LIB)/fifo.sv
create_bd_cell -type module -reference A A_0
create_bd_cell -type hier B_0
create_bd_pin -dir I -type clk /B_0/ap_clk
create_bd_intf_pin -mode Slave -vlnv xilinx.com:interface:axis_rtl:1.0 /B_0/in0_V
add_files -norecurse /b/B.v
add_files -norecurse $::env(LIB)/fifo.sv
create_bd_cell -type hier -reference B /B_0/B_0
connect_bd_net [get_bd_pins B_0/ap_clk] [get_bd_pins B_0/B_0/ap_clk]
connect_bd_intf_net [get_bd_intf_pins B_0/in0_V] [get_bd_intf_pins B_0/B_0/in0_V]
save_bd_design
"""
CONNECTIONS = """\
make_bd_pins_external [get_bd_pins A_0/ap_clk]
set_property name ap_clk [get_bd_ports ap_clk_0]
connect_bd_net [get_bd_ports ap_clk] [get_bd_pins B_0/ap_clk]
connect_bd_intf_net [get_bd_intf_pins A_0/out0_V] [get_bd_intf_pins B_0/in0_V]
make_bd_intf_pins_external [get_bd_intf_pins A_0/in0_V]
set_property name s_axis_0 [get_bd_intf_ports in0_V_0]
set_property CONFIG.FREQ_HZ 100000000 [get_bd_ports /ap_clk]
"""
AFTER = "make_wrapper -files [get_files /x.bd] -top\nipx::package_project -root_dir /x\n"


def design(more: str = "", *, cells: str = CELLS, connections: str = CONNECTIONS) -> BlockDesign:
    script = f"{BEFORE}{cells}{connections}{more}\n{AFTER}"
    return read(script, {"LIB": "/lib"}, "finn-plus 1.6.1")


def groups(found: tuple[tuple[Pin, ...], ...]) -> set[frozenset[str]]:
    return {frozenset(map(str, pins)) for pins in found}


def test_cells_files_and_connections() -> None:
    found = design()
    assert found.files == ("/a/A.v", "/lib/fifo.sv", "/b/B.v")
    assert found.cells == (Cell("A_0", "A", {}), Cell("B_0/B_0", "B", {}))
    assert groups(found.nets) == {frozenset({"ap_clk", "A_0/ap_clk", "B_0/ap_clk", "B_0/B_0/ap_clk"})}
    assert groups(found.interfaces) == {
        frozenset({"A_0/out0_V", "B_0/in0_V", "B_0/B_0/in0_V"}),
        frozenset({"s_axis_0", "A_0/in0_V"}),
    }


def test_a_cell_of_a_hierarchy_belongs_to_its_node() -> None:
    assert [cell.node for cell in design().cells] == ["A_0", "B_0"]


def test_parameters_of_cells() -> None:
    more = "set_property CONFIG.ID 3 [get_bd_cells A_0]\n"
    more += 'set_property -dict [list CONFIG.W {8} CONFIG.NAME {"a b"} ] [get_bd_cells /B_0/B_0]'
    assert [dict(cell.parameters) for cell in design(more).cells] == [{"ID": "3"}, {"W": "8", "NAME": '"a b"'}]


def test_a_second_port_of_the_same_name_gets_the_next_number() -> None:
    more = "make_bd_pins_external [get_bd_pins A_0/x]\nmake_bd_pins_external [get_bd_pins B_0/B_0/x]"
    assert {frozenset({"x_0", "A_0/x"}), frozenset({"x_1", "B_0/B_0/x"})} <= groups(design(more).nets)


def test_the_handle_of_vivados_simulator_is_left_out() -> None:
    more = """\
add_files -norecurse $::env(LIB)/sim/hdl/sim_ctrl.v
create_bd_cell -type module -reference sim_ctrl sim_ctrl_0
connect_bd_net [get_bd_ports ap_clk] [get_bd_pins sim_ctrl_0/ap_clk]
make_bd_pins_external [get_bd_pins sim_ctrl_0/sim_finish]
set_property name sim_finish [get_bd_ports sim_finish_0]"""
    assert design(more) == design()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("create_ip -name axis_dwidth_converter", "`create_ip` is not a command"),
        ("assign_bd_address", "`assign_bd_address` is not a command"),
        ("save_bd_design now", "not a command"),
        ("add_files -copy_to /x /a/C.v", "option -copy_to is not known"),
        ("add_files /a/C.v /a/D.v", "one argument"),
        ("add_files [glob /a/*.v]", "not expected here"),
        ("create_bd_cell -type module -reference A A_0", "a cell A_0 already"),
        ("create_bd_cell -type module -reference A C_0/A_0", "no hierarchy C_0"),
        ("create_bd_cell -type container C_0", "hierarchy or the instance"),
        ("create_bd_pin -dir I /C_0/x", "no hierarchy C_0"),
        ("connect_bd_net [get_bd_pins A_0/x]", "two ends"),
        ("connect_bd_net [get_bd_pins A_0/x] [get_bd_pins C_0/x]", "no pin C_0/x"),
        ("connect_bd_net [get_bd_pins A_0/x] [get_bd_pins B_0/x]", "no pin B_0/x"),
        ("connect_bd_net [get_bd_pins A_0/x] [get_bd_ports y]", "no port y"),
        ("connect_bd_net [get_bd_pins A_0/x] [get_bd_intf_pins B_0/in0_V]", "is not a pin or port"),
        ("connect_bd_intf_net [get_bd_pins A_0/x] [get_bd_intf_pins B_0/in0_V]", "not an interface pin"),
        ("set_property offset 0 [get_bd_addr_segs {x}]", "property is not known"),
        ("set_property CONFIG.PROTOCOL X [get_bd_ports ap_clk]", "property is not known"),
        ("set_property name ap_clk [get_bd_intf_ports s_axis_0]", "a port ap_clk already"),
        ("set_property LOC X [get_bd_cells A_0]", "parameters"),
        ("set_property CONFIG.A 1 x", "not the property of a cell or port"),
    ],
)
def test_what_may_mean_hardware_is_never_skipped(line: str, message: str) -> None:
    with pytest.raises(StepFailed, match=message) as refused:
        design(line)
    assert line in refused.value.message and "finn-plus 1.6.1" in refused.value.message


def test_packaged_ip_is_refused_with_what_would_help() -> None:
    line = "create_bd_cell -type ip -vlnv xilinx.com:hls:Pool_hls_0:1.0 /Pool_hls_0"
    with pytest.raises(StepFailed, match=r"Pool_hls_0 is packaged IP .*finn-plus 1\.6\.1") as refused:
        design(line)
    assert line in refused.value.message and "prefer: rtl" in str(refused.value.hint)


@pytest.mark.parametrize(("first", "last"), [("", AFTER), ("create_bd_design x\n", "")])
def test_a_script_of_another_form_is_refused(first: str, last: str) -> None:
    with pytest.raises(StepFailed, match=r"has no (create_bd_design|make_wrapper)"):
        read(first + last, {}, "finn-plus 1.6.1")


def test_tcl_that_is_not_read_is_refused_with_its_line() -> None:
    with pytest.raises(StepFailed, match=r"finn-plus 1\.6\.1 writes Tcl.*foreach \{a"):
        design("foreach {a")
