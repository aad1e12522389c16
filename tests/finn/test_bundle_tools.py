"""A bundle after FINN's own synthesis and driver steps: FINN's real steps, and STAND-INS for Vivado and Vitis HLS.

The stand-ins leave a bitfile with nothing in it. A step of the recipe puts a made-up .bit and .hwh in its place, of the
form of real ones and with no design in them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.finn.test_bundle import facts, host
from tests.finn.test_tools import FLOW, Site
from tests.project import ROOT, Project

pytestmark = pytest.mark.long  # each of them builds to the end with stand-ins of the tools

FILL = '''
import sys
from pathlib import Path

sys.path.insert(0, {root!r})


def fill(model, cfg):
    """Made-up files of the form of real ones, for the blocks that FINN's settings name."""
    from tests.board.files import Block, DMA_REGISTERS, write_bit, write_hwh

    folder = Path(cfg.output_dir) / "bitfile"
    blocks = [Block(name, DMA_REGISTERS) for name in ("idma0", "odma0")]
    write_bit(folder / "finn-accel.bit", cfg._resolve_fpga_part())
    write_hwh(folder / "finn-accel.hwh", cfg._resolve_fpga_part(), blocks, 50.0)
    return model
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, built_digits: Project) -> Site:
    made = Site.make(tmp_path_factory.mktemp("synthesised"), built_digits.store)
    made.steps(FLOW)
    return made


def test_an_empty_bitfile_is_refused(site: Site) -> None:
    done = site.project.run("build", "recipe.yaml", "--target", "bundle", **site.environ)
    assert done.returncode == 1
    assert "FINN's bitfile: bitfile damaged" in done.stderr


@pytest.fixture(scope="module")
def bundle(site: Site) -> Path:
    site.project.write("fill.py", FILL.format(root=str(ROOT)))
    site.steps(FLOW.replace("- {uses: make_driver", "- 'fill.py:fill'\n- {uses: make_driver"))
    site.build("--target", "bundle")
    return site.project.folder / "build/bundle/digits-cnv"


def test_finns_driver_is_in_it_unedited_and_agrees_with_the_contract(site: Site, bundle: Path) -> None:
    own = site.project.folder / "build/driver"
    assert (bundle / "driver/settings.json").read_bytes() == (own / "settings.json").read_bytes()
    told = json.loads((own / "settings.json").read_text())["driver_information"]["io_shape_dict"]
    found = facts(bundle)
    ((source,), (sink,)) = found["contract"]["accelerator"].values()
    for letter, port in (("i", source), ("o", sink)):
        assert told[f"{letter}dma_names"] == [port["name"]]
        assert told[f"{letter}dt"] == [f"DataType['{port['datatype']}']"]
        for form in ("normal", "folded", "packed"):
            assert told[f"{letter}shape_{form}"] == [port[form]]


def test_it_is_complete(bundle: Path) -> None:
    found = facts(bundle)
    assert found["driver"]["bitfile"] == "bitfile/finn-accel.bit"
    assert found["target"]["clock"]["achieved_mhz"] == pytest.approx(50.0)
    assert "bitfile" not in {item["what"] for item in found["missing"]}
    assert found["golden"]["source"] == "random values"  # this recipe has no data
    assert found["accuracy"] is None
    done = host(bundle, "selftest", "--emulate")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_truncated_bitfile_and_another_clock_are_named(bundle: Path, tmp_path: Path) -> None:
    spoilt = Path(shutil.copytree(bundle, tmp_path / "spoilt"))
    bitfile, handoff = spoilt / "bitfile/finn-accel.bit", spoilt / "bitfile/finn-accel.hwh"
    bitfile.write_bytes(bitfile.read_bytes()[:-100])
    handoff.write_text(handoff.read_text().replace("50000000", "100000000"))
    done = host(spoilt, "selftest", "--emulate")
    assert done.returncode == 1
    assert "bitfile damaged" in done.stdout and "truncated" in done.stdout
    assert "clock differs" in done.stdout
