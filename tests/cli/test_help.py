"""Every command explains itself and its options."""

from __future__ import annotations

import pytest
from typer.main import get_command

from finnyaml.cli.app import app
from tests.cli.conftest import Command

COMMANDS = [
    *(["build"], ["plan"], ["graph"], ["log"], ["init"], ["lint"], ["schema"], ["doctor"], ["clean"]),
    *(["steps"], ["steps", "list"], ["steps", "describe"], ["steps", "options"], ["steps", "boards"]),
    *(["bundle"], ["bundle", "attach"]),
    *(["cache"], ["cache", "ls"], ["cache", "du"], ["cache", "verify"], ["cache", "gc"]),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_help(finnyaml: Command, words: list[str]) -> None:
    assert finnyaml(*words, "--help").code == 0
    command = get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    assert command.help
    assert all(getattr(parameter, "help", None) for parameter in command.params)


def test_all_commands_are_known() -> None:
    top = get_command(app).commands  # type: ignore[attr-defined]
    assert {name for name, *_ in COMMANDS} <= set(top)


def test_a_wrong_command_line_is_2(finnyaml: Command) -> None:
    assert finnyaml("graph").code == 2
    assert finnyaml("cache", "gc", "--nope").code == 2


def test_the_version(finnyaml: Command) -> None:
    assert finnyaml("--version").out.startswith("finnyaml ")
