"""The project as a build left it: tests of what a change rebuilds need not build it first, each for itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import Project


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory, warm_store: Path) -> Project:
    """Built cold, once; tests get a copy."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(warm_store, folder / "store")
    made = Project(folder / "project", folder / "store")
    assert made.ran() == ["model", "scale", "same", "report"]
    return made


@pytest.fixture
def built(tmp_path: Path, store_folder: Path, built_once: Project) -> Iterator[Project]:
    """A copy of the built project, with its store and its workspace."""
    shutil.copytree(built_once.store, store_folder, dirs_exist_ok=True)
    shutil.copytree(built_once.folder, tmp_path / "project")
    made = Project(tmp_path / "project", store_folder, empty=True)
    yield made
    made.kill()
