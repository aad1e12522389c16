"""Fixtures that all tests share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.project import Project, warm

LONGEST = ("finn", "end_to_end", "rtl", "docs", "api", "bundle", "bisect", "faults", "fuzz")
"""Folders of the tests that take longest. They come first, so that of two processes none is left alone at the end."""


BUILT_ONCE = tuple(f"tests/finn/test_{name}.py" for name in ("bundle", "digits", "story", "tools"))
"""Tests that start from one long build: one process runs them all, so that it is made once."""


class _Files(LoadFileScheduling):  # type: ignore[misc]
    """Each file in one process, as `--dist loadfile`; those of `BUILT_ONCE` together."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return BUILT_ONCE[0] if file in BUILT_ONCE else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """What `--dist loadfile` runs where."""
    return _Files(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((place for place, folder in enumerate(LONGEST) if folder in item.path.parts), len(LONGEST))

    items.sort(key=place)


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
