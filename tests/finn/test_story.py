"""The story finnyaml is there for, with the real FINN: accuracy lost in streamlining, seen, explained, repaired."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from finnyaml.store import Store
from finnyaml.store.upkeep import ls
from tests.finn.conftest import copy_recipes
from tests.project import Project


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory, built_digits: Project) -> Path:
    """The recipes as they are committed; builds use the store of `built_digits`, where most steps are done."""
    return copy_recipes(tmp_path_factory.mktemp("story"))


def _project(recipes: Path, name: str, built_digits: Project) -> Project:
    return Project(recipes / name, built_digits.store, empty=True)


def _points(result: dict[str, Any]) -> dict[str, tuple[str, float, str]]:
    """Per measured step: accuracy as shown, agreement with the Brevitas network, verdict."""
    return {
        task["checks"]: (task["measurement"]["shown"], task["measurement"]["agreement"], task["verdict"]["state"])
        for task in result["tasks"].values()
        if "verdict" in task
    }


@pytest.fixture(scope="module")
def failed(recipes: Path, built_digits: Project) -> tuple[str, dict[str, Any]]:
    """What the build of digits-cnv says and records."""
    done = _project(recipes, "digits-cnv", built_digits).run("build", "recipe.yaml", "--json")
    assert done.returncode == 3, done.stderr
    return done.stderr, json.loads(done.stdout)


def test_the_gate_after_streamlining_stops_the_build(failed: tuple[str, dict[str, Any]]) -> None:
    points = _points(failed[1])
    right = ("98.8 %", 1.0, "passed")
    assert [points[step] for step in ("postprocess", "qonnx_to_finn", "tidy_up")] == [right] * 3
    assert points["streamline"] == ("83.2 %", 0.832, "failed")
    assert failed[1]["tasks"]["verify.streamline"]["measurement"]["samples"] == 500


def test_the_transformation_the_tensor_the_place_and_the_cause_are_named(
    failed: tuple[str, dict[str, Any]], built_digits: Project
) -> None:
    told = failed[0]
    assert "accuracy falls in step_streamline: 98.8 % to 83.2 %" in told
    assert "the transformation is ConvertBipolarMatMulToXnorPopcount" in told and "come from LowerConvsToMatMul" in told
    assert "first wrong tensor: the product of the second convolution" in told
    assert "all mismatches lie in the outer 4 pixels" in told
    assert "the values -1 and +1 in one bit cannot represent 0" in told
    assert "[padding-cannot-be-represented]" in told
    assert "+  insert: [{after: tidy_up, steps: represent_padding}]" in told
    picture = next(line.split()[-1] for line in told.splitlines() if line.startswith("  picture: "))
    run = Path(failed[1]["run"])
    assert (run / Path(picture).name).read_bytes().startswith(b"\x89PNG")
    # If the list of fonts in the home folder counted as read, the next search would not be found in the store.
    traces = {trace.info["task"]: trace for _, trace in ls(Store.open(built_digits.store))}
    assert not [name for name in traces["bisect.streamline"].reads.get("file", ()) if "matplotlib" in name]


@pytest.mark.parametrize("name", ["digits-cnv-fixed", pytest.param("digits-cnv-w2a2", marks=pytest.mark.long)])
def test_the_cures_keep_every_prediction(recipes: Path, built_digits: Project, name: str) -> None:
    result = _project(recipes, name, built_digits).build()
    points = _points(result)
    assert len(points) >= 13 and "hw_codegen" in points
    (accuracy,) = {shown for shown, _, _ in points.values()}
    assert float(accuracy.split()[0]) >= 98
    assert {(agreement, verdict) for _, agreement, verdict in points.values()} == {(1.0, "passed")}


def test_lint_sees_it_without_data_and_mends_the_recipe(
    recipes: Path, built_digits: Project, failed: tuple[str, dict[str, Any]]
) -> None:
    project = Project(recipes / "mended", built_digits.store, empty=True)
    shutil.copytree(recipes / "digits-cnv", project.folder, ignore=shutil.ignore_patterns("build"))
    found = project.run("lint", "recipe.yaml")
    assert found.returncode == 2 and "[padding-cannot-be-represented]" in found.stderr
    mended = project.run("lint", "recipe.yaml", "--fix")
    assert mended.returncode == 0, mended.stderr
    assert "+  insert: [{after: tidy_up, steps: represent_padding}]" in mended.stdout
    result = project.build("--to", "streamline")
    assert _points(result)["streamline"] == ("98.8 %", 1.0, "passed")


@pytest.mark.long
def test_finns_own_verification_gets_golden_samples_and_does_not_see_it(recipes: Path, built_digits: Project) -> None:
    project = _project(recipes, "digits-cnv-fixed", built_digits)
    project.write(
        "golden.yaml",
        """
        extends: ../digits-cnv/recipe.yaml
        output: build-golden
        finn: {verify_steps: [initial_python, streamlined_python]}
        verify: {points: []}
        """,
    )
    done = project.run("build", "golden.yaml", "--to", "streamline")
    assert done.returncode == 0, done.stderr
    left = sorted(path.name for path in (project.folder / "build-golden/verification_output").iterdir())
    assert left == ["verify_initial_python_0_SUCCESS.npy", "verify_streamlined_python_0_SUCCESS.npy"]
