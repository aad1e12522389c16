"""Designs without data: every handshake comes in the cycle in which it comes with data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finnyaml.finn.identity import package_root
from finnyaml.rtl import overlay, timing, verilator
from finnyaml.rtl.simulation import NONE, Build, Simulator, Stalls
from tests.rtl import two_layer_design
from tests.rtl.two_layers import TwoLayers

WITHOUT = Build(dynamic_fifos=True, data=False)
DEPTHS = (2, 7, 40, 1 << 30)


def assert_the_same_cycles(whole: Simulator, bare: Simulator, inputs: np.ndarray) -> None:
    for depth in DEPTHS:
        depths = {fifo.node: depth for fifo in whole.design.fifos}
        for stalls in (NONE, Stalls(30, 60, 3)):
            expected = whole.run(inputs, depths=depths, stalls=stalls)
            found = bare.run(inputs, depths=depths, stalls=stalls)
            assert found.finished and expected.outputs.any() and not found.outputs.any()
            assert np.array_equal(found.first_in, expected.first_in)
            assert np.array_equal(found.last_out, expected.last_out)
            assert found.fill == expected.fill and found.cycles == expected.cycles


def test_words_pass_in_the_same_cycles(
    two_layers: TwoLayers, full_simulator: Simulator, program_cache: Path, tmp_path: Path
) -> None:
    bare = verilator.compile(two_layers.folder, tmp_path, program_cache, WITHOUT)
    assert_the_same_cycles(full_simulator, bare, np.tile(two_layers.inputs, (4, 1, 1)))


@pytest.mark.long
def test_words_pass_in_the_same_cycles_on_versal(program_cache: Path, tmp_path: Path) -> None:
    """There FINN has another core for its matrix layers."""
    folder = tmp_path / "design"
    inputs, _ = two_layer_design.stitched(folder, "xcvc1902-vsva2197-2MP-e-S")
    assert "genINT8" in (folder / "src/mvu_vvu_axi.sv").read_text()
    whole, bare = (
        verilator.compile(folder, tmp_path, program_cache, build) for build in (Build(dynamic_fifos=True), WITHOUT)
    )
    assert_the_same_cycles(whole, bare, np.tile(inputs, (4, 1, 1)))


def test_the_sources_of_this_finn_are_those_that_data_is_taken_out_of() -> None:
    """Where they are not, simulations still are right, and slow."""
    root = package_root("finn")
    assert root is not None
    found = {path.name: path for path in sorted((root / "finn-rtllib").rglob("*.sv"))}
    added = [patch for patch in timing.TIMING["finn-plus 1.6.1"] if patch not in overlay.SIMULATION["finn-plus 1.6.1"]]
    assert len(added) == 8
    for patch in added:
        assert overlay.mends(patch, found[patch.file].read_text())


def test_another_text_stays_whole() -> None:
    text = "module memstream;\nendmodule\n"
    assert overlay.patched_source("memstream.sv", text, "finn-plus 1.6.1", timing.TIMING) == text
