"""FIFO depths: found for a real residual network, put into its model, and read again by FINN itself."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.finn.fifos import fifo_config, fifo_report, with_depths
from finnyaml.finn.stitched import stitch
from finnyaml.rtl import verilator
from finnyaml.rtl.simulation import Build, Simulator
from finnyaml.rtl.sizing import Sizes, size
from tests.finn.two_layers import build_folder
from tests.rtl import small_network
from tests.rtl.small_network import CLOCK, PART, PE, WIDTH, frames

GENERATED = ("code_gen_dir_ipgen", "ipgen_path", "ip_path")


@dataclass(frozen=True)
class Sized:
    """minimal: the model with FIFOs of depth 2. dynamic: its simulator with depths at run time, and without data.
    sizes: what was found for it. model: with these depths."""

    minimal: Any
    dynamic: Simulator
    sizes: Sizes
    model: Any


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of programs, shared by test modules."""
    return tmp_path_factory.getbasetemp() / "programs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where FINN puts generated code, and everything else."""
    with build_folder(tmp_path_factory.mktemp("fifos")) as folder:
        yield folder


@pytest.fixture(scope="module")
def sized(folder: Path, cache: Path) -> Sized:
    with pytest.MonkeyPatch.context() as patch:
        minimal = small_network.generated(folder, patch, bypass=2)
    stitch(minimal, PART, CLOCK, folder / "minimal")
    dynamic = verilator.compile(folder / "minimal", folder / "work", cache, Build(dynamic_fifos=True, data=False))
    sizes = size(dynamic, frames(4), target=None, slack=0.0)
    return Sized(minimal, dynamic, sizes, with_depths(minimal, sizes.chosen.depths, PART, CLOCK))


def operators(model: Any) -> dict[str, Any]:
    from qonnx.custom_op.registry import getCustomOp

    return {node.name: getCustomOp(node) for node in model.graph.node}


def depths(model: Any) -> dict[str, int]:
    return {name: each.get_nodeattr("depth") for name, each in operators(model).items() if "FIFO" in name}


def test_a_residual_network_gets_fifos_without_which_it_would_stand_still(sized: Sized) -> None:
    sizes, design = sized.sizes, sized.dynamic.design
    assert sizes.minimal.interval is None
    assert sizes.chosen.interval == sizes.reachable == sizes.target
    assert sizes.chosen.interval <= 1.015 * design.max_cycles
    assert sizes.gauge.interval == sizes.target and sizes.chosen.bits <= sizes.gauge.bits
    deep = [fifo for fifo in design.fifos if sizes.chosen.depths[fifo.node] > 2]
    bypass = [fifo for fifo in deep if (fifo.producer, fifo.consumer) == ("DuplicateStreams_rtl_0", "IntegerAdd_rtl_0")]
    assert len(bypass) == 1 and WIDTH // PE - 5 < sizes.chosen.depths[bypass[0].node] < 3 * WIDTH // PE


def test_no_fifo_of_it_can_be_shallower(sized: Sized) -> None:
    chosen, target = sized.sizes.chosen.depths, sized.sizes.target
    for name, depth in chosen.items():
        if depth > 2:
            run = sized.dynamic.run(frames(20), depths={**chosen, name: depth - 1}, patience=3000)
            assert not run.finished or run.last_out[-1] - run.last_out[-2] > target


def test_fifo_sv_with_these_depths_takes_the_same_cycles(sized: Sized, folder: Path, cache: Path) -> None:
    """Real FINN sources against fifo_dynamic.sv and no data: whole designs, frame by frame, fill by fill."""
    stitch(sized.model, PART, CLOCK, folder / "sized")
    real = verilator.compile(folder / "sized", folder / "work", cache)
    assert {fifo.node: fifo.depth for fifo in real.design.fifos} == sized.sizes.chosen.depths
    inputs = frames(30)
    expected = sized.dynamic.run(inputs, depths=sized.sizes.chosen.depths)
    found = real.run(inputs)
    assert found.finished and found.last_out[-1] - found.last_out[-2] == sized.sizes.target
    assert np.array_equal(found.first_in, expected.first_in)
    assert np.array_equal(found.last_out, expected.last_out)
    assert found.fill == expected.fill
    assert found.outputs.any() and not expected.outputs.any()


def test_the_model_has_the_depths_and_new_code_for_those_that_changed(sized: Sized) -> None:
    before, after = operators(sized.minimal), operators(sized.model)
    assert depths(sized.model) == sized.sizes.chosen.depths
    assert set(depths(sized.minimal).values()) == {2}  # the model that was handed in is as it was
    changed = {name for name, depth in depths(sized.model).items() if depth != 2}
    assert changed
    for name, operator in after.items():
        for attribute in GENERATED:
            assert (operator.get_nodeattr(attribute) != before[name].get_nodeattr(attribute)) == (name in changed)
    for name in changed:
        code = (Path(after[name].get_nodeattr("code_gen_dir_ipgen")) / f"{name}.v").read_text()
        assert f".DEPTH({after[name].get_nodeattr('depth')})" in code
        assert not Path(before[name].get_nodeattr("code_gen_dir_ipgen")).exists()


def test_code_outside_of_finns_build_folder_stays(sized: Sized, tmp_path: Path) -> None:
    kept = tmp_path / "mine.v"
    kept.touch()
    model = copy.deepcopy(sized.model)
    name = next(name for name in depths(model))
    operators(model)[name].set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    with_depths(model, {name: depths(model)[name] + 1}, PART, CLOCK)
    assert kept.exists()


def test_finn_would_insert_fifos_of_these_depths_again(sized: Sized) -> None:
    """By the attributes of the layers around them: FINN's InsertFIFO on the same layers without FIFOs."""
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from qonnx.transformation.general import GiveUniqueNodeNames

    bare = small_network.layers().transform(GiveUniqueNodeNames())
    known = operators(sized.model)
    for name, layer in operators(bare).items():
        for attribute in ("inFIFODepths", "outFIFODepths"):
            layer.set_nodeattr(attribute, list(known[name].get_nodeattr(attribute)))
    inserted = depths(bare.transform(InsertFIFO(create_shallow_fifos=True)).transform(GiveUniqueNodeNames()))
    assert sorted(inserted.values()) == sorted(sized.sizes.chosen.depths.values())


def test_a_name_that_is_no_fifo_is_an_error(sized: Sized) -> None:
    with pytest.raises(ValueError, match="no FIFOs of the model: IntegerAdd_rtl_0"):
        with_depths(sized.minimal, {"IntegerAdd_rtl_0": 4}, PART, CLOCK)


def test_finns_own_step_reads_the_file(sized: Sized, folder: Path) -> None:
    """step_set_fifo_depths with auto_fifo_depths off, on the same layers without FIFOs."""
    from finnyaml.finn.door import open_door

    file = folder / "fifo_config.json"
    file.write_text(json.dumps(fifo_config(sized.model)))
    config = open_door().config_class(
        output_dir=str(folder / "out"),
        synth_clk_period_ns=CLOCK,
        fpga_part=PART,
        generate_outputs=[],
        auto_fifo_depths=False,
        fifo_config_file=file,
    )
    model = open_door().steps["step_set_fifo_depths"](small_network.layers(), config)
    assert depths(model) == sized.sizes.chosen.depths
    assert fifo_config(model) == json.loads(file.read_text())
    assert fifo_report(model) == json.loads((folder / "out/report/fifo_sizing.json").read_text())
    layers, expected = operators(model), operators(sized.model)
    assert layers.keys() == expected.keys()
