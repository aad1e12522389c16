"""The folder that every plan begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plan.catalog import Maker


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """Plans recipes in a folder with a model and Python code."""
    made = Maker(tmp_path / "project")
    made.write("model.onnx", "not looked into")
    made.write("own.py", "def lean(model, cfg, by=1):\n    return model\n\n\ndef wide(model, cfg):\n    return model\n")
    return made
