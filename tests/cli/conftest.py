"""Commands called in this process, on a store that knows the installed FINN already."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from finnyaml.cli import app
from tests.project import Project


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its JSON."""
        return json.loads(self.out)


Command = Callable[..., Answer]


@pytest.fixture(scope="session")
def finn_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests only look into; FINNYAML_TEST_STORE names one to keep from run to run."""
    if os.environ.get("FINNYAML_TEST_STORE"):
        return Path(os.environ["FINNYAML_TEST_STORE"])
    folder = tmp_path_factory.mktemp("cli") / "store"
    shutil.copytree(request.getfixturevalue("warm_store"), folder)
    return folder


@pytest.fixture(scope="session")
def built(finn_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has been built; tests only look at it."""
    project = Project(tmp_path_factory.mktemp("built"), finn_store)
    project.build()
    return project


@pytest.fixture
def finnyaml(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, finn_store: Path) -> Command:
    """Runs a command line: `finnyaml("lint", "recipe.yaml", store=...)`."""

    def run(*arguments: object, store: Path = finn_store) -> Answer:
        monkeypatch.setenv("FINNYAML_STORE", str(store))
        capsys.readouterr()
        code = app.run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return run
