"""The recipe of a command line: recipe.yaml of the current folder where none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.project import Project


@pytest.fixture
def here(built: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(built.folder)
    return built.folder


@pytest.mark.parametrize("command", ["plan", "graph", "lint", "log"])
def test_it_is_recipe_yaml_here(finnyaml: Command, here: Path, command: str) -> None:
    named, unnamed = finnyaml(command, "recipe.yaml"), finnyaml(command)
    assert unnamed.code == 0 and unnamed.out == named.out != ""


@pytest.mark.parametrize("command", ["build", "plan", "graph", "lint", "log", "bisect", "clean"])
def test_without_one_here_that_is_said(
    finnyaml: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = finnyaml(command)
    assert answer.code == 2 and "there is no recipe.yaml here" in answer.err
    assert "finnyaml init MODEL" in answer.err


@pytest.mark.parametrize("command", ["build", "log"])
def test_a_step_where_the_recipe_belongs(finnyaml: Command, here: Path, command: str) -> None:
    answer = finnyaml(command, "scale")
    assert answer.code == 2 and "there is no recipe scale" in answer.err
    assert "the recipe stands before a step or target: recipe.yaml scale" in answer.err


def test_the_quick_path_takes_it_too(project: Project) -> None:
    assert project.run("build").returncode == 0
    assert project.run("build").stderr == ""  # no line of progress: nothing was looked at
