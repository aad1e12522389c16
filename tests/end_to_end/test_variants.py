"""A recipe with a matrix, built by the real command: what variants share, and where each has its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.project import Project

MATRIX = """
name: tiny
matrix:
  by: [2.0, 3.0]
  fps: [100, 200]
  include: [{by: 2.0, fps: 300, name: fast}]
model: {onnx: tiny.onnx, input: {datatype: FLOAT32}}
steps:
  - {uses: "steps.py:same"}
  - {uses: "steps.py:scale", with: {by: "${by}"}}
  - {uses: "steps.py:report"}
folding: {target_fps: "${fps}"}
when: [{if: {fps: 300}, then: {targets: {quick: report}}}]
"""
NAMES = ["2.0-100", "2.0-200", "3.0-100", "3.0-200", "fast"]


def fps(project: Project) -> dict[str, str]:
    return {path.parts[-3]: path.read_text().strip() for path in (project.folder / "build").glob("*/report/fps.txt")}


def variants(answer: Any) -> dict[str, Any]:
    return answer["variants"]  # type: ignore[no-any-return]


def ran(answer: Any) -> dict[str, list[str]]:
    found = {
        name: [task for task, told in record["tasks"].items() if told["state"] == "ran"]
        for name, record in variants(answer).items()
    }
    return {name: tasks for name, tasks in found.items() if tasks}


@pytest.fixture
def matrix(project: Project) -> Project:
    project.write("recipe.yaml", MATRIX)
    return project


def test_variants_are_one_build(matrix: Project) -> None:
    plan = matrix.run("plan").stdout
    assert plan.startswith(f"5 variants: {', '.join(NAMES)}\n") and plan.count("\n~ same ") == 1

    first = ran(matrix.build("-j", "1"))
    assert first == {
        "2.0-100": ["model", "same", "scale", "report"],
        "2.0-200": ["report"],
        "3.0-100": ["scale", "report"],
        "3.0-200": ["report"],
        "fast": ["report"],
    }
    assert fps(matrix) == {"2.0-100": "100", "2.0-200": "200", "3.0-100": "100", "3.0-200": "200", "fast": "300"}
    about = json.loads((matrix.folder / "build/fast/build.json").read_text())
    assert (about["variant"], about["name"], about["targets"]) == ("fast", "tiny-fast", ["quick"])

    # One command has nothing to do, and the next finds that out without reading the recipe.
    assert matrix.run("build").stdout == matrix.run("build").stdout
    stamps = [*(matrix.store / "memos").glob("stamp-*")]
    assert len(stamps) == 1 and '"tiny-fast is up to date: 4 steps"' in stamps[0].read_text()
    (matrix.folder / "build/fast/report/fps.txt").unlink()
    assert matrix.run("build").stdout != matrix.run("build").stdout
    assert fps(matrix)["fast"] == "300"

    # Only what is named is looked at, and only what changed runs.
    matrix.write("recipe.yaml", MATRIX.replace("fps: 300", "fps: 400"))
    assert ran(matrix.build("--variant", "2.*")) == {}
    assert ran(matrix.build("--variant", "f*", "--variant", "2.0-200")) == {"fast": ["report"]}
    assert fps(matrix)["fast"] == "400"
    shown = matrix.run("plan").stdout
    assert "= report [fast] " in shown and "= scale [2.0-100, 2.0-200, fast] " in shown
    drawn = matrix.run("graph").stdout
    assert drawn.count(" same ") == 1 and drawn.count(" report [") == 5

    # A target that some have is built for those.
    assert [*variants(matrix.build("quick"))] == ["fast"]
    wrong = matrix.run("build", "recipe.yaml", "quack")
    assert wrong.returncode == 2 and "'quack' is neither a target nor a step" in wrong.stderr
    assert "did you mean" in matrix.run("build", "recipe.yaml", "--variant", "2.0-1000").stderr

    # The log of a step is that of one variant; without a step, all are told.
    assert matrix.run("log").stdout.count("variant ") == 5
    assert "name it: `--variant 2.0-100`" in matrix.run("log", "recipe.yaml", "same").stderr
    assert matrix.run("log", "recipe.yaml", "same", "--variant", "fast").returncode == 0

    # What is no variant any more goes with `clean`.
    matrix.write("recipe.yaml", MATRIX.replace("name: fast", "name: faster"))
    assert (matrix.folder / "build/fast/build.json").exists()
    assert matrix.run("clean").stdout.startswith("removed ")
    assert not (matrix.folder / "build").exists()


def test_one_that_fails_does_not_keep_the_others(matrix: Project) -> None:
    wrong = 'if by == 3.0: raise ValueError("three")\n    name ='
    matrix.write("steps.py", (matrix.folder / "steps.py").read_text().replace("name =", wrong))
    done = matrix.run("build", "recipe.yaml", "--variant", "?.0-100")
    assert done.returncode == 1
    assert "2 variants: 1 complete, not complete: 3.0-100" in done.stdout
    assert done.stderr.count("ValueError: three") == 1 and "--variant 3.0-100" in done.stderr
    assert fps(matrix) == {"2.0-100": "100"}


def test_a_matrix_takes_no_folder_that_has_another_build(project: Project) -> None:
    plain = (project.folder / "recipe.yaml").read_text()
    project.build()
    project.write("recipe.yaml", f"{plain}\nmatrix: {{include: [{{a: 1}}]}}\n")
    refused = project.run("build")
    assert refused.returncode == 2 and "holds what recipe.yaml has built without `matrix:`" in refused.stderr
    assert "finnyaml clean recipe.yaml" in refused.stderr
    assert project.run("clean").returncode == 0
    assert [*variants(project.build())] == ["1"]
    assert {path.name for path in Path(project.folder / "build").iterdir()} == {"1"}
    # And the other way round: the folder of a variant is said.
    project.write("recipe.yaml", plain)
    done = project.run("build")
    assert done.returncode == 0 and "build/1 is of the variant 1" in done.stderr
