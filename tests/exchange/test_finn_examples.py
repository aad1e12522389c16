"""Scripts of the shapes of finn-examples': their recipes build the graphs that the scripts build with FINN alone.

Their networks are the stand-ins of recipes/finn-examples, with few channels.
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

BACK = """\
"step_create_dataflow_partition", "step_specialize_layers", "step_target_fps_parallelization",
        "step_apply_folding_config", "step_minimize_bit_width", "step_generate_estimate_reports",
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

KWS = f"""{HEAD}
from qonnx.transformation.insert_topk import InsertTopK
from qonnx.core.datatype import DataType
import custom


def step_preprocess(model, cfg):
    model.set_tensor_datatype(model.graph.input[0].name, DataType["UINT8"])
    return model.transform(InsertTopK(k=1))


def select_build_steps(platform):
    return [custom.scaled(255), step_preprocess, *build_cfg.estimate_only_dataflow_steps]

{TAIL}"""

SCALED = """
def scaled(by):
    def step_scaled(model, cfg):
        for node in model.graph.node:
            node.doc_string = ""
        model.set_metadata_prop("scaled", str(by))
        return model
    return step_scaled
"""

MOBILENET = f"""{HEAD}
from custom_steps import step_mobilenet_streamline, step_mobilenet_lower, step_mobilenet_hw, step_mobilenet_hw_separate


def select_build_steps(platform):
    return [
        "step_qonnx_to_finn", "step_tidy_up", step_mobilenet_streamline, step_mobilenet_lower,
        step_mobilenet_hw_separate if platform in zynq_platforms else step_mobilenet_hw,
        {BACK}
    ]

{TAIL}"""

MOBILENET_STEPS = """
from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import InferElementwiseBinaryOperation
from finn.transformation.fpgadataflow.convert_to_hw.label_select import InferLabelSelectLayer
from finn.transformation.fpgadataflow.convert_to_hw.pool import InferPool
from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
from finn.transformation.fpgadataflow.convert_to_hw.vector_vector_activation import InferVectorVectorActivation
import finn.transformation.streamline.absorb as absorb
import finn.transformation.streamline.reorder as reorder
from finn.transformation.streamline import Streamline
from finn.transformation.streamline.collapse_repeated import CollapseRepeatedMul
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from qonnx.transformation.change_datalayout import ChangeDataLayoutQuantAvgPool2d
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul
from qonnx.transformation.remove import RemoveIdentityOps


def named(model):
    for transformation in (InferShapes(), GiveUniqueNodeNames(), GiveReadableTensorNames(), InferDataTypes()):
        model = model.transform(transformation)
    return model


def step_mobilenet_streamline(model, cfg):
    model = model.transform(Streamline())
    for transformation in (
        reorder.MoveMulPastDWConv(), absorb.AbsorbMulIntoMultiThreshold(), ChangeDataLayoutQuantAvgPool2d(),
        InferDataLayouts(), reorder.MoveTransposePastScalarMul(), absorb.AbsorbTransposeIntoFlatten(),
        reorder.MoveFlattenPastAffine(), reorder.MoveScalarMulPastMatMul(), CollapseRepeatedMul(),
        RemoveIdentityOps(), RoundAndClipThresholds(),
    ):
        model = named(model.transform(transformation))
    return model


def step_mobilenet_lower(model, cfg):
    for transformation in (
        LowerConvsToMatMul(), absorb.AbsorbTransposeIntoMultiThreshold(), absorb.AbsorbConsecutiveTransposes(),
        InferDataLayouts(),
    ):
        model = model.transform(transformation)
    return named(model)


def converted(model, separate):
    listed = [InferPool(), InferConvInpGen()]
    listed += [InferThresholdingLayer()] if separate else []
    listed += [InferVectorVectorActivation(), InferQuantizedMatrixVectorActivation()]
    for transformation in (*listed, InferElementwiseBinaryOperation(), InferLabelSelectLayer()):
        model = model.transform(transformation)
    return named(model)


def step_mobilenet_hw(model, cfg):
    return converted(model, separate=False)


def step_mobilenet_hw_separate(model, cfg):
    return converted(model, separate=True)
"""

RESNET = f"""{HEAD}
from custom_steps import step_resnet_tidy, step_resnet_streamline, step_resnet_hw


def select_build_steps(platform):
    return [
        "step_qonnx_to_finn", step_resnet_tidy, step_resnet_streamline, step_resnet_hw,
        {BACK}
    ]

{TAIL}"""

