"""The folder that every test of recipes begins with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.recipe.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with a model, Python code and data in it."""
    made = Folder(tmp_path / "accelerator")
    made.write("model.onnx", "not looked into")
    made.write("weights.pth", "not looked into")
    made.write("model.py", "def digits_cnv(act_bits=1):\n    pass\n")
    made.write("custom.py", "def tweak(model, cfg, alpha=1):\n    return model\n")
    made.write("data.py", "def load(split='test'): ...\ndef score(outputs, labels, reference): ...\n")
    np.savez(made.path / "test.npz", x=np.zeros((4, 2)), y=np.zeros(4, int))
    np.save(made.path / "x.npy", np.zeros((4, 2)))
    np.save(made.path / "y.npy", np.zeros(4, int))
    return made
