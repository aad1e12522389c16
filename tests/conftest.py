"""Fixtures that all tests share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.project import Project, warm


@pytest.fixture(scope="session")
def warm_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every new store would have to find out first; to be copied, not to be changed."""
    return warm(tmp_path_factory.mktemp("warm"))


@pytest.fixture
def store_folder(tmp_path: Path, warm_store: Path) -> Path:
    """A fresh store that already knows the installed FINN."""
    return shutil.copytree(warm_store, tmp_path / "store")


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
