"""Build scripts of the shapes that people have, run with the real FINN intercepted, and what comes of them."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from finnyaml.errors import FinnyamlError
from finnyaml.exchange import script
from finnyaml.exchange.own_code import OwnCode
from tests.project import Project, tiny_model

EXAMPLES = '''\
"""As in finn-examples: a loop over platforms, arguments, custom steps of three sorts, names of another FINN."""
import argparse, os, shutil
from functools import partial
import finn.builder.build_dataflow as build
import finn.builder.build_dataflow_config as build_cfg
from finn.builder.build_dataflow_steps import build_dataflow_step_lookup, step_hls_codegen
from finn.transformation.nowhere import GoneTransformation
from finn.util.basic import alveo_default_platform
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.insert_topk import InsertTopK
from custom_steps import step_made, step_names
import common

parser = argparse.ArgumentParser()
parser.add_argument("--fps", type=int, default=100)
args = parser.parse_args()
k = args.fps // 11


def step_preprocess(model: ModelWrapper, cfg: build.DataflowBuildConfig):
    return model.transform(InsertTopK(k=k))


build_dataflow_step_lookup["step_top"] = step_preprocess


def make(bits):
    def step_scaled(model, cfg):
        return model if bits else None
    return step_scaled


def wide(model, cfg, by=1):
    return model


SCALES = []
for scale in (2, 3):
    def step_scale(model, cfg, scale=scale):
        return model if args.fps else scale
    SCALES.append(step_scale)


class Callable:
    def __call__(self, model, cfg):
        return model

    def step_method(self, model, cfg):
        return model


model_file = "models/absent.onnx"
model = ModelWrapper(model_file)
model.model.opset_import[0].version = 11
model.save(model_file.replace(".onnx", "_11.onnx"))
if os.path.exists("output_old"):
    shutil.rmtree("output_old")
os.makedirs("release")
shutil.copy("tiny.onnx", "made.onnx")
with open("folding.json", "w") as file:
    file.write('{"Defaults": {}}')
for platform in ["Pynq-Z1", "U250"]:
    zynq = platform.startswith("Pynq")
    shell = build_cfg.ShellFlowType.VIVADO_ZYNQ if zynq else build_cfg.ShellFlowType.VITIS_ALVEO
    cfg = build_cfg.DataflowBuildConfig(
        steps=[
            "step_top", step_names, make(3), make(4), lambda m, c: m, partial(wide, by=2), Callable(),
            Callable().step_method, *SCALES, step_made, common.shared,
            *build_cfg.estimate_only_dataflow_steps, step_hls_codegen,
        ],
        output_dir=os.path.abspath("output_tiny_%s" % platform),
        target_fps=args.fps,
        synth_clk_period_ns=10.0,
        board=platform,
        shell_flow_type=shell,
        vitis_platform=None if zynq else alveo_default_platform[platform],
        vitis_opt_strategy=build_cfg.VitisOptStrategyCfg.PERFORMANCE_BEST,
        auto_fifo_strategy=build_cfg.AutoFIFOSizingMethod.CHARACTERIZE,
        default_swg_exception=True,
        folding_config_file="folding.json",
        generate_outputs=[build_cfg.DataflowOutputType.ESTIMATE_REPORTS],
        inject_steps_after={"step_tidy_up": [step_names]},
    )
    cfg.mvau_wwidth_max = 80
    build.build_dataflow_cfg("made.onnx", cfg)
    assert os.path.isdir(cfg.output_dir)
    parent = ModelWrapper(cfg.output_dir + "/intermediate_models/dataflow_parent.onnx")
    parent.graph.node[-2].name
os.makedirs("by_folder")
with open("by_folder/dataflow_build_config.json", "w") as file:
    file.write('{"target_fps": 3, "folding_config_file": "f.json", "output_dir": "output_third"}')
shutil.copy("tiny.onnx", "by_folder/model.onnx")
shutil.copy("folding.json", "by_folder/f.json")
build.build_dataflow_directory("by_folder")
os.makedirs("inner")
if not os.fork():
    fifth = build_cfg.DataflowBuildConfig(output_dir="fifth", steps=["step_streamline"], mystery=object())
    build.build_dataflow_cfg("../tiny.onnx", fifth)
    os._exit(0)
os.wait()
os.chdir("inner")
fourth = build_cfg.DataflowBuildConfig(output_dir="out_fourth", synth_clk_period_ns=3.0, steps=["step_tidy_up"])
build.build_dataflow_cfg("../tiny.onnx", fourth)
shutil.rmtree(os.path.dirname(os.path.abspath(__file__)))
open(os.environ["PRECIOUS"], "w")
'''

CUSTOM = """\
def step_names(model, cfg):
    return model


