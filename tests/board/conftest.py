"""Bundles with a bitfile, on the stand-in for the board.

FINNYAML_BUNDLE names a bundle folder to test (it is copied); without it, the sample of tests/bundle is it.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.accelerator import Accelerator, Bundle
from tests.board import files
from tests.board.standin import StandIn
from tests.bundle.sample import read_json, sample_bundle, write_json

ZYNQ7, ZYNQMP = "xc7z020clg400-1", "xczu7ev-ffvc1156-2-e"


class Board:
    """A bundle folder with a made-up bitfile and .hwh, and what is on the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def data(self) -> dict[str, Any]:
        """`bundle.json`; change it with `edit`."""
        return read_json(self.folder)

    def edit(self, **changes: Any) -> None:
        """Change entries of `driver` in bundle.json."""
        data = self.data
        data["driver"].update(changes)
        write_json(self.folder, data)

    def attach(self, *, part: str = ZYNQMP, mhz: float | None = None, wizard: bool = True, without: str = "") -> None:
        """Give it a bitfile for `part`, implemented for `mhz` (the bundle's), lacking the block `without`."""
        data = self.data
        (self.folder / "bitfile").mkdir(exist_ok=True)
        bitfile = self.folder / "bitfile/finn-accel.bit"
        blocks = [block for block in files.blocks_of(data) if block.name != without]
        files.write_bit(bitfile, part)
        files.write_hwh(bitfile.with_suffix(".hwh"), part, blocks, mhz or data["driver"]["clock_mhz"], wizard=wizard)
        data["target"]["part"] = part
        data["driver"].update(bitfile="bitfile/finn-accel.bit", hwh="bitfile/finn-accel.hwh")
        write_json(self.folder, data)

    def standin(self, **misbehaviour: bool) -> StandIn:
        """A fresh stand-in for this bundle."""
        return StandIn(Bundle.load(self.folder), **misbehaviour)

    def emulated(self) -> Accelerator:
        """The same bundle without a board."""
        return Accelerator(self.folder, emulate=True)

    def images(self, count: int) -> np.ndarray:
        """The first images of the golden samples."""
        with np.load(self.folder / self.data["golden"]["file"]) as golden:
            return golden["inputs"][:count]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """The bundle that FINNYAML_BUNDLE names, else the sample; with a bitfile made up for it, for a ZynqMP."""
    given = os.environ.get("FINNYAML_BUNDLE")
    folder = tmp_path / "bundle"
    if given:
        shutil.copytree(given, folder)
    else:
        sample_bundle(folder)
    made = Board(folder)
    made.attach()
    return made


@pytest.fixture
def weighted(tmp_path: Path) -> Board:
    """The sample with runtime-writeable weights."""
    made = Board(sample_bundle(tmp_path / "weighted", weights=True))
    made.attach()
    return made


def make_settings(board: Board) -> None:
    """A driver/settings.json as finn-plus writes it, where the bundle has none; made from the contract."""
    data = board.data
    if data["driver"]["settings"] is None:
        information = {
            "driver_type": data["driver"]["type"],
            "io_shape_dict": io_shapes(data),
            "external_weights": bool(data["driver"]["external_weights"]),
            "runtime_weights": bool(data["driver"]["runtime_weights"]),
            "platform": data["driver"]["platform"],
            "fclk_mhz": data["driver"]["clock_mhz"],
        }
        settings = {"driver_information": information, "experiment_information": {}}
        (board.folder / "driver/settings.json").write_text(json.dumps(settings))
        board.edit(settings="driver/settings.json")


def io_shapes(data: dict[str, Any]) -> dict[str, Any]:
    """FINN's io_shape_dict."""
    found: dict[str, Any] = {}
    for letter, ports in (
        ("i", data["contract"]["accelerator"]["inputs"]),
        ("o", data["contract"]["accelerator"]["outputs"]),
    ):
        found[f"{letter}dt"] = [f"DataType['{port['datatype']}']" for port in ports]
        for shape in ("normal", "folded", "packed"):
            found[f"{letter}shape_{shape}"] = [port[shape] for port in ports]
        found[f"{letter}dma_names"] = [port["name"] for port in ports]
        found[f"num_{'inputs' if letter == 'i' else 'outputs'}"] = len(ports)
    external = data["driver"]["external_weights"]
    found["number_of_external_weights"] = len(external)
    found["external_weights_input_shapes"] = {entry["dma"]: [1, entry["repeats"]] for entry in external}
    return found
