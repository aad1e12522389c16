"""`recipe.lock.yaml`: written on request, kept to with `--frozen`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.project import STEPS, Project


@pytest.fixture
def locked(built: Project) -> Project:
    done = built.run("build", "recipe.yaml", "--lock")
    assert done.returncode == 0, done.stderr
    return built


def _lock(project: Project) -> Path:
    return project.folder / "recipe.lock.yaml"


def test_the_lock_file_names_inputs_versions_and_results(locked: Project) -> None:
    data = yaml.safe_load(_lock(locked).read_text())
    assert set(data["inputs"]) == {"@recipe/steps.py", "@recipe/tiny.onnx"}
    assert data["finn"]["version"] and data["libraries"]["onnx"]
    assert list(data["tasks"]) == ["model", "scale", "same", "report"]
    assert str(locked.folder) not in _lock(locked).read_text()


def test_the_same_build_gives_the_same_lock_file(locked: Project, new_project: Callable[[str], Project]) -> None:
    other = new_project("other")
    other.run("build", "recipe.yaml", "--lock")
    assert _lock(other).read_text() == _lock(locked).read_text()


def test_a_frozen_build_of_the_same_is_fine(locked: Project) -> None:
    assert locked.run("build", "recipe.yaml", "--frozen").returncode == 0


def test_frozen_without_a_lock_file_says_how_to_get_one(project: Project) -> None:
    done = project.run("build", "recipe.yaml", "--frozen")
    assert done.returncode == 2
    assert "there is no recipe.lock.yaml" in done.stderr and "--lock" in done.stderr


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("recipe.yaml", "target_fps: 100", "target_fps: 101", "--frozen: recipe: locked"),
        ("steps.py", "np.float32(by)", "np.float32(by + 1)", "--frozen: inputs @recipe/steps.py: locked"),
    ],
)
def test_frozen_refuses_what_differs(locked: Project, file: str, before: str, after: str, told: str) -> None:
    text = (locked.folder / file).read_text()
    (locked.folder / file).write_text(text.replace(before, after))
    done = locked.run("build", "recipe.yaml", "--frozen")
    assert done.returncode == 2
    assert told in done.stderr


def test_frozen_refuses_another_result(locked: Project) -> None:
    data = _lock(locked).read_text()
    digest = yaml.safe_load(data)["tasks"]["same"]["digest"]
    _lock(locked).write_text(data.replace(digest, "0" * 64))
    before = (locked.folder / "build/report/fps.txt").stat().st_mtime_ns
    done = locked.run("build", "recipe.yaml", "--frozen")
    assert done.returncode == 2
    assert "result of same" in done.stderr
    assert (locked.folder / "build/report/fps.txt").stat().st_mtime_ns == before


def test_frozen_refuses_another_library(locked: Project) -> None:
    data = _lock(locked).read_text()
    version = yaml.safe_load(data)["libraries"]["onnx"]
    _lock(locked).write_text(data.replace(f"onnx: {version}", "onnx: 0.0.1"))
    told = locked.run("build", "recipe.yaml", "--frozen").stderr
    assert f"libraries onnx: locked 0.0.1, now {version}" in told


def test_a_broken_lock_file(locked: Project) -> None:
    _lock(locked).write_text("tasks: [")
    assert "cannot be read" in locked.run("build", "recipe.yaml", "--frozen").stderr


def test_comments_do_not_unfreeze(locked: Project) -> None:
    locked.write("steps.py", "# a comment\n" + STEPS)
    assert locked.run("build", "recipe.yaml", "--frozen").returncode == 0
