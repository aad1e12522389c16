from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.project import ROOT, Project

TFC = ROOT / "recipes" / "tfc-w1a1" / "recipe.yaml"


def test_text_shows_branches_and_states(finnyaml: Command) -> None:
    answer = finnyaml("graph", TFC)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].startswith(">    model ")
    assert "├─╮" in lines
    assert any(line.startswith("│ ~  small_folding ") and "target_fps_parallelization" in line for line in lines)
    assert any(line.endswith("target fast") for line in lines)


def test_what_is_built_is_shown_as_such(finnyaml: Command, built: Project) -> None:
    answer = finnyaml("graph", built.folder / "recipe.yaml")
    assert [line.split()[:2] for line in answer.out.splitlines()[:4]] == [
        ["=", "model"],
        ["=", "scale"],
        ["=", "same"],
        ["=", "report"],
    ]


def test_the_name_of_the_file_says_the_format(finnyaml: Command, tmp_path: Path) -> None:
    for name, start in (("a.dot", "digraph"), ("a.md", "```mermaid"), ("a.mmd", "flowchart"), ("a.txt", ">")):
        answer = finnyaml("graph", TFC, "-o", tmp_path / name)
        assert (answer.code, answer.out) == (0, "")
        assert (tmp_path / name).read_text().startswith(start)


def test_mermaid_pastes_into_markdown(finnyaml: Command) -> None:
    lines = finnyaml("graph", TFC, "--format", "mermaid").out.splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("```mermaid", "flowchart TD", "```")


def test_set_is_heeded(finnyaml: Command) -> None:
    assert "tidy_up" not in finnyaml("graph", TFC, "--set", "steps=[qonnx_to_finn]", "--set", "targets={}").out


def test_wrong_formats_and_places_are_told(finnyaml: Command, tmp_path: Path) -> None:
    wrong = finnyaml("graph", TFC, "--format", "ascii")
    assert wrong.code == 2 and "one of dot, mermaid, text" in wrong.err
    nowhere = finnyaml("graph", TFC, "-o", tmp_path / "no" / "a.dot")
    assert nowhere.code == 1 and "No such file" in nowhere.err


@pytest.mark.parametrize("asked", [("--format", "svg"), ("-o", "graph.SVG")])
def test_pictures_are_made_by_graphviz(finnyaml: Command, asked: tuple[str, str]) -> None:
    answer = finnyaml("graph", TFC, *asked)
    assert answer.code == 2 and "finnyaml itself draws no SVG" in answer.err
    assert "finnyaml graph RECIPE --format dot | dot -Tsvg > graph.svg" in answer.err
