"""The example package, installed from its wheel and used through a recipe by the real command."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.plugins.example import PACKAGE, SCORES, WEIGHTS, Plugged
from tests.project import Project

STEPS = ["drop_idle_relus", "prune"]
POINTS = ["verify.model", *(f"verify.{step}" for step in STEPS)]


def nodes(project: Plugged, task: str) -> list[str]:
    return [node.op_type for node in onnx.load(project.folder / f"build/intermediate_models/{task}.onnx").graph.node]


def test_a_recipe_uses_what_is_installed(plugged: Plugged) -> None:
    record = plugged.build()
    assert [name for name, task in record["tasks"].items() if task["state"] == "ran"]
    assert nodes(plugged, "model") == ["Relu", "MatMul", "Saturate"]
    assert nodes(plugged, "drop_idle_relus") == ["MatMul", "Saturate"]
    pruned = onnx.load(plugged.folder / "build/intermediate_models/prune.onnx").graph.initializer[0]
    zeros = [np.mean(weights == 0) for weights in (WEIGHTS, numpy_helper.to_array(pruned))]
    assert zeros[0] < zeros[1] < 0.5
    ordered = np.sort(SCORES, axis=1)
    measured = record["tasks"]["verify.drop_idle_relus"]["measurement"]
    assert measured["metric"] == "example.margin" and measured["samples"] == 400
    assert measured["value"] == pytest.approx(np.mean(ordered[:, -1] - ordered[:, -2]))
    assert measured["fallbacks"] == [], "Saturate has a lowering"
    assert plugged.ran() == []


def test_an_edit_runs_its_tasks_and_is_noticed_by_the_quick_path(plugged: Plugged) -> None:
    plugged.run("build", "recipe.yaml")
    assert plugged.run("build", "recipe.yaml").stderr == ""
    plugged.edit(f"{PACKAGE}/steps.py", "np.float32(0)", "np.float32(0.0)")
    plan = plugged.plan()
    assert {name for name, task in plan.items() if task["state"] != "cached"} == {"prune", "verify.prune"}
    assert plan["prune"]["reasons"][0]["text"].startswith(f"{PACKAGE} changed: ")
    assert plugged.run("build", "recipe.yaml").stderr != ""
    assert plugged.run("build", "recipe.yaml").stderr == ""
    plugged.edit(f"{PACKAGE}/metrics.py", "return np.mean", "return 2 * np.mean")
    assert plugged.ran() == POINTS


def test_what_is_installed_and_removed_is_noticed(project: Project, tmp_path: Path, installed: Path) -> None:
    """Of the example, only the kernel could matter to this recipe, which names none of it."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    path = project.environment()["PYTHONPATH"]
    env = {"PYTHONPATH": f"{plugins}:{path}"}
    everything = project.ran(**env)
    project.run("build", "recipe.yaml", **env)
    assert project.run("build", "recipe.yaml", **env).stderr == ""
    shutil.copytree(installed, plugins, dirs_exist_ok=True)
    assert project.run("build", "recipe.yaml", **env).stderr != ""
    shutil.rmtree(plugins)
    assert project.run("build", "recipe.yaml", **env).stderr != ""
    assert project.ran(**env) == [] and len(everything) == 4


def test_one_that_is_not_installed_is_an_error_in_the_recipe(plugged: Plugged) -> None:
    plugged.edit("recipe.yaml", "example.prune", "example.prun")
    plugged.edit("recipe.yaml", "python: example.idx", "python: example.xdi")
    plugged.edit("recipe.yaml", "example.margin", "example.marge")
    done = plugged.run("lint", "recipe.yaml")
    assert done.returncode == 2
    for what, name, near in (("step", "prun", "prune"), ("data source", "xdi", "idx"), ("metric", "marge", "margin")):
        assert f"no installed package has the {what} 'example.{name}'" in done.stderr
        assert f"did you mean 'example.{near}'" in done.stderr
    shutil.rmtree(plugged.plugins)
    assert "install the package; code of your own is path.py:function" in plugged.run("lint", "recipe.yaml").stderr


def test_two_of_one_name_are_refused(plugged: Plugged) -> None:
    other = plugged.plugins / "other_package-2.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 2.0\n")
    (other / "entry_points.txt").write_text("[finnyaml.metrics]\nexample.margin = other_package:f\n")
    done = plugged.run("build", "recipe.yaml")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "the plug-in 'example.margin' of finnyaml-example 0.1.0" in done.stderr
    assert "is refused: other-package 2.0 has one of this name" in done.stderr


def test_one_that_cannot_be_loaded_stops_its_task(plugged: Plugged) -> None:
    plugged.edit(f"{PACKAGE}/steps.py", "import numpy as np", "import no_such_package")
    done = plugged.run("build", "recipe.yaml")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "'example.prune' of finnyaml-example 0.1.0 (finnyaml.steps, finnyaml_example.steps:prune)" in done.stderr
    assert "cannot be loaded: ModuleNotFoundError: No module named 'no_such_package'" in done.stderr


def test_a_gate_that_fails_asks_the_causes(plugged: Plugged) -> None:
    plugged.edit("recipe.yaml", "example.margin", "top1")
    done = plugged.run("build", "recipe.yaml")
    assert done.returncode == 3
    assert "of the weights of MatMul_0 are zero, and 17% were before" in done.stderr + done.stdout


def test_lint_asks_the_rules_and_inserts_the_repair(plugged: Plugged) -> None:
    plugged.edit("recipe.yaml", "  - example.drop_idle_relus\n", "")
    plugged.build()
    told = plugged.run("lint", "recipe.yaml").stderr
    assert "after model: Relu_0 changes nothing: its input is UINT8 [example.idle-relu]" in told
    plugged.run("lint", "recipe.yaml", "--fix")
    assert "  - example.drop_idle_relus\n" in (plugged.folder / "recipe.yaml").read_text()
    plugged.build()
    assert "Relu" not in nodes(plugged, "drop_idle_relus")
    assert "Relu_0" not in plugged.run("lint", "recipe.yaml").stderr
    plugged.edit(f"{PACKAGE}/rules.py", "RULE.repair)", "RULE.repair")
    told = plugged.run("lint", "recipe.yaml").stderr
    assert "no graph was checked: the plug-in 'example.idle-relu' of finnyaml-example 0.1.0" in told


def test_steps_lists_them(plugged: Plugged) -> None:
    listed = plugged.run("steps").stdout
    assert "example.idx" in listed and "data source" in listed and "finnyaml-example 0.1.0" in listed
    told = plugged.run("steps", "show", "example.prune").stdout
    assert "finnyaml_example.steps:prune" in told and "finnyaml.steps" in told