RESNET_STEPS = """
from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
from finn.transformation.fpgadataflow.convert_to_hw.duplicate_streams import InferDuplicateStreamsLayer
from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import InferElementwiseBinaryOperation
from finn.transformation.fpgadataflow.convert_to_hw.label_select import InferLabelSelectLayer
from finn.transformation.fpgadataflow.convert_to_hw.pool import InferPool
from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
import finn.transformation.streamline.absorb as absorb
import finn.transformation.streamline.reorder as reorder
from finn.transformation.move_reshape import RemoveCNVtoFCFlatten
from finn.transformation.streamline import Streamline
from qonnx.core.datatype import DataType
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames, SortGraph
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.insert_topk import InsertTopK
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul


def through(model, *transformations):
    for transformation in (*transformations, InferShapes(), GiveUniqueNodeNames(), GiveReadableTensorNames()):
        model = model.transform(transformation)
    return model.transform(InferDataTypes())


def step_resnet_tidy(model, cfg):
    model.set_tensor_datatype(model.graph.input[0].name, DataType["UINT8"])
    return through(model, InferShapes(), FoldConstants(), InsertTopK(), InferShapes())


def step_resnet_streamline(model, cfg):
    for _ in range(4):
        model = through(model, Streamline(), reorder.MoveLinearPastEltwiseAdd(), reorder.MoveLinearPastFork())
        model = model.transform(SortGraph())
    return through(model, absorb.AbsorbScalarMulAddIntoTopK())


def step_resnet_hw(model, cfg):
    for transformation in (
        InferElementwiseBinaryOperation, LowerConvsToMatMul, InferPool, absorb.AbsorbTransposeIntoMultiThreshold,
        InferQuantizedMatrixVectorActivation, InferThresholdingLayer, absorb.AbsorbConsecutiveTransposes,
        InferConvInpGen, InferDuplicateStreamsLayer, InferLabelSelectLayer,
    ):
        model = through(model, transformation(), InferDataLayouts())
    return through(model, RemoveCNVtoFCFlatten(), SortGraph())
"""

RADIO = f"""{HEAD}
from custom_steps import step_pre_streamline, step_convert_final_layers


def select_build_steps(platform):
    return [
        "step_qonnx_to_finn", "step_tidy_up", step_pre_streamline, "step_streamline", "step_convert_to_hw",
        step_convert_final_layers, {BACK}
    ]

{TAIL}"""

RADIO_STEPS = """
from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import InferElementwiseBinaryOperation
from finn.transformation.fpgadataflow.convert_to_hw.label_select import InferLabelSelectLayer
from finn.transformation.streamline.absorb import AbsorbScalarMulAddIntoTopK
from qonnx.core.datatype import DataType
from qonnx.transformation.change_3d_tensors_to_4d import Change3DTo4DTensors
from qonnx.transformation.general import GiveUniqueNodeNames
from qonnx.transformation.insert_topk import InsertTopK


def step_pre_streamline(model, cfg):
    model.set_tensor_datatype(model.graph.input[0].name, DataType["INT8"])
    return model.transform(Change3DTo4DTensors()).transform(InsertTopK(k=1)).transform(AbsorbScalarMulAddIntoTopK())


def step_convert_final_layers(model, cfg):
    for transformation in (InferElementwiseBinaryOperation(), InferLabelSelectLayer(), GiveUniqueNodeNames()):
        model = model.transform(transformation)
    return model
"""


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
    "kws": Example(
        KWS, {"MLP_W3A3": "network('tfc_2W2A')"}, (1, 1, 28, 28), "MLP_W3A3_Pynq-Z1", "recipe", "",
        {"custom": SCALED}, ("Pynq-Z1",), fps=200000,
    ),
    "mobilenet-v1": Example(
        MOBILENET, {"mobilenetv1-w4a4": "mobilenet([[8], [16], [16, 16], [32, 32]], 32, 10)"}, (1, 3, 32, 32),
        "mobilenetv1-w4a4_ZCU102", "mobilenetv1-w4a4", "ZCU102", {"custom_steps": MOBILENET_STEPS},
        ("ZCU104", "ZCU102"), ("U250",), clock=5.4, more="",
    ),
    "resnet50": Example(
        RESNET, {"resnet50_w1a2": "resnet(8, [1, 2], 32, 10)"}, (1, 3, 32, 32),
        "resnet50_w1a2_xilinx_u250_gen3x16_xdma_4_1_202210_1", "recipe", "",
        {"custom_steps": RESNET_STEPS}, (), ("U250",), clock=4.0,
    ),
    "vgg10-radioml": Example(
        RADIO, {"radioml_w4a4": "vgg10(8)"}, (1, 2, 1024), "radioml_w4a4_ZCU104", "recipe", "",
        {"custom_steps": RADIO_STEPS}, clock=4.0,
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
