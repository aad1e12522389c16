"""Scripts of the shapes of two of finn-examples': their recipes build the graphs that FINN alone builds of the scripts.

Their networks are the stand-ins of recipes/finn-examples.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import finnyaml
from tests.exchange import alone
from tests.project import ROOT, Project

FOLDER = ROOT / "recipes/finn-examples"

HEAD = """
import os
import shutil

import finn.builder.build_dataflow as build
import finn.builder.build_dataflow_config as build_cfg
from finn.util.basic import alveo_default_platform

zynq_platforms = {zynq}
alveo_platforms = {alveo}


def platform_to_shell(platform):
    if platform in zynq_platforms:
        return build_cfg.ShellFlowType.VIVADO_ZYNQ
    return build_cfg.ShellFlowType.VITIS_ALVEO


os.makedirs("release", exist_ok=True)
"""

TAIL = """
for platform in zynq_platforms + alveo_platforms:
    shell = platform_to_shell(platform)
    release = alveo_default_platform[platform] if platform in alveo_platforms else platform
    os.makedirs("release/" + release, exist_ok=True)
    for name in {models}:
        cfg = build_cfg.DataflowBuildConfig(
            steps=select_build_steps(platform),
            output_dir="output_%s_%s" % (name, release),
            synth_clk_period_ns={clock},
            board=platform,
            shell_flow_type=shell,
            vitis_platform=release if platform in alveo_platforms else None,
            target_fps={fps},
            {more}
            generate_outputs=[
                build_cfg.DataflowOutputType.ESTIMATE_REPORTS,
                build_cfg.DataflowOutputType.PYNQ_DRIVER,
            ],
        )
        build.build_dataflow_cfg("models/%s.onnx" % name, cfg)
        for file in ("finn-accel.bit", "finn-accel.hwh"):
            if os.path.isfile(cfg.output_dir + "/bitfile/" + file):
                shutil.copy(cfg.output_dir + "/bitfile/" + file, "release/" + release)
"""

DIVIDE = """
import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType


def step_divide(model, cfg):
    source, result, by = model.graph.input[0].name, model.make_new_valueinfo_name(), model.make_new_valueinfo_name()
    model.set_initializer(by, np.asarray(255.0, dtype=np.float32))
    for node in model.find_consumers(source):
        node.input[0] = result
    model.graph.node.insert(0, helper.make_node("Div", [source, by], [result], name="PreprocDiv"))
    model.set_tensor_datatype(source, DataType["UINT8"])
    return model
"""

GTSRB = f"""{HEAD}{DIVIDE}

def select_build_steps(platform):
    return [step_divide, *build_cfg.estimate_only_dataflow_steps]

{TAIL}"""


@dataclass(frozen=True)
class Example:
    """A script, its modules by name, and its networks: what of stand_in.py makes them, and the shape of their input.

    `recipe` and `variant` are what comes of the build that writes into the folder `output`.
    """

    script: str
    networks: dict[str, str]
    shape: tuple[int, ...]
    output: str
    recipe: str
    variant: str
    modules: dict[str, str]
    zynq: tuple[str, ...] = ("ZCU104",)
    alveo: tuple[str, ...] = ()
    clock: float = 10.0
    fps: int = 1000
    more: str = "standalone_thresholds=True,"


EXAMPLES = {
    "bnn-pynq": Example(
        GTSRB, {"tfc-w1a1": "network('tfc_1W1A')", "tfc-w2a2": "network('tfc_2W2A')"}, (1, 1, 28, 28),
        "tfc-w2a2_Pynq-Z1", "recipe", "Pynq-Z1-tfc-w2a2", {}, ("Pynq-Z1", "Ultra96"),
    ),
    "gtsrb": Example(
        GTSRB, {"cnv_1w1a_gtsrb": "gtsrb()"}, (1, 3, 32, 32),
        "cnv_1w1a_gtsrb_Pynq-Z1", "recipe", "Pynq-Z1", {}, ("Pynq-Z1", "ZCU104"),
    ),
}  # fmt: skip

EXPORT = """
import sys, onnx, torch
from finnyaml.steps.exporting import export
sys.path.insert(0, sys.argv[1])
from stand_in import *
for file, call, shape in {networks!r}:
    onnx.save(export(eval(call).eval(), torch.rand(shape), {{}}), file)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the networks of all scripts, made in one process: it imports torch."""
    folder = tmp_path_factory.mktemp("models")
    networks = [
        (str(folder / f"{name}.onnx"), call, example.shape)
        for example in EXAMPLES.values()
        for name, call in example.networks.items()
    ]
    program = EXPORT.format(networks=networks)
    command = [sys.executable, "-W", "ignore", "-c", program, str(FOLDER)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.long
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_recipe_of_a_script_builds_its_graphs(name: str, project: Project, models: Path) -> None:
    example = EXAMPLES[name]
    for left in ("recipe.yaml", "steps.py"):
        (project.folder / left).unlink()
    fields = {"{zynq}": [*example.zynq], "{alveo}": [*example.alveo], "{models}": [*example.networks]}
    script = example.script
    for field, value in (*fields.items(), ("{clock}", example.clock), ("{fps}", example.fps), ("{more}", example.more)):
        script = script.replace(field, str(value))
    project.write("build.py", script)
    for module, text in example.modules.items():
        project.write(f"{module}.py", text)
    shutil.copytree(models, project.folder / "models")
    done = project.run("import", "build.py")
    assert done.returncode == 0, done.stderr
    recipe = finnyaml.load(
        project.folder / f"{example.recipe}.yaml", store=project.store, variant=example.variant or None
    )
    built = recipe.build()
    steps = [row["step"] for row in built.rows() if row["step"] != "model"]
    mine = [alone.digest(built.model(step)) for step in steps]
    theirs = alone.digests(project, example.output)
    assert len(mine) == len(theirs) > 8
    others = [step for step, one, two in zip(steps, mine, theirs, strict=True) if one != two]
    # `model` gives nodes and tensors their names, which FINN does in its first step: until then names differ.
    assert others == steps[: steps.index("qonnx_to_finn")]
