"""The open RTL path on a real network: FINN's own layers, stitched, sized, simulated, measured and exported.

Nothing stands in for anything here; no Vivado is involved, and none was ever compared with.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from finnyaml.errors import ExitCode, ToolMissing
from finnyaml.worker.runners.finn_open import refuse_hls
from tests.finn.conftest import copy_recipes
from tests.project import Project

RECIPE = "digits-rtl"
STEPS = """
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
"""
"""digits-rtl up to its code."""

HARDWARE = """
  - set_fifo_depths
  - rtl.size_fifos
  - rtl.stitch
  - {uses: rtl.simulate, with: {frames: 24}}
"""

SMALL = (
    STEPS
    + HARDWARE.replace("24", "200")
    + """
  - {uses: rtl.simulate, id: short, with: {frames: 2}}
  - {uses: rtl.export, with: {frames: 2}}
verify:
  points: [tidy_up, {after: simulate, max_drop: 0.02}]
"""
)
"""Without the synthesis, which tests/rtl has on smaller layers, and with fewer points."""

FAULTS = """
from pathlib import Path

from finnyaml.finn.fifos import with_depths


def lines(cfg, name, change):
    file = Path(cfg.output_dir) / "rtl/design/data" / name
    found = file.read_text().split()
    change(found)
    file.write_text("\\n".join(found) + "\\n")


def flip_a_bit(model, cfg):
    def change(words):  # six words of 12 weights for each channel
        word = words[6 * 5 + 2]
        words[6 * 5 + 2] = f"{int(word, 16) ^ 1:0{len(word)}x}"

    lines(cfg, "MVAU_rtl_1__memblock.dat", change)
    return model


def exchange_channels(model, cfg):
    def change(words):  # three words for each channel
        words[6:9], words[15:18] = words[15:18], words[6:9]

    lines(cfg, "MVAU_rtl_0__memblock.dat", change)
    return model


def one_beat_less(model, cfg):
    from qonnx.custom_op.registry import getCustomOp

    depths = {
        node.name: getCustomOp(node).get_nodeattr("depth")
        for node in model.graph.node
        if node.op_type == "StreamingFIFO_rtl"
    }
    deepest = max(depths, key=depths.get)
    return with_depths(model, {deepest: depths[deepest] - 1}, cfg._resolve_fpga_part(), cfg.synth_clk_period_ns)
