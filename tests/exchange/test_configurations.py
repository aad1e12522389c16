"""Configuration files as recipes: every option is mapped, carried, or left out with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from finnyaml.errors import RecipeError
from finnyaml.exchange.importing import Result, import_recipes
from finnyaml.finn.catalog import Catalog, Field
from finnyaml.plan import graph
from finnyaml.recipe.load import load_recipe, load_recipes
from tests.plan.catalog import CATALOG, code_of

FINN = replace(
    CATALOG,
    fields={
        **CATALOG.fields,
        "vitis_opt_strategy": Field(
            "vitis_opt_strategy", "enum", False, "0", ("0", "3"), names=("DEFAULT", "PERFORMANCE_BEST")
        ),
        "generate_outputs": Field(
            *("generate_outputs", "list", False, [], ("estimate_reports", "out_of_context_synth"), "enum"),
            names=("ESTIMATE_REPORTS", "OOC_SYNTH"),
        ),
        "vitis_floorplan_file": Field("vitis_floorplan_file", "path", True, None),
    },
)


class Folder:
    """A folder of somebody's, and the recipes that come of what lies in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: Any) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    def imported(self, name: str, catalog: Catalog = FINN, **more: Any) -> Result:
        arguments: dict[str, Any] = {"arguments": (), "folder": None, "model": None, **more}
        return import_recipes(self.path / name, catalog=catalog, **arguments)

    def recipe(self, name: str, **more: Any) -> dict[str, Any]:
        """The one recipe, as data."""
        result = self.imported(name, **more)
        assert len(result.recipes) == 1
        return read(result.recipes[0][0])


def read(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "theirs")
    made.write("model.onnx", "not looked into")
    return made


def test_every_option_has_its_place(folder: Folder) -> None:
    folder.write("folding.json", {"Defaults": {}})
    options = {
        "output_dir": "output_net",
        "target_fps": 1000,
        "synth_clk_period_ns": 5.0,
        "board": "ZCU102",
        "shell_flow_type": "vivado_zynq",
        "folding_config_file": "folding.json",
        "generate_outputs": ["estimate_reports"],
        "standalone_thresholds": True,
        "signature": None,
    }
    folder.write("dataflow_build_config.json", options)
    assert folder.recipe("dataflow_build_config.json") == {
        "name": "net",
        "model": {"onnx": "model.onnx"},
        "steps": "default",
        "folding": {"target_fps": 1000, "file": "folding.json"},
        "target": {"clock_ns": 5.0, "board": "ZCU102", "shell": "vivado_zynq"},
        "outputs": ["estimate_reports"],
        "finn": {"standalone_thresholds": True},
        "output": "build",
    }


def test_a_folder_is_the_configuration_in_it(folder: Folder) -> None:
    folder.write("dataflow_build_config.json", {"target_fps": 10})
    assert folder.recipe(".")["folding"] == {"target_fps": 10}


def test_what_is_gone_stands_in_the_recipe_with_the_reason(folder: Folder) -> None:
    options = {"default_swg_exception": True, "made_up": 3, "auto_fifo_strategy": "live"}
    folder.write("config.json", options)
    result = folder.imported("config.json")
    text = result.recipes[0][0].read_text()
    for option in options:
        assert f"#   {option}" in text
    assert "gone since finn-plus 1.5" in text
    assert "finn 0.99 has no option of this name" in text
    assert not {"finn", "fifo"} & read(result.recipes[0][0]).keys()


def test_names_of_enums_become_values(folder: Folder) -> None:
    folder.write("c.json", {"vitis_opt_strategy": "PERFORMANCE_BEST", "generate_outputs": ["OOC_SYNTH"]})
    found = folder.recipe("c.json")
    assert (found["finn"], found["outputs"]) == ({"vitis_opt_strategy": "3"}, ["out_of_context_synth"])


def test_steps_are_listed_with_their_new_names_and_what_they_were_split_into(folder: Folder) -> None:
    catalog = replace(FINN, steps={**FINN.steps, "step_create_dataflow_partition": FINN.steps["step_tidy_up"]})
    names = ["step_tidy_up", "step_convert_to_hls", "step_create_dataflow_partition", "my.module.step"]
    folder.write("my/module.py", "def step(model, cfg):\n    return model\n")
    folder.write("c.json", {"steps": names})
    assert folder.recipe("c.json", catalog=catalog)["steps"] == [
        "tidy_up", "convert_to_hw", "create_dataflow_partition", "specialize_layers", "my/module.py:step",
    ]  # fmt: skip


