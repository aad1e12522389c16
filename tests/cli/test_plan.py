"""`finnyaml plan`: what runs under which name, with which toolchain."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.tools import discover
from tests.cli.conftest import Command

RECIPE = """\
model: {onnx: model.onnx}
steps: [hw_codegen, create_stitched_ip, {uses: step_tidy_up, id: again}, {uses: rtl.simulate, id: hardware}]
"""
NOTE = "toolchain: open (no Vivado here)"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(discover, "path", lambda name: None)
    (tmp_path / "model.onnx").write_text("")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_the_step_is_shown_where_the_id_says_another(finnyaml: Command, recipe: Path) -> None:
    answer = finnyaml("plan", recipe)
    shown = [line[2:].split("  ")[0] for line in answer.out.splitlines()[:-1] if not line.startswith(" ")]
    assert shown == [
        "model",
        "hw_codegen",
        "create_stitched_ip (rtl.stitch)",
        "again (tidy_up)",
        "hardware (rtl.simulate)",
    ]
    assert NOTE in answer.err.splitlines()


def test_the_toolchain_is_told_where_it_was_not_asked_for_and_matters(finnyaml: Command, recipe: Path) -> None:
    assert NOTE not in finnyaml("plan", recipe, "--set", "toolchain=open").err
    recipe.write_text("model: {onnx: model.onnx}\nsteps: [tidy_up, rtl.stitch]\n")
    assert NOTE not in finnyaml("plan", recipe).err
    assert finnyaml("plan", recipe, "--json").data["toolchain"] == "open"
