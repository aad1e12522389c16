"""Every command explains itself and its options, in words that say what to write there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from finnyaml.cli.app import app
from tests.cli.conftest import Command
from tests.project import ROOT

KNOWN = {
    *("init", "import", "export"),
    *("build", "plan", "table", "graph", "lint", "log", "jobs", "bisect", "clean", "schema", "doctor"),
    *("bundle", "bundle attach"),
    *("steps", "steps list", "steps show", "steps options", "steps boards"),
    *("cache", "cache list", "cache size", "cache verify", "cache gc", "cache push", "cache pull", "cache sync"),
}
HIDDEN = {"steps describe": "steps show", "cache ls": "cache list", "cache du": "cache size"}
"""Older spellings, and what they are called now."""


def commands(command: Any, words: str = "") -> Iterator[tuple[str, Any]]:
    """Every command below one, with the words that call it."""
    for name, inner in getattr(command, "commands", {}).items():
        called = f"{words} {name}".strip()
        yield called, inner
        yield from commands(inner, called)


COMMANDS = dict(commands(get_command(app)))


def test_all_commands_are_known() -> None:
    assert set(COMMANDS) == KNOWN | set(HIDDEN)
    assert {words for words, command in COMMANDS.items() if command.hidden} == set(HIDDEN)


@pytest.mark.parametrize("words", sorted(KNOWN))
def test_every_command_and_option_has_help(finnyaml: Command, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    answer = finnyaml(*words.split(), "--help")
    assert answer.code == 0 and answer.err == ""
    assert max(map(len, answer.out.splitlines())) <= 80
    assert not re.search(r"<|╭|\w\.\.\.$", answer.out, re.MULTILINE)  # types of Python, boxes, sentences that end early
    command = COMMANDS[words]
    assert command.help
    assert all(getattr(parameter, "help", None) for parameter in command.params)


@pytest.mark.parametrize(("old", "new"), HIDDEN.items())
def test_older_spellings_work(old: str, new: str) -> None:
    assert COMMANDS[old].callback.__name__ == COMMANDS[new].callback.__name__


def test_a_group_without_a_command_lists(finnyaml: Command, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert finnyaml("cache", store=store).out == finnyaml("cache", "list", store=store).out != ""


def test_a_wrong_command_line_is_2(finnyaml: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert finnyaml("graph").code == 2
    assert finnyaml("cache", "gc", "--nope").code == 2


def test_the_version(finnyaml: Command) -> None:
    assert finnyaml("--version").out.startswith("finnyaml ")


@pytest.mark.parametrize(("typed", "found"), [("finnyaml st", ["steps"]), ("finnyaml cache v", ["verify"])])
def test_shells_complete_commands(typed: str, found: list[str]) -> None:
    """As bash asks, through the entry point with its quick path."""
    asked = {"_FINNYAML_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    program = "import sys; sys.argv = ['finnyaml']; from finnyaml.__main__ import main; main()"
    environment = {**os.environ, **asked, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == found


HEAVY = {"rich", "jsonschema", "networkx", "yaml", "numpy", "onnx", "torch", "finn"}


def test_help_imports_nothing_that_takes_long() -> None:
    program = "import sys; from finnyaml.cli.app import run; run(['build', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    modules = done.stdout.splitlines()[-1].split()
    assert "finnyaml.cli.build" in modules and not HEAVY & set(modules)