def test_an_old_code_generation_gets_the_step_that_it_needs_now(folder: Folder) -> None:
    listed = {**FINN.steps, "step_apply_folding_config": FINN.steps["step_tidy_up"]}
    folder.write("c.json", {"steps": ["step_apply_folding_config", "step_hls_codegen"]})
    result = folder.imported("c.json", catalog=replace(FINN, steps=listed))
    assert read(result.recipes[0][0])["steps"] == ["apply_folding_config", "minimize_bit_width", "hw_codegen"]
    assert "thresholds are rounded in this step now" in result.recipes[0][0].read_text()
    folder.write("c.json", {"steps": ["step_apply_folding_config", "step_hw_codegen"]})
    assert len(folder.recipe("c.json", catalog=replace(FINN, steps=listed), force=True)["steps"]) == 2


def test_steps_end_where_the_configuration_stops(folder: Folder) -> None:
    folder.write(
        "c.json", {"steps": ["step_tidy_up", "step_streamline", "step_hw_codegen"], "stop_step": "step_streamline"}
    )
    assert folder.recipe("c.json")["steps"] == ["tidy_up", "streamline"]


def test_injected_steps_stand_where_finn_would_run_them(folder: Folder) -> None:
    folder.write("c.json", {"inject_steps_after": {"step_tidy_up": ["own.step"]}})
    folder.write("own.py", "def step(model, cfg):\n    return model\n")
    assert folder.recipe("c.json")["steps"][:3] == ["qonnx_to_finn", "tidy_up", "own.py:step"]


def test_steps_are_injected_around_listed_ones_and_one_that_finn_would_not_run_is_said(folder: Folder) -> None:
    listed = ["step_tidy_up", "own.step_x"]
    before = {"step_x": ["own.step_a"], "step_streamline": ["own.step_b"]}
    folder.write("c.json", {"steps": listed, "inject_steps_before": before})
    result = folder.imported("c.json")
    assert read(result.recipes[0][0])["steps"] == ["tidy_up", "own:step_a", "own:step_x"]
    assert "own.step_b, injected at step_streamline" in dict(result.recipes[0][1].dropped)


def test_the_default_flow_ends_where_the_configuration_stops(folder: Folder) -> None:
    folder.write("c.json", {"stop_step": "step_tidy_up"})
    assert folder.recipe("c.json")["steps"] == ["qonnx_to_finn", "tidy_up"]
    folder.write("d.json", {"stop_step": "step_of_nobody", "target_fps": 3})
    result = folder.imported("d.json", force=True)
    assert ("stop_step: step_of_nobody", "no such step is listed") in result.recipes[0][1].dropped


def test_files_of_options_and_blueprints_are_found_from_the_recipe(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path.parent)
    elsewhere = folder.path / "out"
    for name in ("floor.json", "folding.json"):
        folder.write(name, "{}")
    folder.write("c.json", {"vitis_floorplan_file": "floor.json"})
    assert folder.recipe("c.json", folder=elsewhere)["finn"] == {"vitis_floorplan_file": "../floor.json"}
    folder.write("b.yaml", {"clock_ns": 5, "finn_config": {"folding_config_file": "folding.json"}})
    assert folder.recipe("b.yaml", folder=elsewhere, force=True)["folding"] == {"file": "../folding.json"}


def test_verification_becomes_points_on_the_same_data(folder: Folder) -> None:
    for name in ("input.npy", "expected_output.npy"):
        np.save(folder.path / name, np.zeros((1, 4)))
    folder.write("c.json", {"verify_steps": ["initial_python", "STREAMLINED_PYTHON"]})
    catalog = replace(
        FINN,
        fields={**FINN.fields, "verify_steps": replace(FINN.fields["verify_steps"], names=("A", "STREAMLINED_PYTHON"))},
    )
    found = folder.recipe("c.json", catalog=catalog)["verify"]
    assert found["data"] == {"inputs": "input.npy"}
    assert found["reference"] == {"npy": "expected_output.npy"}
    assert found["points"] == ["initial_python", "streamlined_python"]


def test_verification_without_data_is_there_but_off(folder: Folder) -> None:
    folder.write("c.json", {"verify_steps": ["initial_python"]})
    result = folder.imported("c.json")
    path, made = result.recipes[0]
    assert "verify" not in read(path)
    assert "# verify:" in path.read_text()
    assert any("input.npy and expected_output.npy are not there" in item for item in made.todo)


def test_lists_of_a_benchmark_are_a_matrix(folder: Folder) -> None:
    folder.write("base.yml", "steps: [step_tidy_up, step_streamline]\ntarget_fps: 5\n")
    bench = "[{dut: [base], model_path: [model.onnx], synth_clk_period_ns: [5.0, 10.0], target_fps: [1, None, 3]}]\n"
    folder.write("bench.yml", bench)
    ((path, _),) = folder.imported("bench.yml").recipes
    assert read(path)["matrix"] == {"target_fps": [1, "none", 3], "clock_ns": [5.0, 10.0]}
    recipes = [recipe for recipe, _ in load_recipes(path)]
    made = {(item.settings.target["clock_ns"], item.settings.folding.get("target_fps")) for item in recipes}
    assert made == {(clock, fps) for clock in (5.0, 10.0) for fps in (1, None, 3)}


