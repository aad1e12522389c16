"""A real build of the digits recipe, shared by all tests here: Brevitas to hardware code with the real FINN."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.project import ROOT, Project


def copy_recipes(folder: Path) -> Path:
    """The committed recipes, without what builds left in them."""
    return Path(
        shutil.copytree(ROOT / "recipes", folder / "recipes", ignore=shutil.ignore_patterns("build", "__pycache__"))
    )


def unverified_digits(folder: Path, store: Path) -> Project:
    """A copy of digits-cnv that is built to its end: without the section `verify`, which stops it."""
    recipe = copy_recipes(folder) / "digits-cnv" / "recipe.yaml"
    text, found, _ = recipe.read_text().partition("\nverify:")
    assert found
    recipe.write_text(text)
    return Project(recipe.parent, store, empty=True)


@pytest.fixture(scope="session")
def built_digits(tmp_path_factory: pytest.TempPathFactory, warm_store: Path) -> Project:
    """digits-cnv, built cold once. Tests that change something use `digits`."""
    folder = tmp_path_factory.mktemp("digits")
    store = folder / "store"
    shutil.copytree(warm_store, store)
    project = unverified_digits(folder, store)
    project.build()
    return project


@pytest.fixture
def digits(tmp_path: Path, built_digits: Project) -> Project:
    """A copy of the built project on the same store."""
    return unverified_digits(tmp_path, built_digits.store)


@pytest.fixture(scope="session")
def last(built_digits: Project) -> dict[str, Any]:
    """The record of the build: per task what it read."""
    record = json.loads((built_digits.folder / "build/.finnyaml/last.json").read_text())
    return record["tasks"]  # type: ignore[no-any-return]
