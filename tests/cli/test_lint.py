from __future__ import annotations

import pytest

from finnyaml.finn import identity
from tests.cli.conftest import Command
from tests.project import ROOT, Project

BAD = """
name: bad
model: {onnx: tiny.onnx}
steps: [streamlin]
target: {board: pynq_z2}
outputs: [estimate_report]
finn: {no_such_option: 1}
"""


@pytest.mark.parametrize("name", ["digits-cnv", "digits-cnv-fixed", "digits-cnv-w2a2", "tfc-w1a1", "from-onnx"])
def test_the_shipped_recipes_are_clean(finnyaml: Command, name: str) -> None:
    answer = finnyaml("lint", ROOT / "recipes" / name / "recipe.yaml")
    assert answer.code == 0
    assert "no problems (finn-plus" in answer.out


def test_all_errors_of_a_plan_come_at_once(finnyaml: Command, project: Project) -> None:
    answer = finnyaml("lint", project.write("bad.yaml", BAD), "--json")
    assert answer.code == 2
    found = {(item["line"], item["severity"]): item for item in answer.data["problems"]}
    assert set(found) == {(line, "error") for line in (4, 5, 6, 7)}
    assert found[4, "error"]["hint"] == "did you mean 'streamline'?"
    assert "Pynq-Z2" in found[5, "error"]["hint"]
    assert answer.data["exit_code"] == 2


def test_problems_show_their_place(finnyaml: Command, project: Project) -> None:
    answer = finnyaml("lint", project.write("bad.yaml", BAD))
    assert "bad.yaml:5:17: error: finn-plus" in answer.err
    assert answer.out.rstrip().endswith("bad.yaml: 4 errors (finn-plus 1.6.1)") or "4 errors" in answer.out


def test_missing_tools_are_warnings_with_exit_code_4(
    finnyaml: Command, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for name in ("XILINX_VIVADO", "XILINX_VITIS", "XILINX_HLS"):
        monkeypatch.delenv(name, raising=False)
    steps = "steps: [qonnx_to_finn, hw_ipgen, {uses: hw_ipgen, id: again}]"
    target = "toolchain: vivado\ntarget: {board: Pynq-Z1}\n"
    recipe = project.write("tools.yaml", f"model: {{onnx: tiny.onnx}}\n{steps}\n{target}")
    answer = finnyaml("lint", recipe)
    assert answer.code == 4
    assert answer.err.count("cannot run here") == 2  # each at its own place
    assert "vitis_hls" in answer.err and "hint: " in answer.err
    assert set(finnyaml("lint", recipe, "--json").data["missing"]) == {"hw_ipgen", "again"}


def test_without_finn_the_structure_is_checked(
    finnyaml: Command, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "package_root", lambda name: None)
    answer = finnyaml("lint", project.folder / "recipe.yaml", store=project.folder / "no-store")
    assert answer.code == 0
    assert "FINN is not installed here" in answer.err
    assert not (project.folder / "no-store").exists()
    unknown = finnyaml("lint", project.write("bad.yaml", "modle: {}\nsteps: []\n"), "--json")
    assert unknown.code == 2 and unknown.data["finn"] is None


def test_a_recipe_that_is_not_there(finnyaml: Command) -> None:
    answer = finnyaml("lint", "nowhere.yaml")
    assert answer.code == 2 and "nowhere.yaml" in answer.err