def made(by):
    def step_made(model, cfg):
        return model if by else None

    return step_made


step_made = made(2)
"""


def shown(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


class Imported:
    """What `finnyaml import` said and wrote."""

    def __init__(self, done: subprocess.CompletedProcess[str], folder: Path) -> None:
        self.done, self.folder = done, folder

    def recipe(self, name: str = "recipe") -> dict[str, Any]:
        found = yaml.safe_load((self.folder / f"{name}.yaml").read_text())
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory, warm_store: Path) -> Imported:
    """The script above, imported once; its folder is as it was."""
    top = tmp_path_factory.mktemp("examples")
    store = shutil.copytree(warm_store, tmp_path_factory.mktemp("store") / "store")
    project = Project(top / "project" / "build", store, empty=True)
    project.folder.mkdir(parents=True)
    tiny_model(project.folder / "tiny.onnx")
    project.write("build.py", EXAMPLES)
    project.write("custom_steps.py", CUSTOM)
    project.write("../common/common.py", "def shared(model, cfg):\n    return model\n")
    project.write("common.py", "import sys\nsys.path.append('../common')\ndef shared(model, cfg):\n    return model\n")
    project.write("output_old/result", "precious")
    precious = top / "precious"
    precious.write_text("precious")
    before = shown(top)
    done = project.run("import", "build.py", "-o", "../recipes", "--", "--fps", "77", PRECIOUS=str(precious))
    assert done.returncode == 0, done.stderr
    after = {name: data for name, data in shown(top).items() if not name.startswith("project/recipes/")}
    assert after == before
    return Imported(done, project.folder.parent / "recipes")


def test_a_loop_over_platforms_is_one_recipe_with_a_matrix(examples: Imported) -> None:
    made = examples.recipe("tiny")
    assert made["matrix"] == {"board": ["Pynq-Z1", "U250"]}
    assert made["target"] == {"clock_ns": 10.0, "board": "${board}", "shell": "vivado_zynq"}
    (entry,) = made["when"]
    assert entry["if"] == {"board": "U250"}
    assert entry["then"]["target"].pop("vitis_platform").startswith("xilinx_u250")
    assert entry["then"] == {"target": {"shell": "vitis_alveo"}}
    assert made["folding"] == {"target_fps": 77, "file": "tiny.folding.json", "mvau_wwidth_max": 80}
    assert made["finn"] == {"vitis_opt_strategy": "3"}
    assert sorted(file.stem for file in examples.folder.glob("*.yaml")) == ["fifth", "fourth", "third", "tiny"]
    assert {made["output"], examples.recipe("third")["output"]} == {"build/tiny", "build/third"}
    assert examples.recipe("fourth")["model"] == {"onnx": "../build/tiny.onnx"}
    assert "output_dir: ../build/output_tiny_Pynq-Z1, ../build/output_tiny_U250 (" in examples.done.stdout


def test_a_folder_that_the_script_makes_is_a_build_too(examples: Imported) -> None:
    third = examples.recipe("third")
    assert third["folding"] == {"target_fps": 3, "file": "third.f.json"}
    assert third["model"] == {"onnx": "third.model.onnx"}
    assert (examples.folder / "third.model.onnx").is_file()


def test_custom_steps_of_every_sort_are_named(examples: Imported) -> None:
    steps = examples.recipe("tiny")["steps"]
    assert steps[0] == {"uses": "steps.py:step_preprocess", "id": "top"}
    assert steps[1] == "../build/custom_steps.py:step_names"
    assert steps[2:4] == ["steps.py:step_scaled", "steps.py:step_scaled_2"]
    assert steps[4] == "steps.py:step_3"
    assert steps[5] == {"uses": "steps.py:wide", "with": {"by": 2}}
    assert steps[6:8] == ["to_move.py:Callable", "to_move.py:step_method"]
    assert "it is a method of Callable: write a function" in (examples.folder / "to_move.py").read_text()
    assert [steps[8]["with"], steps[9]["with"]] == [{"scale": 2}, {"scale": 3}]
    assert steps[10:12] == ["../build/custom_steps.py:step_made", "../build/common.py:shared"]
    assert steps[12:15] == [
        "qonnx_to_finn", "tidy_up", {"uses": "../build/custom_steps.py:step_names", "id": "names_2"}
    ]  # fmt: skip
    assert steps[-1] == "hw_codegen"
    assert "to do: step" in examples.done.stdout


def test_extracted_steps_have_the_values_of_the_script(examples: Imported) -> None:
    text = (examples.folder / "steps.py").read_text()
    assert "k = 7\n" in text
    assert "step_scaled = _step_scaled(bits=3)" in text
    assert "step_scaled_2 = _step_scaled_2(bits=4)" in text
    assert "args = argparse.Namespace(fps=77)\n" in text
    assert "parse_args" not in text


def test_what_is_gone_or_made_or_refused_is_said(examples: Imported) -> None:
    said = examples.done.stdout
    assert "default_swg_exception: True (gone since finn-plus 1.5" in said
    assert "auto_fifo_strategy: CHARACTERIZE (gone since" in said
    assert "finn.transformation.nowhere" in said
    assert "models/absent.onnx, which is not there" in said
    assert "lets a script write in a copy" in said
    assert "mystery: {'object': 'object: <object object>'} (finn-plus" in said
    assert (examples.folder / "tiny.made.onnx").is_file()


@pytest.mark.parametrize(
    ("error", "said"),
    [("build.py:2: ValueError: no data", "ended before it started a build: build.py:2"), (None, "started no build")],
)
def test_a_script_that_starts_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str | None, said: str
) -> None:
    noted = {"builds": [], "missing": [], "absent": [], "error": error, "left": False, "said": "usage: build.py NET"}
    noted["children"] = ["one.py U250"]
    monkeypatch.setattr(script, "_run", lambda *_: noted)
    with pytest.raises(FinnyamlError, match=said) as refused:
        script.read(tmp_path / "build.py", (), (), tmp_path / "kept")
    assert "It said:\nusage: build.py NET" in str(refused.value)
    assert "the script starts `one.py U250`, which would build with FINN" in str(refused.value)


def test_programs_that_a_script_starts_build_nothing(tmp_path: Path) -> None:
    told = tmp_path / "children"
    (tmp_path / "sitecustomize.py").write_text(script.CHILD.format(told=str(told)))
    for name in ("finn/__init__.py", "finn/builder/__init__.py", "finn/builder/build_dataflow.py", "finn/util.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "one.py").write_text("import finn.util\nimport finn.builder.build_dataflow\nopen('built', 'w')\n")
    environ = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "one.py", "U250"], cwd=tmp_path, env=environ, check=False, capture_output=True
    )
    assert done.returncode == 1
    assert b"does not follow a program that a script starts" in done.stderr
    assert told.read_text() == "one.py U250\n"
    assert not (tmp_path / "built").exists()


def test_what_lies_around_a_script_is_in_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script_folder = tmp_path / "a/b/c/d"
    script_folder.mkdir(parents=True)
    assert script._top(script_folder) == tmp_path / "a/b"
    (tmp_path / "a/.git").mkdir()
    assert script._top(script_folder) == tmp_path / "a"
    monkeypatch.setenv("HOME", str(tmp_path / "a/b"))
    assert script._top(script_folder) == tmp_path / "a/b/c"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig"])
def test_steps_of_a_script_in_another_encoding(tmp_path: Path, encoding: str) -> None:
    cookie = "# -*- coding: latin-1 -*-\n" if encoding == "latin-1" else ""
    text = f"{cookie}run()\nNAME = 'M\u00fcller'\ndef step(model, cfg): return NAME\n"
    (tmp_path / "build.py").write_bytes(text.encode(encoding))
    noted = {"kind": "function", "users": True, "file": str(tmp_path / "build.py"), "name": "step", "importable": True}
    line = 1 + text.splitlines().index("def step(model, cfg): return NAME")
    step = {**noted, "line": line, "strange": [], "wrapped": False, "closure": {}, "globals": {}}
    code = OwnCode(tmp_path / "build.py", (), ())
    code.names([step], {"NAME": "'M\u00fcller'"})
    assert "NAME = 'M\u00fcller'" in code.files["steps.py"]


def test_what_has_to_be_moved_has_a_name_that_python_takes(tmp_path: Path) -> None:
    code = OwnCode(tmp_path / "build.py", (), ())
    assert [code.unmovable(name, "why") for name in ("<lambda>", "3", "a.b")] == [
        "to_move.py:step_lambda", "to_move.py:step_3", "to_move.py:a_b"
    ]  # fmt: skip
    ast.parse(code.files["to_move.py"])


def test_links_that_lead_nowhere_do_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name, target in (("loop", "loop"), ("gone", "nowhere"), ("up", "..")):
        (folder / name).symlink_to(target)
    script._mirror(tmp_path, tmp_path / "copy", folder)
    assert (tmp_path / "copy/theirs/up").resolve() == tmp_path


PLAIN = """
name: tiny
description: A tiny network
model:
  onnx: tiny.onnx
  input: {datatype: UINT8}
