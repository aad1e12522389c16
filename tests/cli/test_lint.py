from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.cli import console, lint
from finnyaml.engine import check
from finnyaml.finn import identity
from finnyaml.lint.fix import Proposal
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
    assert found[4, "error"]["hint"] == "did you mean 'streamline' or 'streamline_branches'?"
    assert "Pynq-Z2" in found[5, "error"]["hint"]
    assert answer.data["exit_code"] == 2


ACROSS = """
name: across
model: {onnx: tyni.onnx}
steps: {flow: estimate_onyl, insrt: []}
folding: {targt_fps: 2000}
target: {board: Pynq-Z9, clock_ns: fast}
finn: {standalone_threshold: true}
verify: {data: {npz: none.npz, inputs: x, labels: y}, metric: agreemnt}
"""


def test_errors_of_all_layers_come_at_once(finnyaml: Command, project: Project) -> None:
    """Structure, files and names of FINN's: what one layer refuses does not hide what the next one would."""
    recipe = project.write("across.yaml", ACROSS)
    answer = finnyaml("lint", recipe, "--json")
    found = [(item["line"], item["message"].partition("'")[2].partition("'")[0]) for item in answer.data["problems"]]
    assert answer.code == 2
    assert found == [
        (3, "tyni.onnx"),
        (4, "estimate_onyl"),
        (4, "insrt"),
        (5, "targt_fps"),
        (6, "Pynq-Z9"),
        (6, "fast"),
        (7, "standalone_threshold"),
        (8, "none.npz"),
        (8, "agreemnt"),
    ]
    hints = [item["hint"] for item in answer.data["problems"]]
    assert hints[-1] == "did you mean 'agreement'?" and "Pynq-Z2" in hints[4]
    told = [finnyaml(command, recipe).err.count("error: ") for command in ("build", "plan", "graph")]
    assert told == [len(found)] * 3


@pytest.mark.parametrize(
    ("wrong", "lines"),
    [
        ("steps: {insert: []}\ntargets: {all: nowhere}", [3]),  # no step is known, so no target is blamed
        ("steps: [{uses: tidy_up, nedds: model}]\ntargets: {all: tidy_up}", [3]),
        (
            "steps: estimate_only\ntarget: {board: '${board}', shell: 1}",
            [4, 4],
        ),  # the variable, not a board of its name
    ],
)
def test_what_follows_from_another_error_is_not_told(
    finnyaml: Command, project: Project, wrong: str, lines: list[int]
) -> None:
    answer = finnyaml("lint", project.write("bad.yaml", f"name: bad\nmodel: {{onnx: tiny.onnx}}\n{wrong}\n"), "--json")
    assert [item["line"] for item in answer.data["problems"]] == lines


def test_a_store_that_knows_no_finn_is_not_asked(finnyaml: Command, project: Project) -> None:
    """Nor made: a recipe that is wrong anyway does not wait for FINN to answer."""
    store = project.folder / "no-store"
    answer = finnyaml("lint", project.write("across.yaml", ACROSS), "--json", store=store)
    assert len(answer.data["problems"]) == 6 and not store.exists()


def test_problems_show_their_place(finnyaml: Command, project: Project) -> None:
    answer = finnyaml("lint", project.write("bad.yaml", BAD))
    assert "bad.yaml:5:17: error: finn-plus" in answer.err
    assert answer.out.rstrip().endswith("bad.yaml: 4 errors")


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


def test_the_edit_of_a_repair_stays_whole_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    edit = Proposal(tmp_path / "recipe.yaml", "steps: []\n", f"steps: [{', '.join(['a_step_with_a_name'] * 5)}]\n")
    monkeypatch.setattr(check, "repair", lambda found: [edit])
    monkeypatch.setattr(console, "columns", lambda stream: 40)
    lint._repair(check.Checked(edit.path), quiet=False)
    assert capsys.readouterr().out == edit.diff()


def test_a_recipe_that_is_not_there(finnyaml: Command) -> None:
    answer = finnyaml("lint", "nowhere.yaml")
    assert answer.code == 2 and "nowhere.yaml" in answer.err
