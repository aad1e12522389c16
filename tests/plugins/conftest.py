"""Fixtures for plug-ins."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.plugins.example import Plugged, install


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the installed example. Tests that edit it take a copy."""
    return install(tmp_path_factory.mktemp("plugin"))


@pytest.fixture
def plugins(tmp_path: Path, installed: Path) -> Path:
    """A copy of the folder with the installed example."""
    return shutil.copytree(installed, tmp_path / "plugins")


@pytest.fixture
def plugged(tmp_path: Path, store_folder: Path, plugins: Path) -> Plugged:
    """A project that uses the example."""
    return Plugged(tmp_path / "project", store_folder, plugins)
