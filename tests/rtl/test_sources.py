"""A folder that needs nothing outside of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.errors import StepFailed
from finnyaml.rtl.sources import copy, distinct


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """The generated code of a layer with one image, and of one with several."""
    write(tmp_path / "gen_M_x1/memblock.dat", "3\n1\n")
    write(tmp_path / "gen_T_x2/T_0_threshs_0_0.dat", "5\n")
    write(tmp_path / "gen_T_x2/T_0_threshs_1_0.dat", "6\n")
    write(tmp_path / "gen_T_x2/T_0_threshs.npy", "no image")
    return tmp_path


def folders(code: Path) -> dict[str, Path]:
    return {"M_0": code / "gen_M_x1", "T_0": code / "gen_T_x2"}


def test_images_become_part_of_the_folder(code: Path, tmp_path: Path) -> None:
    memory = write(
        code / "gen_M_x1/M_0.v", f'module M_0 #(parameter F = "{code}/gen_M_x1/memblock.dat")(); endmodule\n'
    )
    thresholds = write(code / "gen_T_x2/T_0.v", 'module T_0 #(parameter P = "./T_0_")(); endmodule\n')
    found = copy([memory, thresholds], folders(code), tmp_path / "out")
    names = ["M_0__memblock.dat", "T_0__T_0_threshs_0_0.dat", "T_0__T_0_threshs_1_0.dat"]
    assert found.data == tuple(f"data/{name}" for name in names)
    assert (tmp_path / "out/src/M_0.v").read_text() == (
        'module M_0 #(parameter F = "data/M_0__memblock.dat")(); endmodule\n'
    )
    assert '"data/T_0__T_0_"' in (tmp_path / "out/src/T_0.v").read_text()
    assert (tmp_path / "out/data/M_0__memblock.dat").read_text() == "3\n1\n"
    assert sorted(each.name for each in (tmp_path / "out/data").iterdir()) == names


def test_only_strings_are_paths(code: Path, tmp_path: Path) -> None:
    text = '// "/a/b.dat" as it was\n/* "/c"\n"/d" */\n(* INFO = "xilinx.com:clock:1.0 CLK" *) module m; endmodule\n'
    text += 'module n; initial $display("a // \\"/b\\" %d/%d", 1 /2, 3); endmodule // 1/4 "\n'
    copy([write(code / "lib/m.v", text)], folders(code), tmp_path / "out")
    assert (tmp_path / "out/src/m.v").read_text() == text


@pytest.mark.parametrize(
    "path",
    ["/etc/hosts", "{code}/gen_M_x1/other.dat", "{code}/gen_M_x1/../secret.dat", "{code}/memblock.dat", "./x.dat"],
)
def test_what_lies_elsewhere_is_refused(code: Path, tmp_path: Path, path: str) -> None:
    write(code / "secret.dat", "1")
    file = write(code / "gen_M_x1/M_0.v", f'module m; initial $readmemh("{path.format(code=code)}", x); endmodule')
    with pytest.raises(StepFailed, match=r"M_0\.v reads .*not a memory image"):
        copy([file], folders(code), tmp_path / "out")


def test_a_file_that_repeats_another_is_dropped(code: Path) -> None:
    first = write(code / "lib/vpc.sv", "module vpc; endmodule")
    again = write(code / "gen_M_x1/vpc.sv", "module vpc; endmodule")
    other = write(code / "lib/dwc.sv", "module dwc; endmodule")
    assert distinct([first, other, first, again]) == [first, other]


def test_different_files_of_one_name_are_refused(code: Path) -> None:
    first = write(code / "lib/vpc.sv", "module vpc; endmodule")
    other = write(code / "gen_M_x1/vpc.sv", "module vpc; wire changed; endmodule")
    with pytest.raises(StepFailed, match=r"two different vpc\.sv"):
        distinct([first, other])


def test_a_missing_source_is_refused(code: Path) -> None:
    with pytest.raises(StepFailed, match=r"a source is missing: .*gone\.sv"):
        distinct([code / "gone.sv"])


def test_other_languages_are_refused(code: Path) -> None:
    with pytest.raises(StepFailed, match=r"core\.vhd is neither"):
        distinct([write(code / "core.vhd", "")])


def test_packages_come_before_what_uses_them(code: Path, tmp_path: Path) -> None:
    files = [
        write(code / "a.v", "module a; b u(); endmodule"),
        write(code / "b.sv", "module b import low_pkg::*; (); localparam X = high_pkg::X; endmodule"),
        write(code / "high.sv", "package high_pkg; import low_pkg::Y; localparam X = Y; endpackage"),
        write(code / "low.sv", "package low_pkg; /* not high_pkg::X */ localparam Y = 1; endpackage"),
    ]
    found = copy(files, folders(code), tmp_path / "out")
    assert found.sources == ("src/low.sv", "src/high.sv", "src/a.v", "src/b.sv")
    assert [file.name for file in found.originals] == ["low.sv", "high.sv", "a.v", "b.sv"]


def test_a_module_that_is_defined_twice_is_refused(code: Path, tmp_path: Path) -> None:
    files = [write(code / "a.v", "module m; endmodule"), write(code / "b.v", "module n; endmodule module m; endmodule")]
    with pytest.raises(StepFailed, match=r"m is defined in a\.v and again in b\.v"):
        copy(files, folders(code), tmp_path / "out")


def test_packages_that_need_each_other_are_refused(code: Path, tmp_path: Path) -> None:
    files = [
        write(code / "p.sv", "package p; localparam X = q::X; endpackage"),
        write(code / "q.sv", "package q; localparam X = p::X; endpackage"),
    ]
    with pytest.raises(StepFailed, match="packages need each other"):
        copy(files, folders(code), tmp_path / "out")


def test_nothing_of_an_older_design_stays(code: Path, tmp_path: Path) -> None:
    write(tmp_path / "out/src/old.v", "module old; endmodule")
    write(tmp_path / "out/data/old.dat", "1")
    copy([write(code / "lib/m.v", "module m; endmodule")], folders(code), tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").rglob("*.*")] == ["m.v"]


def test_bytes_that_are_no_text_stay(code: Path, tmp_path: Path) -> None:
    file = code / "m.v"
    file.write_bytes(b"module m; endmodule // Preu\xdfer\r\n")
    copy([file], folders(code), tmp_path / "out")
    assert (tmp_path / "out/src/m.v").read_bytes() == file.read_bytes()
