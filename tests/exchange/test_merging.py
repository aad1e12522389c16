"""Drafts that differ in few values are one recipe with a matrix, which means what they mean."""

from __future__ import annotations

import runpy
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from finnyaml.exchange.build import Build, File, Step
from finnyaml.exchange.configuration import name_of
from finnyaml.exchange.exporting import export
from finnyaml.exchange.merging import merged
from finnyaml.exchange.to_recipe import Draft
from finnyaml.exchange.to_recipe import draft as from_build
from finnyaml.exchange.written import text
from finnyaml.recipe.load import load_recipes
from tests.plan.catalog import CATALOG


def draft(name: str, model: str = "net.onnx", **sections: Any) -> Draft:
    more = {"steps": ["tidy_up"], **sections}
    return Draft(name, {"model": {"onnx": model}, **more}, dropped=[(f"output_dir: output_{name}", "a folder")])


def platform(board: str, net: str = "a") -> Draft:
    """As in a loop over boards and networks: Alveo has another shell, a platform, and another clock."""
    alveo = board.startswith("U")
    target = {"board": board, "shell": "alveo" if alveo else "zynq", "clock_ns": 3.0 if alveo else 5.0}
    more = {"vitis_platform": "x_250"} if alveo else {}
    files = {"folding": {"file": f"fold/{net}_{board}.json"}, "specialize": {"file": f"{board}.json"}}
    return draft(f"{net}_{board}", f"models/{net}_tidy.onnx", target={**target, **more}, **files)


def one(*drafts: Draft) -> dict[str, Any]:
    (made,) = merged(drafts, "folder")
    return {"name": made.name, **made.sections}


def test_what_follows_from_the_board_stands_under_it() -> None:
    made = one(*map(platform, ("Z1", "Z2", "U250")))
    assert made == {
        "name": "a",
        "matrix": {"board": ["Z1", "Z2", "U250"]},
        "model": {"onnx": "models/a_tidy.onnx"},
        "steps": ["tidy_up"],
        "folding": {"file": "fold/a_${board}.json"},
        "specialize": {"file": "${board}.json"},
        "target": {"board": "${board}", "shell": "zynq", "clock_ns": 5.0},
        "when": [
            {
                "if": {"board": "U250"},
                "then": {"target": {"shell": "alveo", "clock_ns": 3.0, "vitis_platform": "x_250"}},
            }
        ],
    }


def test_boards_and_networks_are_two_variables() -> None:
    made = one(*(platform(board, net) for board in ("Z1", "U250") for net in ("tfc-w1", "cnv-w1")))
    assert made["matrix"] == {"board": ["Z1", "U250"], "model": ["tfc-w1", "cnv-w1"]}
    assert made["model"] == {"onnx": "models/${model}_tidy.onnx"}
    assert made["folding"] == {"file": "fold/${model}_${board}.json"}
    assert made["name"] == "folder"


def test_combinations_that_are_not_there_are_not_made() -> None:
    made = one(platform("Z1", "aa"), platform("U250", "aa"), platform("U250", "bb"))
    assert made["matrix"] == {
        "include": [{"board": "Z1", "model": "aa"}, {"board": "U250", "model": "aa"}, {"board": "U250", "model": "bb"}]
    }


def test_variants_are_called_what_the_builds_were_called() -> None:
    made = one(*(draft(f"net_{name}", folding={"target_fps": fps}) for name, fps in (("slow", 10), ("fast", 99))))
    assert made["matrix"] == {"include": [{"name": "slow", "target_fps": 10}, {"name": "fast", "target_fps": 99}]}
    assert made["folding"] == {"target_fps": "${target_fps}"}


def test_what_no_variable_can_say_follows_from_the_names() -> None:
    made = one(draft("net_all", outputs=["a", "b"], finn={"x": [1]}), draft("net_few", outputs=["a"]))
    assert made["matrix"] == {"build": ["all", "few"]}
    assert made["when"] == [{"if": {"build": "few"}, "then": {"outputs": ["a"], "finn": {"x": None}}}]


@pytest.mark.parametrize(
    "other",
    [
        draft("other", steps=["streamline"]),
        draft("other", preprocess=["to_tensor"]),
        draft("other", finn={f"option_{number}": number for number in range(9)}),
        draft("other", folding={"file": "${x}"}),
        draft("net", outputs=["a"]),
    ],
    ids=["other-steps", "other-stages", "many-values", "text-like-a-variable", "no-names"],
)
def test_what_has_little_in_common_stays_apart(other: Draft) -> None:
    assert merged([draft("net"), other], "folder") == [draft("net"), other]


def test_drafts_that_differ_in_nothing_that_a_recipe_has_are_one() -> None:
    (made,) = merged([draft("net_a", "net.onnx"), draft("net_b", "net.onnx")], "folder")
    assert made.name == "net"
    assert made.dropped == [("output_dir: output_net_a, output_net_b", "a folder")]


def test_names_that_are_one_folder_on_some_machines_are_not_given() -> None:
    drafts = [draft("one", target={"board": "zcu"}), draft("two", target={"board": "ZCU"})]
    assert merged(drafts, "folder") == drafts


def test_models_with_settings_of_their_own_stay_apart_and_each_has_its_boards() -> None:
    drafts = [
        draft(f"{net}_{board}", f"{net}.onnx", folding={"target_fps": fps}, target={"board": board})
        for net, fps in (("big", 10), ("small", 500))
        for board in ("Z1", "Z2")
    ]
    found = merged(drafts, "folder")
    assert [made.name for made in found] == ["big", "small"]
    assert [made.sections["matrix"] for made in found] == [{"board": ["Z1", "Z2"]}] * 2


