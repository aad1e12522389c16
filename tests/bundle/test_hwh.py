"""What we read from a .hwh; the ones that Vivado wrote are in tests/board, beside PYNQ."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.accelerator import AcceleratorError
from finnyaml.accelerator.devices.hwh import read_hwh
from tests.board import files

BLOCKS = [
    files.Block("idma0", files.DMA_REGISTERS),
    files.Block("odma0", files.DMA_REGISTERS),
    files.Block("StreamingDataflowPartition_1", {}, 1 << 16, interfaces=12),
]


def test_blocks_and_part(tmp_path: Path) -> None:
    file = tmp_path / "a.hwh"
    files.write_hwh(file, "xczu7ev-ffvc1156-2-e", BLOCKS, 100)
    handoff = read_hwh(file)
    assert (handoff.part, handoff.vivado) == ("xczu7ev-ffvc1156-2", None)
    assert handoff.ranges["idma0"] == ((0xA000_0000, 4096),)
    assert handoff.ranges["odma0"] == ((0xA000_1000, 4096),)
    # s_axi_control_2 comes before s_axi_control_10
    assert handoff.ranges["StreamingDataflowPartition_1"] == tuple(
        (0xA001_0000 + index * 0x1_0000, 0x1_0000) for index in range(12)
    )
    assert handoff.ranges["clk_wiz_0"] == ()


def test_the_version_of_vivado(tmp_path: Path) -> None:
    file = tmp_path / "a.hwh"
    files.write_hwh(file, "xc7z020clg400-1", BLOCKS, 100)
    head = '<EDKSYSTEM EDWVERSION="1.2" TIMESTAMP="Tue Oct 18 12:00:00 2022" VIVADOVERSION="2022.2">'
    file.write_text(file.read_text().replace("<EDKSYSTEM>", head))
    assert read_hwh(file).vivado == "2022.2"


@pytest.mark.parametrize("part", ["xc7z020clg400-1", "xczu3eg-sbva484-1-e"])
def test_the_clock_of_a_clocking_wizard(tmp_path: Path, part: str) -> None:
    file = tmp_path / "a.hwh"
    files.write_hwh(file, part, BLOCKS, 187.5, wizard=True)
    clock = read_hwh(file).clock
    assert clock is not None
    assert (clock.mhz, clock.pl_clock, clock.pl_mhz) == (187.5, 0, 100.0)
    assert ("clk_wiz_0 CLKOUT1_OUT_FREQ", 187.5) in clock.figures


@pytest.mark.parametrize(
    ("part", "parameter"),
    [
        ("xc7z020clg400-1", "PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ"),
        ("xczu3eg-sbva484-1-e", "PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ"),
    ],
)
def test_the_clock_of_a_processor(tmp_path: Path, part: str, parameter: str) -> None:
    file = tmp_path / "a.hwh"
    files.write_hwh(file, part, BLOCKS, 142.857, wizard=False)
    clock = read_hwh(file).clock
    assert clock is not None
    assert (clock.mhz, clock.pl_clock, clock.pl_mhz) == (142.857, 0, 142.857)
    assert (f"zynq_ps {parameter}", 142.857) in clock.figures


def test_figures_that_contradict_each_other_are_all_there(tmp_path: Path) -> None:
    file = tmp_path / "a.hwh"
    files.write_hwh(file, "xczu3eg-sbva484-1-e", BLOCKS, 200)
    file.write_text(file.read_text().replace('VALUE="200.00000"', 'VALUE="100.00000"'))
    clock = read_hwh(file).clock
    assert clock is not None
    assert sorted(mhz for _, mhz in clock.figures) == [100, 200]


def test_a_wizard_that_says_only_what_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.hwh"
    files.write_hwh(file, "xczu3eg-sbva484-1-e", BLOCKS, 200)
    text = file.read_text().replace("CLKOUT1_OUT_FREQ", "OTHER").replace('CLKFREQUENCY="200000000" ', "")
    file.write_text(text)
    clock = read_hwh(file).clock
    assert clock is not None
    assert (clock.mhz, clock.source) == (200, "clk_wiz_0 CLKOUT1_REQUESTED_OUT_FREQ")


def test_a_design_of_somebody_else_has_no_clock(tmp_path: Path) -> None:
    file = tmp_path / "a.hwh"
    files.write_hwh(file, "xczu3eg-sbva484-1-e", [files.Block("axi_dma_0", {})], 200)
    assert read_hwh(file).clock is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("by the stand-in of vivado\n", "syntax error"),
        ("<EDKSYSTEM>", "no element found"),
        ("<html><body/></html>", "describes no design"),
        ("<EDKSYSTEM><SYSTEMINFO/><MODULES/></EDKSYSTEM>", "describes no design"),
    ],
)
def test_what_is_no_hwh(tmp_path: Path, content: str, why: str) -> None:
    file = tmp_path / "a.hwh"
    file.write_text(content)
    with pytest.raises(AcceleratorError, match=why) as caught:
        read_hwh(file)
    assert caught.value.name == "bitfile damaged"


def test_an_address_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "a.hwh"
    files.write_hwh(file, "xczu3eg-sbva484-1-e", BLOCKS, 200)
    file.write_text(file.read_text().replace('BASEVALUE="0xA0000000"', 'BASEVALUE="none"'))
    with pytest.raises(AcceleratorError, match="not a hardware handoff file"):
        read_hwh(file)


def test_no_hwh(tmp_path: Path) -> None:
    with pytest.raises(AcceleratorError, match="No such file") as caught:
        read_hwh(tmp_path / "a.hwh")
    assert caught.value.name == "bitfile missing"
