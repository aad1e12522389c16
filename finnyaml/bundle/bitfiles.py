"""The bitfile of a bundle: found in a build, or brought later; checked by what the board would check."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.devices.bitfile import Xclbin, read_bitfile
from finnyaml.accelerator.devices.board import check_bitfile
from finnyaml.accelerator.devices.hwh import read_hwh
from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.bundle.write import write_json
from finnyaml.errors import StepFailed

FOLDER = "bitfile"
NAME = "finn-accel"
ENDINGS = {"zynq-iodma": ".bit", "alveo": ".xclbin"}


def built(folder: Path) -> Path | None:
    """The bitfile that FINN left in its folder; None where there is none.

    Raises StepFailed: several, for several FPGAs.
    """
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS.values())
    except FileNotFoundError:
        return None
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise StepFailed(f"there are several bitfiles ({names}); a bundle is for one FPGA")
    return found[0] if found else None


def place(bundle: Path, data: dict[str, Any], bitfile: Path, hwh: Path) -> None:
    """Copy a bitfile (with its .hwh, if it is a .bit) into a bundle, under FINN's names, and note it in its data.

    Noted are its path, its clock, and the version of Vivado.
    Raises AcceleratorError: one of them is not there, damaged, or of another kind than the platform takes.
    """
    platform = data["target"]["platform"]
    if bitfile.suffix != ENDINGS.get(platform):
        raise AcceleratorError(
            f"{bitfile.name} is not a {ENDINGS.get(platform)} file, which {data['target']['board'] or platform} takes",
            name="bitfile differs",
        )
    found = read_bitfile(bitfile)
    handoff = None if isinstance(found, Xclbin) else read_hwh(hwh)
    target = bundle / FOLDER
    if target.exists():
        shutil.rmtree(target)
    target.mkdir()
    named = f"{FOLDER}/{NAME}{bitfile.suffix}"
    shutil.copyfile(bitfile, bundle / named)
    data["driver"].update(bitfile=named, hwh=None)
    if handoff is None:
        mhz, source = found.clock_mhz if isinstance(found, Xclbin) else None, named
    else:
        shutil.copyfile(hwh, bundle / FOLDER / f"{NAME}.hwh")
        data["driver"]["hwh"] = f"{FOLDER}/{NAME}.hwh"
        mhz = handoff.clock.mhz if handoff.clock else None
        source = f"{FOLDER}/{NAME}.hwh: {handoff.clock.source}" if handoff.clock else ""
    data["target"]["clock"].update(achieved_mhz=mhz, source=source if mhz else None)
    tools = {name: version for name, version in data["built_with"]["tools"].items() if name != "vivado"}
    if handoff is not None and handoff.vivado is not None:
        tools["vivado"] = handoff.vivado  # an .xclbin does not say it
    data["built_with"] = {**data["built_with"], "tools": dict(sorted(tools.items()))}


def check(folder: Path, data: Mapping[str, Any]) -> None:
    """Check the bitfile that was placed, as the board does: part, blocks, clock, and whether it is whole.

    Raises AcceleratorError: "bitfile damaged", "bitfile differs", "clock differs".
    """
    target = data["target"]
    asked = {**target, "clock": {**target["clock"], "achieved_mhz": None}}  # not with what it says itself
    write_json(folder, {**data, "target": asked})
    check_bitfile(Bundle.load(folder), folder / data["driver"]["bitfile"])
