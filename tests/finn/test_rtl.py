"""The open RTL path on a real network: FINN's own layers, stitched, sized, simulated, measured and exported.

Nothing stands in for anything here; no Vivado is involved, and none was ever compared with.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.finn.conftest import copy_recipes
from tests.project import Project

RECIPE = "digits-rtl"
SMALL = """
extends: recipe.yaml
name: small
output: build-small
steps:
  - qonnx_to_finn
  - tidy_up
  - streamline
  - convert_to_hw
  - leave_to_host
  - minimize_bit_width_initial
  - create_dataflow_partition
  - specialize_layers
  - target_fps_parallelization
  - apply_folding_config
  - minimize_bit_width
  - hw_codegen
  - hw_ipgen
  - set_fifo_depths
  - rtl.size_fifos
  - rtl.stitch
  - {uses: rtl.simulate, with: {frames: 200}}
  - {uses: rtl.simulate, id: stalled, with: {frames: 20, stalls: {input: 40, output: 40}}}
  - {uses: rtl.export, with: {frames: 2}}
verify:
  points: [tidy_up, {after: simulate, max_drop: 0.02}]
"""
"""digits-rtl without its synthesis, which tests/rtl has on smaller layers, and with fewer points."""


def report(project: Project, name: str) -> Any:
    return json.loads((project.folder / "build-small/report" / name).read_text())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, catalog_memos: Path) -> Project:
    folder = tmp_path_factory.mktemp("rtl")
    store = folder / "store"
    store.mkdir()
    shutil.copytree(catalog_memos, store / "memos")
    project = Project(copy_recipes(folder) / RECIPE, store, empty=True)
    project.write("small.yaml", SMALL)
    done = project.run("build", "small.yaml")
    assert done.returncode == 0, done.stderr
    return project


def test_every_frame_is_right_and_the_accuracy_is_that_of_the_rtl(built: Project) -> None:
    measured = json.loads((built.folder / "build-small/verification/simulate.json").read_text())
    assert measured["samples"] == 200
    assert measured["agreement"] == 1.0
    assert measured["value"] >= 0.97
    with np.load(built.folder / "build-small/rtl/simulation/simulate.npz") as kept:
        assert kept["outputs"].shape == (200, 10)
        assert len(np.unique(kept["answers"])) == 10


def test_every_layer_is_rtl(built: Project) -> None:
    styles = report(built, "layer_styles.json")
    assert {item["style"] for item in styles} == {"rtl"}


def test_sized_fifos_keep_finns_own_interval_with_less_memory_than_gauges(built: Project) -> None:
    sized, simulated = report(built, "rtl_fifo_sizing.json"), report(built, "rtl_simulation.json")
    assert sized["interval"] == pytest.approx(sized["max_cycles"], rel=0.015)
    assert simulated["interval"] == sized["interval"]
    assert sized["minimal"]["interval"] > sized["interval"], "the network needs deeper FIFOs somewhere"
    assert sized["bits"] <= sized["gauge"]["bits"]


def test_the_depths_go_into_finns_own_file(built: Project) -> None:
    depths = report(built, "fifo_config.json")["fifo_depths"]
    design = json.loads((built.folder / "build-small/rtl/design/design.json").read_text())
    assert {fifo["node"]: fifo["depth"] for fifo in design["fifos"]} == depths


def test_the_export_is_there(built: Project) -> None:
    exported = built.folder / "build-small/rtl/export"
    assert (exported / "files.f").is_file()


def test_nothing_is_simulated_twice(built: Project) -> None:
    again = built.run("build", "small.yaml")
    assert again.returncode == 0
    assert "up to date" in again.stdout


def test_new_weights_need_no_new_program(built: Project) -> None:
    """The simulators are kept beside the store, by their sources; weights are read when they start."""
    programs = sorted((built.store / "cache/programs").iterdir())
    weights = built.folder / "weights.pth"
    kept = weights.read_bytes()
    state = torch.load(weights, weights_only=True)
    name = next(name for name, value in state.items() if value.dtype == torch.int8)
    state[name] = state[name].roll(1, 0)  # other channels give the same sums: no layer gets wider or narrower
    torch.save(state, weights)
    try:
        done = built.run("build", "small.yaml", "--to", "simulate", "--set", "verify.on_fail=warn")
        assert done.returncode == 0, done.stderr
        assert sorted((built.store / "cache/programs").iterdir()) == programs
    finally:
        weights.write_bytes(kept)