def test_what_is_left_out_is_said_once_with_all_values() -> None:
    (made,) = merged([platform("Z1"), platform("Z2")], "folder")
    assert made.dropped == [("output_dir: output_a_Z1, output_a_Z2", "a folder")]


def test_every_variant_is_the_recipe_that_its_draft_would_be(tmp_path: Path) -> None:
    boards = [("Z1", "tfc"), ("Z1", "cnv"), ("U250", "cnv")]
    drafts = [platform(board, net) for board, net in boards]
    for path in (
        "models/tfc_tidy.onnx",
        "models/cnv_tidy.onnx",
        *(item.sections["folding"]["file"] for item in drafts),
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("{}")
    for board in ("Z1", "U250"):
        (tmp_path / f"{board}.json").write_text("{}")
    (made,) = merged(drafts, "folder")
    made.sections["output"] = "build"
    (tmp_path / "all.yaml").write_text(text(made, "x"))
    loaded = [recipe for recipe, _ in load_recipes(tmp_path / "all.yaml")]
    assert [recipe.variant for recipe in loaded] == ["Z1-tfc", "Z1-cnv", "U250-cnv"]
    for recipe, item in zip(loaded, drafts, strict=True):
        item.sections["output"] = "build"
        (tmp_path / "one.yaml").write_text(text(item, "x"))
        ((alone, _),) = load_recipes(tmp_path / "one.yaml")
        assert (recipe.settings, recipe.model) == (alone.settings, alone.model)


VARIANTS = """
name: net
matrix: {board: [ZCU102, Pynq-Z2], target_fps: [100, 200]}

model: {onnx: net.onnx}
steps: [tidy_up, streamline]

folding: {target_fps: "${target_fps}", file: "folding_${board}.json"}
target: {board: "${board}", clock_ns: 5.0}
when: [{if: {board: Pynq-Z2}, then: {target: {clock_ns: 3.0}}}]
output: build
"""

STUBS = {
    "build_dataflow": "started = []\ndef build_dataflow_cfg(*arguments):\n    started.append(arguments)\n",
    "build_dataflow_config": """
import types
class DataflowBuildConfig(types.SimpleNamespace):
    from_dict = classmethod(lambda cls, values: cls(**values))
""",
}


def test_what_is_exported_of_all_variants_merges_to_the_recipe_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (
        ("recipe.yaml", VARIANTS), ("net.onnx", ""), ("folding_ZCU102.json", "{}"), ("folding_Pynq-Z2.json", "{}")
    ):  # fmt: skip
        (tmp_path / name).write_text(content)
    recipes = [recipe for recipe, _ in load_recipes(tmp_path / "recipe.yaml")]
    (tmp_path / "build.py").write_text(export(recipes, CATALOG, tmp_path).text)
    monkeypatch.chdir(tmp_path)
    for name in ("finn", "finn.builder"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for name, code in STUBS.items():
        module = types.ModuleType(name)
        exec(code, vars(module))
        monkeypatch.setattr(sys.modules["finn.builder"], name, module, raising=False)
        monkeypatch.setitem(sys.modules, f"finn.builder.{name}", module)
    runpy.run_path("build.py", run_name="__main__")
    drafts = []
    for model, config in sys.modules["finn.builder.build_dataflow"].started:
        values = dict(vars(config))
        steps = tuple(map(Step, values.pop("steps")))
        values["folding_config_file"] = File(tmp_path / values["folding_config_file"])
        name = name_of(values["output_dir"], None, tmp_path)
        build = Build(name, tmp_path, File(tmp_path / model), values, steps)
        drafts.append(from_build(build, CATALOG, tmp_path))
    assert {**one(*drafts), "output": "build"} == yaml.safe_load(VARIANTS)


def test_files_from_the_network_lie_beside_an_exported_script(tmp_path: Path) -> None:
    sha = "0123456789abcdef" * 4
    remote = f"{{url: 'https://example.com/a/net.onnx?key=1', sha256: {sha}}}"
    settings = "steps: [tidy_up]\noutputs: []\ntarget: {clock_ns: 5.0}\n"
    (tmp_path / "recipe.yaml").write_text(f"name: net\nmodel: {{onnx: {remote}}}\n{settings}")
    ((recipe, _),) = load_recipes(tmp_path / "recipe.yaml")
    script = export([recipe], CATALOG, tmp_path / "elsewhere")
    assert "build.build_dataflow_cfg('0123456789abcdef-net.onnx', config)" in script.text
    assert f"put it beside the script: https://example.com/a/net.onnx, SHA-256 {sha}" in script.text


def test_a_step_of_a_package_is_imported_from_it_in_an_exported_script(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    step = "from .by import BY\ndef f(model, cfg): ..."
    for name, content in (("net.onnx", ""), ("lib/by.py", "BY = 2"), ("lib/own.py", step)):
        (tmp_path / name).write_text(content)
    settings = "steps: ['lib/own.py:f']\noutputs: []\ntarget: {clock_ns: 5.0}\n"
    (tmp_path / "recipe.yaml").write_text(f"name: net\nmodel: {{onnx: net.onnx}}\n{settings}")
    ((recipe, _),) = load_recipes(tmp_path / "recipe.yaml")
    script = export([recipe], CATALOG, tmp_path)
    assert "sys.path.insert(0, os.path.join(HERE, '.'))\n" in script.text
    assert "from lib.own import f" in script.text
