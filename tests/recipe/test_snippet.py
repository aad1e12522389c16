"""Problems as the terminal shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnyaml.errors import Problem, Where
from finnyaml.recipe.snippet import render_problems
from tests.recipe.folder import MINIMAL, Folder


def test_complete(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = folder.problems(MINIMAL + "folding:\n  targt_fps: 2000\n", ["target.clock_ns=fast"])
    monkeypatch.chdir(folder.path)
    assert render_problems(problems) == (
        "recipe.yaml:4:3: error: unknown key 'targt_fps' in folding\n"
        "  2 | steps: estimate_only\n"
        "  3 | folding:\n"
        "  4 |   targt_fps: 2000\n"
        "    |   ^^^^^^^^^\n"
        "hint: did you mean 'target_fps'?\n"
        "\n"
        "--set (option 1): error: target.clock_ns must be a number, not the text 'fast'\n"
        "hint: for example `clock_ns: 5.0`"
    )


def test_elsewhere_the_path_is_absolute(folder: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    problems = folder.problems(MINIMAL + "x: 1\n")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert render_problems(problems).startswith(f"{folder.path}/recipe.yaml:3:1: error: ")


@pytest.mark.parametrize(
    ("line", "column", "carets"),
    [
        ("a: 'x y' # note", 4, "    |    ^^^^^"),
        ('a: "x \\" y"', 4, "    |    ^^^^^^^^"),
        ("a: x y # note", 4, "    |    ^^^"),
        ("a: [1, 2]", 4, "    |    ^"),
        ("a: [custom.py:fn, 2]", 5, "    |     ^^^^^^^^^^^^"),
        ("a:", 3, "    |   ^"),
        ("\ta: 1", 1, "    | ^"),
        ("層: x", 4, "    |     ^"),
    ],
)
def test_underlines_the_token(tmp_path: Path, line: str, column: int, carets: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(f"{line}\n", encoding="utf-8")
    rendered = render_problems([Problem("wrong", Where(file, 1, column))])
    assert rendered.splitlines()[-1] == carets


def test_long_lines_are_cut_around_the_place(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(f"a: [{'x, ' * 1000}HERE{', y' * 1000}]\n")
    lines = render_problems([Problem("wrong", Where(file, 1, 3005))]).splitlines()
    assert all(len(line) < 120 for line in lines[1:])
    start = lines[2].index("^")
    assert lines[1][start : start + 4] == "HERE"


def test_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("a: \x1b[31mred\n")
    assert "\x1b" not in render_problems([Problem("bad \x1b[31m", Where(file, 1, 4), "hint \x1b[0m")])


def test_without_place_or_file(tmp_path: Path) -> None:
    assert render_problems([Problem("wrong")]) == "error: wrong"
    gone = Where(tmp_path / "gone.yaml", 3, 4)
    assert render_problems([Problem("wrong", gone, severity="warning")]).endswith("gone.yaml:3:4: warning: wrong")
    assert render_problems([]) == ""


@given(data=st.binary(max_size=200), line=st.integers(-2, 30), column=st.integers(-2, 300))
def test_never_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes, line: int, column: int) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(data)
    assert render_problems([Problem("wrong", Where(file, line, column))])
