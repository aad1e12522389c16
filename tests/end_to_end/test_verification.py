"""Builds that measure: gates that stop, warn and wait, points that cannot run, and where it is told that it was lost.

The network is tiny and its steps are the test's own; the executor, the gates, the search and the command are the real
ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.project import STEPS, Project

FLIP = '''

from qonnx.transformation.base import Transformation


class Flip(Transformation):
    """Give the weight another sign: other classes win."""

    def apply(self, model):
        name = model.graph.initializer[0].name
        model.set_initializer(name, -model.get_initializer(name))
        return model, False


def flip(model, cfg):
    return model.transform(Flip())


def vivado(model, cfg):
    """Leave a mark that it ran."""
    Path(cfg.output_dir, "ran.txt").write_text("ran")
    return model
'''

STRANGE = """

def strange(model, cfg):
    model.graph.node[0].op_type = "NoSuchOperator"
    return model
"""

RECIPE = """
name: tiny
model: {onnx: tiny.onnx, input: {datatype: FLOAT32}}
steps:
  - {uses: "steps.py:scale", with: {by: 2.0}}
  - {uses: "steps.py:flip"}
  - {uses: "steps.py:same"}
verify:
  data: {npz: data.npz, inputs: x, labels: y}
"""


@pytest.fixture
def tiny(project: Project) -> Project:
    """Samples whose class is the place of their largest product with the weight, which is 0, 1, 2, 3."""
    x = np.random.default_rng(0).uniform(0.1, 1, (40, 4)).astype(np.float32)
    np.savez(project.folder / "data.npz", x=x, y=(x * np.arange(4, dtype=np.float32)).argmax(1))
    project.write("steps.py", STEPS + FLIP)
    project.write("recipe.yaml", RECIPE)
    return project


def _points(result: dict[str, Any]) -> dict[str, str]:
    return {task["checks"]: task["verdict"]["state"] for task in result["tasks"].values() if "verdict" in task}


def _edit(project: Project, old: str, new: str) -> None:
    text = (project.folder / "recipe.yaml").read_text()
    assert old in text
    project.write("recipe.yaml", text.replace(old, new))


def _allow(project: Project, limits: str) -> None:
    """Put limits into the section `verify`."""
    _edit(project, "labels: y}", f"labels: y}}\n  {limits}")


def test_a_gate_stops_the_build_and_the_place_is_told(tiny: Project) -> None:
    done = tiny.run("build", "recipe.yaml", "-j", "1")
    assert done.returncode == 3, done.stderr
    assert "100.0 % top1 of 40" in done.stderr
    lost = "verify.flip failed: top1 is 0.0 %, and 100.0 % in the reference (source): it got worse by 100 points"
    assert lost in done.stderr
    assert "the transformation is Flip" in done.stderr
    assert "Traceback" not in done.stderr
    assert "40 outputs changed" in done.stdout and "FAILED" in done.stdout
    assert not (tiny.folder / "build/intermediate_models/same.onnx").exists()
    # The answers before and after lie with the run, to be compared sample by sample.
    (run,) = (tiny.folder / "build/.finnyaml/runs").iterdir()
    before, after = (np.load(run / f"verification/{step}.npz") for step in ("scale", "flip"))
    assert (before["predictions"] == before["labels"]).all()
    assert (after["index"] == before["index"]).all() and (after["predictions"] != before["labels"]).all()


def test_nothing_is_measured_twice_and_a_new_limit_judges_anew(tiny: Project) -> None:
    _allow(tiny, "max_drop: 1.0")
    assert _points(tiny.build()) == dict.fromkeys(("model", "scale", "flip", "same"), "passed")
    _edit(tiny, "max_drop: 1.0", "max_drop: 0.5")
    _edit(tiny, '  - {uses: "steps.py:same"}', '  - {uses: "steps.py:report"}')
    result = tiny.build(code=3)
    assert [name for name, task in result["tasks"].items() if task["state"] == "ran"] == []
    assert result["tasks"]["verify.flip"]["verdict"]["state"] == "failed"
    assert result["tasks"]["report"]["state"] == "not run"  # nothing starts below a gate that is known to fail


def test_other_data_measures_anew_and_builds_nothing(tiny: Project) -> None:
    _allow(tiny, "max_drop: 1.0")
    tiny.build()
    np.savez(tiny.folder / "data.npz", x=np.ones((8, 4), np.float32), y=np.full(8, 3))
    assert tiny.ran() == ["verify.source", "verify.model", "verify.scale", "verify.flip", "verify.same"]


def test_work_with_tools_does_not_start_below_a_failed_gate(tiny: Project) -> None:
    _edit(tiny, '  - {uses: "steps.py:same"}', '  - {uses: "steps.py:vivado", tools: [gcc]}')
    result = tiny.build(code=3)
    assert result["tasks"]["vivado"]["state"] == "not run"
    result = tiny.build("--keep-going", code=3)
    assert result["tasks"]["vivado"] == {"state": "not run", "needs": "verify.flip", "looks": False}
    assert not (tiny.folder / "build/ran.txt").exists()
    _allow(tiny, "max_drop: 1.0")
    tiny.build()
    assert (tiny.folder / "build/ran.txt").exists()


def test_warn_goes_on_and_says_so_every_time(tiny: Project) -> None:
    _allow(tiny, "on_fail: warn")
    for _ in range(2):
        done = tiny.run("build", "recipe.yaml")
        assert done.returncode == 0, done.stderr
        assert "FAILED" in done.stdout
    assert _points(tiny.build())["same"] == "failed"


def test_defer_builds_to_the_end_and_has_failed_then(tiny: Project) -> None:
    _allow(tiny, "on_fail: defer")
    result = tiny.build(code=3)
    assert result["tasks"]["same"]["state"] == "ran"
    assert tiny.build(code=3)["tasks"]["same"]["state"] == "cached"


def test_a_point_that_cannot_run_has_not_passed(tiny: Project) -> None:
    _edit(tiny, '  - {uses: "steps.py:flip"}\n  - {uses: "steps.py:same"}', '  - {uses: "steps.py:strange"}')
    tiny.write("steps.py", STEPS + STRANGE)
    result = tiny.build()  # a point that is there by default: told, and no obstacle
    assert _points(result)["strange"] == "not verified"
    assert result["tasks"]["verify.strange"]["measurement"]["state"] == "not executable"
    _allow(tiny, "points: [strange]")
    done = tiny.run("build", "recipe.yaml")
    assert done.returncode == 3
    assert "strange is not verified: not executable here" in done.stderr
    assert "on_fail: warn" in done.stderr


def test_bisect_searches_the_step_that_it_is_given(tiny: Project) -> None:
    done = tiny.run("bisect", "recipe.yaml", "flip", "--json")
    assert done.returncode == 3, done.stderr
    (place,) = json.loads(done.stdout)["found"]
    assert place["found"]["transformation"]["name"] == "Flip"
    assert (place["found"]["before"], place["found"]["after"]) == (1.0, 0.0)
    assert place["picture"] is None or Path(place["picture"]).exists()
    done = tiny.run("bisect", "recipe.yaml", "scale")
    assert done.returncode == 0, done.stderr + done.stdout


def test_bisect_without_a_step_finds_the_first_that_loses(tiny: Project) -> None:
    done = tiny.run("bisect", "recipe.yaml")
    assert done.returncode == 3, done.stderr
    assert "the transformation is Flip" in done.stdout
    _edit(tiny, '  - {uses: "steps.py:flip"}\n', "")
    done = tiny.run("bisect", "recipe.yaml")
    assert (done.returncode, done.stdout) == (0, "nothing is lost: 3 points measured, every gate passed\n")


def test_bisect_without_data_says_what_to_write(project: Project) -> None:
    done = project.run("bisect", "recipe.yaml")
    assert done.returncode == 2
    assert "has no verification points" in done.stderr and "verify: {data: ...}" in done.stderr


def test_points_far_apart_still_find_the_step_between_them(tiny: Project) -> None:
    _allow(tiny, "points: [same]")
    done = tiny.run("build", "recipe.yaml")
    assert done.returncode == 3
    assert "verify.same failed" in done.stderr
    assert "the transformation is Flip" in done.stderr


def test_outputs_may_be_compared_number_by_number(tiny: Project) -> None:
    _allow(tiny, "metric: max_abs\n  tolerance: {atol: 0.001}\n  points: [model, scale]")
    result = tiny.build(code=3)
    assert _points(result) == {"model": "passed", "scale": "failed"}
    assert "40 of 40 samples" in result["tasks"]["verify.scale"]["message"]


def test_what_is_no_classifier_is_searched_by_its_outputs(tiny: Project) -> None:
    _allow(tiny, "metric: mse\n  max_drop: 0.0")
    _edit(tiny, '  - {uses: "steps.py:scale", with: {by: 2.0}}\n', '  - {uses: "steps.py:scale", with: {by: 1.0}}\n')
    done = tiny.run("build", "recipe.yaml")
    assert done.returncode == 3, done.stderr
    assert "agreement with the reference falls in steps.py:flip: 100.0 % to 0.0 %" in done.stderr


def test_stages_are_linted_in_a_build_and_by_lint_without_building(tiny: Project) -> None:
    x = np.random.default_rng(0).integers(1, 256, (40, 4)).astype(np.uint8)
    np.savez(tiny.folder / "data.npz", x=x, y=(x * np.arange(4)).argmax(1))
    _edit(tiny, '  - {uses: "steps.py:flip"}\n', "")
    before = tiny.run("lint", "recipe.yaml")
    assert "note: no graph of this recipe is in the store yet" in before.stderr
    done = tiny.run("build", "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("[input-is-float]") == 1  # once for all stages that follow from the first
    assert "warning: after model: " in done.stderr
    found = tiny.run("lint", "recipe.yaml")
    assert found.returncode == 0 and "[input-is-float]" in found.stderr
    tiny.write("recipe.yaml", (tiny.folder / "recipe.yaml").read_text() + "lint: {ignore: [input-is-float]}\n")
    assert "input-is-float" not in tiny.run("lint", "recipe.yaml").stderr


def test_another_step_may_be_the_reference_of_all_points(tiny: Project) -> None:
    _allow(tiny, "reference: flip\n  min_agreement: 1.0")
    result = tiny.build("--keep-going", code=3)
    assert _points(result) == {"model": "failed", "scale": "failed", "flip": "passed", "same": "passed"}
    assert "disagrees with the model itself" not in tiny.run("build", "recipe.yaml").stderr
    _edit(tiny, "min_agreement: 1.0", "metric: mse")
    result = tiny.build()
    assert set(_points(result).values()) == {"measured"}
    assert result["tasks"]["verify.flip"]["measurement"]["state"] == "reference"


def test_a_limit_in_the_metrics_own_unit_does_not_hide_the_place(tiny: Project) -> None:
    _allow(tiny, "metric: mse\n  max_drop: 4.0")
    _edit(tiny, "{by: 2.0}", "{by: 1.0}")
    done = tiny.run("bisect", "recipe.yaml")
    assert done.returncode == 3 and "the transformation is Flip" in done.stdout, done.stdout + done.stderr


def test_a_lock_holds_the_measurements(tiny: Project) -> None:
    _allow(tiny, "max_drop: 1.0")
    tiny.build("--lock")
    tiny.build("--frozen")
    lock = tiny.folder / "recipe.lock.yaml"
    assert "value: 0.0" in lock.read_text()
    lock.write_text(lock.read_text().replace("value: 0.0", "value: 0.5", 1))
    tiny.build("--frozen", code=2)


def test_what_programs_of_a_data_loader_read_and_ask_counts(tiny: Project) -> None:
    tiny.write(
        "data.py",
        """
        import subprocess
        from pathlib import Path
        import numpy as np

        def load():
            subprocess.run(["cat", "/etc/passwd"], check=True)
            subprocess.run(["date"], check=True)
            archive = np.load(Path(__file__).with_name("data.npz"))
            return archive["x"], archive["y"]
        """,
    )
    _edit(tiny, "{npz: data.npz, inputs: x, labels: y}", '{python: "data.py:load"}\n  points: [scale]')
    tasks = tiny.build()["tasks"]
    assert tasks["verify.scale"]["may_differ"] == ["asks for the time of day (date)"]
    assert any('"/etc/passwd"' in path.read_text() for path in tiny.store.glob("traces/*/*"))