preprocess: [to_tensor, {normalize: {mean: 0.5, std: 0.25}}]
postprocess:
  - top_k: 2

steps:
  - {uses: "own/steps.py:step_scale", id: mine, with: {by: 3}}
  - tidy_up
  - "own/steps.py:same"
  - streamline

folding: {target_fps: 100, file: folding.json}
target: {clock_ns: 5.0, board: Pynq-Z1}
outputs: [estimate_reports, out_of_context_synth]
finn: {standalone_thresholds: true, vitis_opt_strategy: "3"}

verify:
  data: {inputs: in.npy}
  reference: {npy: out.npy}
  metric: max_abs
  tolerance: {atol: 0.5, rtol: 0.25}
  points: [initial_python, streamlined_python]

output: build
"""


def test_a_recipe_goes_round_and_comes_back(project: Project) -> None:
    project.write("recipe.yaml", PLAIN)
    project.write(
        "own/steps.py",
        "def step_scale(model, cfg, by):\n    return model\n\n\ndef same(model, cfg):\n    return model\n",
    )
    project.write("folding.json", '{"Defaults": {}}')
    for name in ("in.npy", "out.npy"):
        np.save(project.folder / name, np.zeros((1, 4)))
    done = project.run("export", "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert "import finnyaml" not in (project.folder / "build.py").read_text()
    assert "left out" not in done.stdout
    (project.folder / "recipe.yaml").unlink()
    done = project.run("import", "build.py")
    assert done.returncode == 0, done.stderr
    again = yaml.safe_load((project.folder / "recipe.yaml").read_text())
    before = yaml.safe_load(PLAIN)
    del before["description"]  # it is the docstring of the script
    assert again == before
