"""An exported design: complete, its test bench passes in Verilator and fails when one bit is wrong."""

from __future__ import annotations

import glob
import re
import shutil
import tkinter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from finnyaml.errors import StepFailed
from finnyaml.rtl.design import Design
from finnyaml.rtl.export import export, words
from tests.rtl.exported_bench import compile_bench, run_bench
from tests.rtl.two_layer_design import FRAMES, MVAU, stitched


@dataclass(frozen=True)
class Exported:
    """design: the folder that was exported. sent, expected: frames."""

    design: Path
    folder: Path
    sent: np.ndarray
    expected: np.ndarray


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    design = tmp_path_factory.mktemp("design") / "design"
    sent, expected = stitched(design)
    folder = tmp_path_factory.mktemp("exported") / "export"
    export(design, folder, sent, expected)
    return Exported(design, folder, sent, expected)


@pytest.fixture(scope="module")
def compiled(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the export with the program of its test bench.

    It can also send three frames only (+few), so that it looks as if the design had stopped.
    """
    copy = shutil.copytree(exported.folder, tmp_path_factory.mktemp("compiled") / "export")
    bench = copy / "testbench/testbench.sv"
    before, limit, after = bench.read_text().partition("if(sent < FRAMES*IN_BEATS")
    bench.write_text(f'{before}{limit} && !($test$plusargs("few") && sent >= 3*IN_BEATS){after}')
    compile_bench(copy)
    return copy


@pytest.fixture
def bench(compiled: Path, tmp_path: Path) -> Path:
    """A copy of the compiled export, to change."""
    return shutil.copytree(compiled, tmp_path / "bench")


def test_the_test_bench_passes(bench: Path) -> None:
    code, said = run_bench(bench)
    assert code == 0, said
    assert f"PASS: {FRAMES} frames, {FRAMES * 6} beats" in said


def test_it_passes_with_stalls(bench: Path) -> None:
    for stalls in (30, 60, 95):
        code, said = run_bench(bench, f"+stalls={stalls}")
        assert code == 0 and "PASS" in said, (stalls, said)
    assert finished(said) > 2 * finished(run_bench(bench)[1]), "waits with 95 %"


def test_it_does_not_wait_always(bench: Path) -> None:
    code, said = run_bench(bench, "+stalls=96")
    assert code != 0
    assert "FAIL: +stalls=96 is not between 0 and 95" in said


def finished(said: str) -> int:
    """The simulated time in ns."""
    found = re.search(r"\$finish at (\d+)(ns|us)", said)
    assert found
    return int(found[1]) * {"ns": 1, "us": 1000}[found[2]]


def test_a_wrong_bit_in_a_golden_output_fails_and_is_named(bench: Path) -> None:
    file = bench / "testbench/outputs.hex"
    lines = file.read_text().splitlines()
    assert len(lines) == FRAMES * 6
    lines[2 * 6 + 4] = f"{int(lines[2 * 6 + 4], 16) ^ 4:02x}"
    file.write_text("\n".join(lines) + "\n")
    code, said = run_bench(bench)
    assert code != 0
    assert "frame 2, beat 4: " in said
    assert f"FAIL: 1 of {FRAMES * 6} beats differ" in said
    assert "PASS" not in said


def test_bits_that_are_no_value_are_not_compared(bench: Path) -> None:
    """A beat has three values of two bits."""
    file = bench / "testbench/outputs.hex"
    file.write_text("".join(f"{int(line, 16) | 0xC0:02x}\n" for line in file.read_text().splitlines()))
    assert run_bench(bench)[0] == 0


def test_a_wrong_bit_in_a_weight_fails(bench: Path) -> None:
    file = bench / f"data/{MVAU}__memblock.dat"
    lines = file.read_text().splitlines()
    assert lines[0]
    file.write_text("\n".join([f"{int(lines[0], 16) ^ 2:x}", *lines[1:]]) + "\n")
    code, said = run_bench(bench)
    assert code != 0
    assert re.search(r"FAIL: \d+ of \d+ beats differ", said)


def test_a_design_that_gives_too_little_fails(compiled: Path) -> None:
    code, said = run_bench(compiled, "+few")
    assert code != 0
    assert f"got 18 of {FRAMES * 6} beats, in frame 3" in said
    assert "PASS" not in said


def test_the_folder_needs_nothing_else(exported: Exported) -> None:
    folder = exported.folder
    listed = (folder / "files.f").read_text().split()
    assert listed[-1] == "top.sv"
    sources = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in (".v", ".sv")}
    assert {*listed} == sources - {"testbench/testbench.sv"}
    for path in folder.rglob("*"):
        if path.is_file():
            assert str(exported.design.parent) not in path.read_text(), path
    read = {name for path in folder.glob("src/*") for name in re.findall(r'"(data/[^"]+)"', path.read_text())}
    assert read
    for beginning in read:
        assert list(folder.glob(f"{beginning}*")), beginning


def test_the_notices_of_finn_are_kept(exported: Exported) -> None:
    for path in sorted((exported.folder / "src").iterdir()):
        original = (exported.design / "src" / path.name).read_text().splitlines()
        assert path.read_text().splitlines()[:30] == original[:30], path
    assert "src/" in (exported.folder / "LICENSES.md").read_text()


def test_the_readme_describes_the_streams(exported: Exported) -> None:
    text = (exported.folder / "README.md").read_text()
    assert "| in, `s_axis_0` | 3 x 8 | `UINT4` | 4 | 6 | 16 |" in text
    assert "| out, `m_axis_0` | 3 x 6 | `UINT2` | 3 | 6 | 8 |" in text
    assert "`src/fifo.sv`" in text
    assert "not tested" in text


def test_words_are_little_endian_and_filled_up(exported: Exported) -> None:
    design = Design.load(exported.design)
    values = np.zeros((1, 3, 8), int)
    values[0, 0, :5] = [1, 2, 3, 4, 15]
    assert words(values, design.input).splitlines()[:2] == ["4321", "000f"]


def test_the_project_script_gives_vivado_everything(exported: Exported, tmp_path: Path) -> None:
    """Tcl itself runs it; Vivado's commands are stand-ins that only note how they are called."""
    folder = shutil.copytree(exported.folder, tmp_path / "with [brackets] and $dollars")
    tcl = tkinter.Tcl()
    calls: list[tuple[str, ...]] = []
    for name in ("create_project", "add_files", "set_property", "get_filesets", "update_compile_order"):
        tcl.createcommand(name, lambda *arguments, name=name: calls.append((name, *arguments)) or arguments[-1])
    script = folder / "make_vivado_project.tcl"
    tcl.call("info", "script", str(script))
    tcl.eval(script.read_text())
    design = Design.load(exported.design)
    assert calls[0] == ("create_project", "finn_design", str(folder / "vivado"), "-part", design.part)
    added = [Path(call[-1]) for call in calls if call[0] == "add_files"]
    sources = [path.relative_to(folder / "vivado/sources").as_posix() for path in added if path.suffix != ".xdc"]
    assert sources == [*design.sources, "testbench/testbench.sv"]
    assert folder / "constraints.xdc" in added
    assert ("set_property", "top", "finn_design", "sources_1") in calls
    for path in added:
        for name in re.findall(r'"([^"\s]*(?:data|testbench)/[^"]*)"', path.read_text()):
            assert glob.glob(f"{glob.escape(name)}*"), (path, name)
    with pytest.raises(tkinter.TclError, match="exists already"):
        tcl.eval(script.read_text())


def test_the_clock_is_the_design_s(exported: Exported) -> None:
    constraint = (exported.folder / "constraints.xdc").read_text()
    assert constraint == "create_clock -name ap_clk -period 5.0 [get_ports ap_clk]\n"
    assert "#2.5 ap_clk" in (exported.folder / "testbench/testbench.sv").read_text()


def test_values_that_do_not_fit_are_refused(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="do not fit UINT4"):
        export(exported.design, tmp_path / "a", exported.sent + 16, exported.expected)
    with pytest.raises(StepFailed, match="not frames of"):
        export(exported.design, tmp_path / "b", exported.sent[:, :2], exported.expected)
    with pytest.raises(StepFailed, match="as many inputs as outputs"):
        export(exported.design, tmp_path / "c", exported.sent, exported.expected[:2])


def test_a_folder_with_files_is_left_alone(exported: Exported) -> None:
    with pytest.raises(StepFailed, match="is not empty"):
        export(exported.design, exported.folder, exported.sent, exported.expected)


@pytest.mark.parametrize("name", ["a b", "x;exec rm", "$(id)", "../up", "/etc/passwd", "-top", "", "a[b]"])
def test_names_that_could_be_more_are_refused(exported: Exported, tmp_path: Path, name: str) -> None:
    design = tmp_path / "design"
    shutil.copytree(exported.design, design)
    text = (design / "design.json").read_text()
    part = Design.load(design).part
    (design / "design.json").write_text(text.replace(f'"{part}"', f'"{name}"'))
    with pytest.raises(StepFailed, match="cannot be a name"):
        export(design, tmp_path / "out", exported.sent, exported.expected)
