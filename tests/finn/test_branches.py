"""The recipes with branches on the real FINN: their joins add and join integers, up to simulated RTL."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from finnyaml.graph.view import View
from finnyaml.recipe.model import CodeRef, InputSpec, Processing
from finnyaml.steps.branches import streamline_branches
from finnyaml.steps.code import forget_user_modules, load_function
from finnyaml.steps.pooling import sum_pools
from finnyaml.steps.processing import preprocess
from finnyaml.steps.source import annotate_input, export_brevitas
from tests.finn.conftest import copy_recipes
from tests.lint.graphs import answers, run
from tests.project import ROOT, Project

SPEC = InputSpec(datatype="UINT8", layout="NCHW")


def function(file: str, name: str):
    path = ROOT / "recipes" / file
    return load_function(CodeRef(f"{path.name}:{name}", name, file=path), path.parent)


@pytest.mark.parametrize(
    ("name", "joins"), [("digits-resnet", ["Add", "Add"]), ("digits-concat", ["Concat", "Concat"])]
)
def test_what_is_joined_are_integers_and_the_scores_stay(name: str, joins: list[str], tmp_path: Path) -> None:
    folder = ROOT / "recipes" / name
    factory = function(f"{name}/model.py", name.replace("-", "_"))
    model = annotate_input(export_brevitas(factory, {}, folder / "weights.pth", None, (1, 1, 14, 14)), SPEC)
    model = preprocess(model, [Processing("to_tensor")], SPEC, folder)
    images = function("digits-cnv/data.py", "load")("test")[0][:1].astype("float32")
    forget_user_modules()
    wanted = answers(model, images)
    model = sum_pools(run(model, "qonnx_to_finn tidy_up", tmp_path)).model
    view = View(streamline_branches(run(model, "streamline", tmp_path)).model)
    found = [node for node in view.nodes if len(view.dynamic_inputs(node)) > 1]
    assert [node.op_type for node in found] == joins
    assert all(view.datatype(tensor).is_integer() for node in found for tensor in node.input)
    assert answers(view.model, images) == pytest.approx(wanted, abs=1e-4)


def built(name: str, folder: Path, warm_store: Path) -> Project:
    store = folder / "store"
    shutil.copytree(warm_store, store)
    project = Project(copy_recipes(folder) / name, store, empty=True)
    project.build()
    return project


def measured(project: Project) -> dict[str, float]:
    files = (project.folder / "build/verification").glob("*.json")
    return {file.stem: json.loads(file.read_text())["agreement"] for file in files}


@pytest.mark.long
def test_the_residual_network_is_simulated_bit_for_bit(tmp_path: Path, warm_store: Path) -> None:
    project = built("digits-resnet", tmp_path, warm_store)
    assert set(measured(project).values()) == {1.0}
    assert {"simulate", "simulate_stalled", "streamline_branches"} <= set(measured(project))
    report = project.folder / "build/report"
    styles = json.loads((report / "layer_styles.json").read_text())
    assert {layer["style"] for layer in styles} == {"rtl"}
    assert {"IntegerAdd_rtl", "DuplicateStreams_rtl", "Pool_rtl"} <= {layer["op_type"] for layer in styles}
    interval = json.loads((report / "rtl_simulation.json").read_text())["interval"]
    readme = (ROOT / "recipes/digits-resnet/README.md").read_text()
    assert re.search(r"every ([\d,]+) clock cycles", readme)[1] == f"{interval:,.0f}"  # type: ignore[index]


@pytest.mark.long
def test_the_network_with_a_concat_is_built_to_hardware_code(tmp_path: Path, warm_store: Path) -> None:
    project = built("digits-concat", tmp_path, warm_store)
    assert set(measured(project).values()) == {1.0}
    resources = json.loads((project.folder / "build/report/estimate_layer_cycles.json").read_text())
    assert {"StreamingConcat_hls_0", "StreamingConcat_hls_1"} <= set(resources)
