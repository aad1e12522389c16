"""A recipe on the Python API: a tiny network with steps of the test's own, measured after each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import finnyaml
from tests.project import ROOT, STEPS, Project

FLIP = '''

def flip(model, cfg):
    """Give the weight another sign: other classes win."""
    name = model.graph.initializer[0].name
    model.set_initializer(name, -model.get_initializer(name))
    return model
'''

RECIPE = """
name: tiny
model: {onnx: tiny.onnx, input: {datatype: FLOAT32}}
steps:
  - {uses: "steps.py:scale", with: {by: 2.0}}
  - {uses: "steps.py:same"}
  - {uses: "steps.py:report"}
folding: {target_fps: 100}
verify:
  data: {npz: data.npz, inputs: x, labels: y}
"""


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, warm_store: Path) -> Project:
    """The tiny project, built; not to be changed."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copytree(warm_store, folder / "store")
    project = Project(folder / "project", folder / "store")
    # The class of a sample is the place of its largest product with the weight, which is 0, 1, 2, 3.
    x = np.random.default_rng(0).uniform(0.1, 1, (40, 4)).astype(np.float32)
    np.savez(project.folder / "data.npz", x=x, y=(x * np.arange(4, dtype=np.float32)).argmax(1))
    project.write("steps.py", STEPS + FLIP)
    project.write("recipe.yaml", RECIPE)
    project.build()
    return project


@pytest.fixture
def tiny(once: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the project that was never built here, with a store that has all of it."""
    shutil.copytree(once.folder, tmp_path / "project", ignore=shutil.ignore_patterns("build"))
    shutil.copytree(once.store, tmp_path / "store")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the workers
    monkeypatch.chdir(tmp_path / "project")
    return Project(tmp_path / "project", tmp_path / "store", empty=True)


@pytest.fixture
def load(tiny: Project) -> Callable[..., finnyaml.Recipe]:
    """Loads the recipe of the tiny project, with overrides."""
    return lambda sets=(): finnyaml.load("recipe.yaml", sets, store=tiny.store)


@pytest.fixture
def edit(tiny: Project) -> Callable[[str, str], None]:
    """Replaces a text in the recipe."""

    def edit(old: str, new: str) -> None:
        text = (tiny.folder / "recipe.yaml").read_text()
        assert old in text
        tiny.write("recipe.yaml", text.replace(old, new))

    return edit
