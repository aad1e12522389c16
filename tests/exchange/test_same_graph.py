"""A recipe that was imported builds the graph that its script builds with FINN alone, step by step."""

from __future__ import annotations

import shutil

import pytest

from tests.exchange import alone
from tests.project import ROOT, Project

SCRIPT = """\
import finn.builder.build_dataflow as build
import finn.builder.build_dataflow_config as build_cfg
from finn.builder.custom_step_library.general import add_postproc_top1, add_preproc_divide_by_255
import numpy as np
from onnx import helper
from qonnx.transformation.infer_shapes import InferShapes

MIDDLE = 0.5


def centred(model, cfg):
    source = model.graph.node[0].output[0]
    consumers, tensor = model.find_consumers(source), source
    for position, operator in ((1, "Sub"), (2, "Div")):
        constant = model.make_new_valueinfo_name()
        model.set_initializer(constant, np.asarray([MIDDLE], np.float32))
        result = model.make_new_valueinfo_name()
        model.set_tensor_shape(result, model.get_tensor_shape(model.graph.input[0].name))
        model.graph.node.insert(position, helper.make_node(operator, [tensor, constant], [result]))
        tensor = result
    for node in consumers:
        node.input[0] = tensor
    return model.transform(InferShapes())


cfg = build_cfg.DataflowBuildConfig(
    steps=[add_preproc_divide_by_255, centred, add_postproc_top1, *build_cfg.estimate_only_dataflow_steps],
    output_dir="output_digits",
    target_fps=100000,
    synth_clk_period_ns=10.0,
    board="Pynq-Z1",
    standalone_thresholds=True,
    generate_outputs=[build_cfg.DataflowOutputType.ESTIMATE_REPORTS],
)
build.build_dataflow_cfg("digits-mlp.onnx", cfg)
"""


@pytest.mark.long
def test_the_graph_after_every_step_is_that_of_the_script(project: Project) -> None:
    shutil.copy(ROOT / "recipes" / "from-onnx" / "digits-mlp.onnx", project.folder)
    project.write("build.py", SCRIPT)
    (project.folder / "recipe.yaml").unlink()
    (project.folder / "steps.py").unlink()
    done = project.run("import", "build.py")
    assert done.returncode == 0, done.stderr
    ran = project.ran()
    theirs = alone.digests(project, "digits")
    steps = [name for name in ran if name != "model"]
    models = project.folder / "build" / "intermediate_models"
    files = [next(models.glob(f"{prefix}{name}.onnx"), None) for name in steps for prefix in ("step_", "")]
    mine = [alone.digest(file) for file in files if file is not None]
    assert len(theirs) == len(mine) > 10
    other_graphs = [name for name, one, two in zip(steps, mine, theirs, strict=True) if one != two]
    # `model` gives nodes and tensors their names, which FINN does in its first step: until then names differ.
    assert other_graphs == steps[: steps.index("qonnx_to_finn")]
