"""The folder that every test of recipes begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipe.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with a model and Python code in it."""
    made = Folder(tmp_path / "accelerator")
    made.write("model.onnx", "not looked into")
    made.write("weights.pth", "not looked into")
    made.write("model.py", "def digits_cnv(act_bits=1):\n    pass\n")
    made.write("custom.py", "def tweak(model, cfg, alpha=1):\n    return model\n")
    return made
