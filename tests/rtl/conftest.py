"""Simulators that tests share: compiling one takes seconds, so each is compiled once per session."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from finnyaml.rtl import verilator
from finnyaml.rtl.simulation import Build, Simulator
from tests.rtl import stand_in, two_layer_design
from tests.rtl.two_layers import TwoLayers


@pytest.fixture(scope="session")
def program_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for `verilator.compile` and `verilator.program`; the compiled runtime in it saves everybody's time."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="session")
def two_layers(tmp_path_factory: pytest.TempPathFactory) -> TwoLayers:
    """Two layers stitched by FINN; copy the folder to change it."""
    folder = tmp_path_factory.mktemp("two_layers") / "design"
    return TwoLayers(folder, *two_layer_design.stitched(folder))


@pytest.fixture(scope="session")
def simulator(two_layers: TwoLayers, program_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Simulator:
    """The plain simulator of `two_layers`."""
    return verilator.compile(two_layers.folder, tmp_path_factory.mktemp("work"), program_cache)


@pytest.fixture(scope="session")
def full_simulator(two_layers: TwoLayers, program_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Simulator:
    """The simulator of `two_layers` that also dumps its edges and takes FIFO depths."""
    build = Build(edges=True, dynamic_fifos=True)
    return verilator.compile(two_layers.folder, tmp_path_factory.mktemp("work"), program_cache, build)


@pytest.fixture(scope="session")
def stand_in_simulator(
    program_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path, stand_in.Fault], Simulator]:
    """Makes simulators of the stand-in for a design, in a folder that is given, with a fault; all are one program."""
    work = tmp_path_factory.mktemp("work")

    def simulator_in(folder: Path, fault: stand_in.Fault) -> Simulator:
        shutil.rmtree(folder, ignore_errors=True)
        stand_in.write(folder, fault)
        return verilator.compile(folder, work, program_cache)

    return simulator_in