"""


def own_folder(name: str) -> str:
    """The steps for another recipe beside the small one: each has a workspace of its own."""
    return STEPS.replace("build-small", f"build-{name}")


def report(project: Project, name: str) -> Any:
    return json.loads((project.folder / "build-small/report" / name).read_text())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, warm_store: Path) -> Project:
    folder = tmp_path_factory.mktemp("rtl")
    store = folder / "store"
    shutil.copytree(warm_store, store)
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
        assert len(np.unique(kept["network"])) == 10


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


def test_finns_own_report_has_the_depths(built: Project) -> None:
    depths, finns = report(built, "fifo_config.json")["fifo_depths"], report(built, "fifo_sizing.json")
    assert finns["fifo_depths"] == depths and max(depths.values()) > 2
    assert finns["total_fifo_size_kiB"] == sum(finns["fifo_sizes"].values()) / 8 / 1024


def test_two_frames_show_an_interval_in_a_report_of_their_own(built: Project) -> None:
    short = report(built, "rtl_simulation_short.json")
    assert short["frames"] == 2 and short["interval"] > 0  # the FIFOs are still being filled, so it is no other's
    assert report(built, "rtl_simulation.json")["frames"] == 200


@pytest.mark.long
def test_two_frames_cannot_show_that_a_limit_is_kept(built: Project) -> None:
    limit = report(built, "rtl_fifo_sizing.json")["target"]
    hardware = HARDWARE.replace("24", f"2, max_interval: {limit}")
    built.write("two.yaml", f"{own_folder('two')}{hardware}verify: {{points: []}}\n")
    done = built.run("build", "two.yaml", "--to", "simulate")
    assert done.returncode == ExitCode.STEP_FAILED, done.stderr
    assert "give rtl.simulate `frames: " in done.stderr


def test_nothing_is_simulated_twice(built: Project) -> None:
    again = built.run("build", "small.yaml")
    assert again.returncode == 0
    assert "up to date" in again.stdout


@pytest.mark.long
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
        assert re.search(r"\+ simulate +\d", done.stderr), done.stderr
        assert sorted((built.store / "cache/programs").iterdir()) == programs
    finally:
        weights.write_bytes(kept)


@pytest.mark.parametrize(
    ("fault", "after", "message"),
    [
        pytest.param(
            "flip_a_bit",
            "rtl.stitch",
            r"MVAU_rtl_1 \(MVAU_rtl\) is the first layer .* One wrong weight .* for output channel 5 ",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "exchange_channels",
            "rtl.stitch",
            r"MVAU_rtl_0 \(MVAU_rtl\) is the first layer .* Its output channels 2 and 5 are exchanged",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "one_beat_less",
            "rtl.size_fifos",
            r"a frame comes out every .* StreamingFIFO_rtl_\d+ has depth \d+, not \d+ \(between ",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_fault_stops_the_build_and_is_named(built: Project, fault: str, after: str, message: str) -> None:
    built.write("faults.py", FAULTS)
    hardware = HARDWARE.replace(f"- {after}\n", f'- {after}\n  - {{uses: "faults.py:{fault}"}}\n')
    built.write(f"{fault}.yaml", f"{own_folder(fault)}{hardware}verify: {{points: []}}\n")
    done = built.run("build", f"{fault}.yaml", "--to", "simulate")
    assert done.returncode == 3, done.stderr
    assert re.search(message, " ".join(done.stderr.split())), done.stderr


@pytest.mark.long
def test_finn_simulates_layer_by_layer_without_vivado(built: Project) -> None:
    points = "verify: {points: [{after: node_by_node_rtlsim, limit: 1}]}\n"
    built.write("layers.yaml", own_folder("layers") + points)
    done = built.run("build", "layers.yaml")
    assert done.returncode == 0, done.stderr
    left = {path.name for path in (built.folder / "build-layers").rglob("verify_*")}
    assert any(name.startswith("verify_node_by_node_rtlsim_0_SUCCESS") for name in left), left


@pytest.mark.long
def test_the_best_folding_is_as_fast_as_promised(built: Project) -> None:
    """From the search to the hardware with its FIFOs sized, every bit right, the interval within 1 %."""
    wanted = "folding: {target_fps: null, optimize: {minimize: {lut: 1, bram: 80}, target_fps: 20000}}\n"
    built.write("promise.yaml", f"{own_folder('promise')}{HARDWARE}{wanted}verify: {{points: []}}\n")
    done = built.run("build", "promise.yaml", "--to", "simulate")
    assert done.returncode == 0, done.stderr
    reports = {
        path.stem: json.loads(path.read_text()) for path in (built.folder / "build-promise/report").glob("*.json")
    }
    promised = reports["folding"]["cycles"]
    assert promised <= 5_000 and reports["folding"]["proven"]
    assert reports["rtl_simulation"]["interval"] == pytest.approx(promised, rel=0.01)
    assert reports["rtl_fifo_sizing"]["interval"] == pytest.approx(promised, rel=0.01)


@pytest.mark.parametrize("op_type", ["FINNLoop", "NodeContainer"])
def test_a_design_within_the_design_is_refused(op_type: str) -> None:
    """FINN would start Vivado for it, in step_generate_hardware."""
    from qonnx.core.modelwrapper import ModelWrapper

    node = helper.make_node(op_type, ["x"], ["y"], f"{op_type}_0", domain="finn.custom_op.fpgadataflow.rtl")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    model = ModelWrapper(helper.make_model(helper.make_graph([node], "loop", [x], [y])))
    with pytest.raises(ToolMissing, match=f"needs Vivado, .*{op_type}_0") as caught:
        refuse_hls(model, "step_generate_hardware")
    assert caught.value.exit_code == 4


def test_a_layer_in_hls_is_named(built: Project) -> None:
    built.write("hls.yaml", f"{own_folder('hls')}specialize: {{prefer: hls}}\nverify: {{points: []}}\n")
    done = built.run("build", "hls.yaml")
    assert done.returncode == 4, done.stderr
    assert re.search(r"hw_ipgen needs Vitis HLS, .*: \w+_hls_0", done.stderr), done.stderr
