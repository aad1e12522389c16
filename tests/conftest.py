"""Fixtures that all tests share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.project import Project


@pytest.fixture(scope="session")
def catalog_memos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The memos of a store in which FINN has been asked once what it has (that takes some 10 s)."""
    folder = tmp_path_factory.mktemp("warm")
    project = Project(folder / "project", folder / "store")
    done = project.run("plan", "recipe.yaml")
    assert done.returncode == 0, done.stderr
    return folder / "store" / "memos"


@pytest.fixture
def store_folder(tmp_path: Path, catalog_memos: Path) -> Path:
    """A fresh store that already knows the installed FINN."""
    folder = tmp_path / "store"
    folder.mkdir()
    shutil.copytree(catalog_memos, folder / "memos")
    return folder


@pytest.fixture
def project(tmp_path: Path, store_folder: Path) -> Iterator[Project]:
    """A fresh project with a fresh store."""
    made = Project(tmp_path / "project", store_folder)
    yield made
    made.kill()


@pytest.fixture
def new_project(tmp_path: Path, store_folder: Path) -> Callable[[str], Project]:
    """Makes further projects on the same store."""
    return lambda name: Project(tmp_path / name, store_folder)
