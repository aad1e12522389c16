"""What comes from outside is shown without anything that a terminal would obey, and within bounds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from finnyaml.cli import console, quick
from finnyaml.errors import FinnyamlError, Problem, RecipeError
from finnyaml.text import Whole, shortened, visible, wrapped
from tests.cli.conftest import Command
from tests.project import RECIPE, Project

EVIL = "\x1b]0;title\x07\x1b[31mred\x1b[0m\x1b[2J\x1b(0\x9b1A\u202egnp.exe\u2066\x00\x07\x85\x7f"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ☃ text", "plain ☃ text"),
        ("a\nb", "a\nb"),
        ("\x1b[1;31merror\x1b[0m", "error"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
        ("  10 %\r  50 %\r 100 %\r\nnext", " 100 %\nnext"),
        ("a\tb", "a       b"),
        ("a\u202eb\x08", "a\ufffdb\ufffd"),
        ("no\xa0break", "no break"),
        ("\x1b]never ends", "never ends"),
        ("\udcff", "\ufffd"),
    ],
)
def test_what_a_terminal_would_obey_goes(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert wrapped(Whole(text), 5) == shown


def test_every_character_is_shown_or_replaced() -> None:
    every = "".join(map(chr, range(0x3000)))
    assert not OBEYED.search(visible(every)) and not OBEYED.search(visible(EVIL))


def test_long_texts_say_how_much_more_there_is_and_where() -> None:
    assert shortened("short\ntext") == "short\ntext"
    cut = shortened("x" * 3_000_000, "run.json")
    assert len(cut) < 5_000 and cut.endswith("x ... (2,996,000 characters more: see run.json)")
    assert shortened("line\n" * 1000).count("\n") == 59


def test_a_step_that_prints_and_raises_what_it_likes(project: Project) -> None:
    project.step(f"print({EVIL!r}); raise ValueError({EVIL!r} + 'x' * 3_000_000)")
    done = project.run("build", "recipe.yaml", "--json", "--verbose", "--jobs", "1")
    assert done.returncode == 1
    assert not OBEYED.search(done.stderr) and len(done.stderr) < 20_000
    place = re.search(r"characters more: see (\S+run\.json)\)", done.stderr)
    assert place is not None
    whole = json.loads((project.folder / place[1]).read_text())["tasks"]["same"]["message"]
    assert whole.startswith(EVIL) and len(whole) > 3_000_000
    assert json.loads(done.stdout)["tasks"]["same"]["message"] == whole
    log = project.run("log", "recipe.yaml", "same")
    assert "red" in log.stdout and not OBEYED.search(log.stdout)


@pytest.mark.parametrize("command", ["lint", "plan", "graph", "build", "log", "clean", "bisect"])
def test_a_recipe_that_says_what_it_likes(finnyaml: Command, tmp_path: Path, finn_store: Path, command: str) -> None:
    project = Project(tmp_path, finn_store)
    evil = json.dumps(EVIL + "x" * 100_000)
    project.write(
        "recipe.yaml", RECIPE.replace("name: tiny", f"name: {evil}\n{evil}: 1") + f"finn: {{{evil}: {evil}}}\n"
    )
    answer = finnyaml(command, project.folder / "recipe.yaml")
    assert answer.code == 2
    assert not OBEYED.search(answer.out + answer.err) and len(answer.err) < 20_000


def test_errors_and_hints(capsys: pytest.CaptureFixture[str]) -> None:
    long = EVIL + "y" * 100_000
    for error in (FinnyamlError(long, hint=long), RecipeError([Problem(long, hint=long)])):
        console.failed(error)
        told = capsys.readouterr().err
        assert not OBEYED.search(told) and 100 < len(told) < 12_000


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"text": EVIL, "numbers": [float("nan"), float("inf"), 1.5], "path": Path("x")}
    console.show(data, ())
    told = capsys.readouterr().out
    assert not OBEYED.search(told)
    read = json.loads(told, parse_constant=lambda name: pytest.fail(name))
    assert read == {"text": EVIL, "numbers": [None, None, 1.5], "path": "x"}


def test_the_answer_of_a_stamp(capsys: pytest.CaptureFixture[str]) -> None:
    quick._tell([EVIL, "fine"])
    told = capsys.readouterr().out
    assert "fine" in told and not OBEYED.search(told)
