"""The heads of .bit and .xclbin files, and what is refused before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.accelerator import AcceleratorError, Bundle
from finnyaml.accelerator.devices.bitfile import Bitfile, Xclbin, read_bitfile, same_part
from finnyaml.accelerator.devices.board import bitfile_path, check_bitfile
from tests.board import files
from tests.bundle.sample import read_json, sample_bundle, write_json

PART = "xc7z020clg400-1"


@pytest.fixture
def bit(tmp_path: Path) -> Path:
    file = tmp_path / "finn-accel.bit"
    files.write_bit(file, PART, payload=1000)
    return file


@pytest.fixture
def xclbin(tmp_path: Path) -> Path:
    file = tmp_path / "finn-accel.xclbin"
    files.write_xclbin(file, ["idma0", "odma0"], 250)
    return file


def test_bit(bit: Path) -> None:
    assert read_bitfile(bit) == Bitfile("7z020clg400")


def test_xclbin(xclbin: Path) -> None:
    assert read_bitfile(xclbin) == Xclbin(("idma0", "odma0"), 250.0)


@pytest.mark.parametrize("kind", ["bit", "xclbin"])
@pytest.mark.parametrize("keep", [0, 1, 5, 60, -1, -200])
def test_a_file_cut_short(request: pytest.FixtureRequest, kind: str, keep: int) -> None:
    file: Path = request.getfixturevalue(kind)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(AcceleratorError, match=r"cut short|ends before|is not an? \.(bit|xclbin) file") as caught:
        read_bitfile(file)
    assert caught.value.name == "bitfile damaged"


@pytest.mark.parametrize("kind", ["bit", "xclbin"])
def test_a_file_that_is_longer_than_it_says(request: pytest.FixtureRequest, kind: str) -> None:
    file: Path = request.getfixturevalue(kind)
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(AcceleratorError, match="has more than it should"):
        read_bitfile(file)


@pytest.mark.parametrize("name", ["a.bit", "a.xclbin"])
def test_another_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("by the stand-in of vivado\n" * 100)
    with pytest.raises(AcceleratorError) as caught:
        read_bitfile(tmp_path / name)
    assert caught.value.name == "bitfile damaged"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(AcceleratorError) as caught:
        read_bitfile(tmp_path / "a.bit")
    assert caught.value.name == "bitfile missing"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("7z020clg400", "xc7z020clg400-1", True),
        ("xczu7ev-ffvc1156-2-e", "xczu7ev-ffvc1156-2", True),
        ("xck26-sfvc784-2LV", "xck26-sfvc784-2LV-c", True),
        ("xczu3eg-sbva484-1-e", "xczu7ev-ffvc1156-2-e", False),
        ("7z010clg400", "xc7z020clg400-1", False),
        ("", "xc7z020clg400-1", False),
    ],
)
def test_parts(one: str, other: str, same: bool) -> None:
    assert same_part(one, other) == same == same_part(other, one)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The sample with a made-up bitfile for its part."""
    folder = sample_bundle(tmp_path / "bundle", weights=True)
    (folder / "bitfile").mkdir()
    files.write_bit(folder / "bitfile/finn-accel.bit", PART)
    files.write_hwh(folder / "bitfile/finn-accel.hwh", PART, files.blocks_of(read_json(folder)), 100)
    return folder


def refusal(folder: Path) -> AcceleratorError:
    with pytest.raises(AcceleratorError) as caught:
        check_bitfile(Bundle.load(folder), folder / "bitfile/finn-accel.bit")
    return caught.value


def test_a_pair_that_fits(folder: Path) -> None:
    handoff = check_bitfile(Bundle.load(folder), folder / "bitfile/finn-accel.bit")
    assert handoff is not None and handoff.part == PART


def test_a_bitfile_of_another_part(folder: Path) -> None:
    files.write_bit(folder / "bitfile/finn-accel.bit", "xc7z010clg400-1")
    error = refusal(folder)
    assert error.name == "bitfile differs"
    assert error.message == "finn-accel.bit is for 7z010clg400, the bundle for xc7z020clg400-1"


def test_a_hwh_of_another_part(folder: Path) -> None:
    files.write_hwh(folder / "bitfile/finn-accel.hwh", "xc7z010clg400-1", files.blocks_of(read_json(folder)), 100)
    assert "finn-accel.hwh is for xc7z010clg400-1" in refusal(folder).message


def test_a_hwh_without_what_the_driver_needs(folder: Path) -> None:
    blocks = [block for block in files.blocks_of(read_json(folder)) if "Partition" not in block.name]
    files.write_hwh(folder / "bitfile/finn-accel.hwh", PART, blocks, 100)
    error = refusal(folder)
    assert error.name == "bitfile differs"
    assert "has no StreamingDataflowPartition_0 with an address, only idma0, odma0" in error.message


@pytest.mark.parametrize(("mhz", "refused"), [(100, False), (93, False), (50, True)])
def test_a_hwh_of_another_clock(folder: Path, mhz: float, refused: bool) -> None:
    files.write_hwh(folder / "bitfile/finn-accel.hwh", PART, files.blocks_of(read_json(folder)), mhz)
    if refused:
        assert refusal(folder).name == "clock differs"
    else:
        assert check_bitfile(Bundle.load(folder), folder / "bitfile/finn-accel.bit")


def test_an_achieved_clock_is_held_to_more_closely(folder: Path) -> None:
    data = read_json(folder)
    data["target"]["clock"]["achieved_mhz"] = 100.0
    write_json(folder, data)
    files.write_hwh(folder / "bitfile/finn-accel.hwh", PART, files.blocks_of(data), 93)
    assert refusal(folder).name == "clock differs"


def test_one_wrong_figure_in_the_hwh_is_enough(folder: Path) -> None:
    file = folder / "bitfile/finn-accel.hwh"
    file.write_text(file.read_text().replace('NAME="CLKOUT1_OUT_FREQ" VALUE="100', 'NAME="CLKOUT1_OUT_FREQ" VALUE="50'))
    assert "says 50 MHz (clk_wiz_0 CLKOUT1_OUT_FREQ)" in refusal(folder).message


def test_no_hwh_beside_the_bitfile(folder: Path) -> None:
    (folder / "bitfile/finn-accel.hwh").unlink()
    assert refusal(folder).name == "bitfile missing"


def test_a_bundle_without_a_bitfile(folder: Path) -> None:
    with pytest.raises(AcceleratorError, match="bundle attach") as caught:
        bitfile_path(Bundle.load(folder))
    assert caught.value.name == "bitfile missing"
