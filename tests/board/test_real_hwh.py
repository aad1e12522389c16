"""Our reading of .hwh files that Vivado wrote (they come with pynqmetadata), beside PYNQ's."""

from __future__ import annotations

from pathlib import Path

import pynqmetadata
import pytest
from pynqmetadata.frontends import Metadata
from pynqmetadata.views.runtime import RuntimeMetadataParser

from finnyaml.accelerator.devices.bitfile import Xclbin, read_bitfile
from finnyaml.accelerator.devices.hwh import read_hwh

FILES = Path(pynqmetadata.__file__).parent / "tests/hwhs"


@pytest.mark.parametrize(
    ("name", "part", "clocked"),
    [("resizer", "xc7z020clg400-1", "resize_accel_0"), ("rfsoc_sam", "xczu48dr-ffvg1517-2", None)],
)
def test_part_addresses_and_clock(tmp_path: Path, name: str, part: str, clocked: str | None) -> None:
    text = (FILES / f"{name}.hwh").read_text(encoding="utf-8-sig")
    file = tmp_path / f"{name}.hwh"
    file.write_text(text.replace(clocked, "idma0") if clocked else text, encoding="utf-8-sig")
    handoff = read_hwh(file)
    theirs = RuntimeMetadataParser(Metadata(input=file)).ip_dict
    ours = {name: ranges[-1] for name, ranges in handoff.ranges.items() if ranges}
    # PYNQ names blocks by their place in the hierarchy, the file by one long name.
    assert {
        name.replace("/", "_"): (block["phys_addr"], block["addr_range"])
        for name, block in theirs.items()
        if "phys_addr" in block
    } == ours
    assert handoff.part == part
    assert (handoff.clock is not None) == (clocked is not None)
    if handoff.clock is not None:
        assert (handoff.clock.mhz, handoff.clock.pl_clock, handoff.clock.pl_mhz) == (100.0, 0, 100.0)
        assert handoff.clock.figures[1] == ("processing_system7_0 PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ", 100.0)


def test_the_xclbin_of_pynq() -> None:
    """PYNQ brings one along, for Zynq boards without one of their own: no kernels in it."""
    import pynq.pl_server

    found = read_bitfile(Path(pynq.pl_server.__file__).with_name("default.xclbin"))
    assert isinstance(found, Xclbin)
    assert (found.kernels, found.clock_mhz) == ((), None)