def test_a_blueprint_gives_its_steps_and_settings(folder: Folder) -> None:
    parent = {"design_space": {"steps": ["finn:tidy_up", ["streamline", "~"]], "kernels": ["MVAU"]}, "clock_ns": 3.0}
    folder.write("parent.yaml", yaml.safe_dump(parent))
    child = {
        "name": "mine",
        "extends": "parent.yaml",
        "clock_ns": 5.0,
        "output": "estimates",
        "finn_config": {"target_fps": 9, "folding_config_file": None},
        "design_space": {"steps": [{"after": "finn:tidy_up", "insert": "convert_to_hw"}]},
    }
    folder.write("blueprint.yaml", yaml.safe_dump(child))
    result = folder.imported("blueprint.yaml", model=folder.path / "model.onnx")
    steps = [read(path)["steps"] for path, _ in result.recipes]
    assert steps == [["tidy_up", "convert_to_hw", "streamline"], ["tidy_up", "convert_to_hw"]]
    text = result.recipes[0][0].read_text()
    assert "kernel MVAU" in text
    assert read(result.recipes[0][0])["target"]["clock_ns"] == 5.0


def test_what_is_written_plans(folder: Folder) -> None:
    folder.write("c.json", {"target_fps": 10, "board": "ZCU102", "auto_fifo_depths": False})
    path, _ = folder.imported("c.json").recipes[0]
    recipe, _ = load_recipe(path, (), {})
    plan, _ = graph.build(recipe, FINN, code_of)
    assert plan.tasks["streamline"].config["target_fps"] == 10


def test_nothing_is_written_over(folder: Folder) -> None:
    folder.write("c.json", {"target_fps": 10})
    mine = folder.write("recipe.yaml", "mine")
    with pytest.raises(RecipeError, match=r"recipe\.yaml exists"):
        folder.imported("c.json")
    assert mine.read_text() == "mine"
    folder.imported("c.json", force=True)
    assert mine.read_text() != "mine"


@pytest.mark.parametrize("name", ["build.py", "folding.json"])
def test_a_model_is_named_for_configurations_only(folder: Folder, name: str) -> None:
    folder.write("build.py", "raise SystemExit")
    folder.write("folding.json", {"MVAU_hls_0": {"PE": 1}})
    with pytest.raises(RecipeError, match="--model is for configurations"):
        folder.imported(name, model=folder.path / "model.onnx")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.json", '{"a": 1,\n}', "not valid JSON"),
        ("c.yaml", "a: [1", "not valid YAML"),
        ("c.yaml", "just text", "neither a mapping nor a list"),
        ("c.yaml", "[1, 2]", "not a mapping of lists"),
        ("c.json", "{}", "no option of FINN, and no entry for a layer"),
        ("c.json", '{"weird": {"PE": 1}}', "no option of FINN, and no entry for a layer"),
        ("c.json", '{"target_fps": 1, "target_fps": 2}', "has the key 'target_fps' twice"),
        ("c.json", '{"steps": "estimate_only"}', "steps has to be a list, not the text 'estimate_only'"),
        ("c.json", '{"inject_steps_after": {"step_tidy_up": "step_x"}}', "step_tidy_up has to be a list"),
        ("c.yaml", "[]", "has no build"),
        ("c.yaml", "- {dut: []}", "has no build"),
        ("c.yaml", f"- {{a: {list(range(33))}, target_fps: {list(range(33))}}}", "stands for 1,089 builds"),
        ("c.yaml", "{clock_ns: 5, design_space: 3}", "design_space has to be a mapping, not the number 3"),
        ("c.yaml", "{clock_ns: 5, design_space: {steps: tidy_up}}", "steps has to be a list"),
        ("c.yaml", f"{{clock_ns: 5, design_space: {{steps: {[['a', 'b']] * 11}}}}}", "stands for 2,048 builds"),
        ("c.yaml", "extends: c.yaml", "c.yaml extends itself"),
        ("c.yaml", "extends: d.yaml", "extends d.yaml, which is not there"),
    ],
)
def test_what_is_no_configuration_is_said_with_its_place(folder: Folder, name: str, text: str, message: str) -> None:
    folder.write(name, text)
    with pytest.raises(RecipeError, match=message) as refused:
        folder.imported(name)
    assert refused.value.where is not None


def test_a_dump_of_all_options_shows_what_was_chosen(folder: Folder) -> None:
    more = {f"option_{number}": Field(f"option_{number}", "int", False, number) for number in range(50)}
    catalog = replace(FINN, fields={**FINN.fields, **more})
    folder.write("c.json", {**{name: field.default for name, field in more.items()}, "option_7": 8, "target_fps": 5})
    result = folder.imported("c.json", catalog=catalog)
    found = read(result.recipes[0][0])
    assert (found["finn"], found["folding"]) == ({"option_7": 8}, {"target_fps": 5})
    assert "#   49 of the 51 options" in result.recipes[0][0].read_text()
