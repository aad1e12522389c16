from __future__ import annotations

import pytest

from finnyaml.cli.console import sentence
from finnyaml.engine.installed import word_of
from finnyaml.finn import identity
from tests.cli.conftest import Command
from tests.project import Project


def test_steps_are_listed_with_tools_flows_and_other_names(finnyaml: Command) -> None:
    listed = finnyaml("steps")
    assert listed.code == 0 and listed.out == finnyaml("steps", "list").out
    assert "\nstreamline  " in listed.out
    data = finnyaml("steps", "--json").data
    assert data == finnyaml("steps", "list", "--json").data
    assert data["steps"]["convert_to_hw"]["aliases"] == ["convert_to_hls"]
    assert "vitis_hls" in data["steps"]["hw_ipgen"]["tools"]
    assert data["flows"]["estimate_only"][0] == "qonnx_to_finn"
    assert "estimate_only" in data["steps"]["streamline"]["flows"]


def test_a_step_is_described_by_any_of_its_names(finnyaml: Command) -> None:
    told = finnyaml("steps", "show", "step_hls_codegen").out
    assert told.startswith("hw_codegen (step)\n")
    assert "other names:  hls_codegen" in told
    assert finnyaml("steps", "show", "estimate_only", "--json").data["flow"] == "estimate_only"


def test_a_wrong_name_gets_the_nearest(finnyaml: Command) -> None:
    answer = finnyaml("steps", "show", "strimline")
    assert answer.code == 2 and "did you mean 'streamline'?" in answer.err


def test_what_a_step_read_comes_from_the_last_build(finnyaml: Command, built: Project) -> None:
    recipe = built.folder / "recipe.yaml"
    reads = finnyaml("steps", "show", "report", "--recipe", recipe, "--json").data["reads"]
    assert reads["report"]["config"]["target_fps"] == 100
    told = finnyaml("steps", "show", "report", "--recipe", recipe).out
    assert "runs:         steps.py:report" in told
    assert any(line.split() == ["option", "target_fps", "100"] for line in told.splitlines())
    never = finnyaml("steps", "show", "streamline", "--recipe", recipe)
    assert never.code == 2 and "it built model, scale, same, report" in never.err


def test_options_have_the_word_of_the_recipe(finnyaml: Command) -> None:
    data = finnyaml("steps", "options", "--json").data["options"]
    assert data["target_fps"]["recipe"] == "folding.target_fps"
    assert data["standalone_thresholds"]["recipe"] == "finn.standalone_thresholds"
    assert data["generate_outputs"]["recipe"] == "outputs"
    assert data["folding_config_file"]["recipe"] == "folding.file, folding.nodes"
    assert word_of("output_dir") == "output:"
    lines = finnyaml("steps", "options").out.splitlines()
    assert any(line.split()[:4] == ["target.clock_ns", "float", "10.0", "synth_clk_period_ns"] for line in lines)


def test_one_option_by_either_name(finnyaml: Command) -> None:
    by_word = finnyaml("steps", "options", "target.shell")
    assert by_word.out == finnyaml("steps", "options", "shell_flow_type").out
    assert "choices:  vivado_zynq, vitis_alveo" in by_word.out
    assert "did you mean 'target_fps'?" in finnyaml("steps", "options", "target_fsp").err


def test_boards(finnyaml: Command) -> None:
    assert finnyaml("steps", "boards", "--json").data["boards"]["Pynq-Z2"] == "xc7z020clg400-1"
    assert "Pynq-Z2      xc7z020clg400-1" in finnyaml("steps", "boards").out


def test_without_finn_there_is_nobody_to_ask(finnyaml: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "package_root", lambda name: None)
    answer = finnyaml("steps")
    assert answer.code == 4 and "FINN is not installed" in answer.err


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Do it. Then more.", "Do it"),
        ("(Optional) For FIFOs, i.e. Those. More.", "For FIFOs, i.e. Those"),
        ("Either of: * one * two", "Either of"),
        ("", ""),
    ],
)
def test_the_first_sentence(text: str, first: str) -> None:
    assert sentence(text) == first
