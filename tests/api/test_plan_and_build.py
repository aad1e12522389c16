"""Load, plan and build from Python: the same as the command line, as values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import pytest

import finnyaml
from tests.project import STEPS, Project

Load = Callable[..., finnyaml.Recipe]
Edit = Callable[[str, str], None]


def ran(result: finnyaml.Result) -> list[str]:
    return [row["step"] for row in result.rows() if row["state"] == "ran"]


def break_same(tiny: Project) -> None:
    tiny.write("steps.py", STEPS.replace('"""Change nothing."""', 'raise ValueError("the weights are odd")'))


def test_a_wrong_recipe_is_refused_with_all_that_is_wrong(load: Load, edit: Edit) -> None:
    edit("target_fps: 100", "target_fsp: 100, mvau_wwidth_max: x")
    with pytest.raises(finnyaml.RecipeError) as caught:
        load()
    assert len(caught.value.problems) == 2
    shown = "\n".join(caught.value.__notes__)  # a traceback has them below the message
    assert all(problem.message in shown for problem in caught.value.problems)
    assert "did you mean 'target_fps'?" in shown and "recipe.yaml:8:" in shown


def test_a_plan_is_what_the_command_line_says(load: Load, tiny: Project) -> None:
    tiny.build()
    plan = load({"folding.target_fps": 200}).plan()
    told = tiny.run("plan", "recipe.yaml", "--set", "folding.target_fps=200").stdout
    assert f"{plan}\n" == told and "target_fps: 100 → 200" in told
    as_json = tiny.run("plan", "recipe.yaml", "--json", "--set", "folding.target_fps=200").stdout
    assert plan.to_json() == json.loads(as_json)


def test_a_plan_is_values(load: Load, edit: Edit) -> None:
    edit("by: 2.0", "by: 3.0")
    plan = load().plan(stop="same")
    assert next(iter(plan.tasks)) == "model" and "report" not in plan.tasks
    states = {name: plan.tasks[name].state for name in ("model", "scale", "same")}
    assert states == {"model": "cached", "scale": "stale", "same": "waiting"}
    scale = plan.tasks["scale"]
    assert (scale.needs, scale.uses, scale.reasons) == (("model",), "steps.py:scale", ("never built with this store",))
    assert plan.exit_code is finnyaml.ExitCode.OK and not plan.up_to_date
    assert plan.targets == {"report": "report"}
    frame = pandas.DataFrame(plan.rows())
    assert list(frame.columns) == ["task", "uses", "state", "needs", "reasons", "missing", "may_differ"]
    assert len(frame) == len(plan.tasks)


def test_a_build_gives_rows_and_measurements_and_nothing_on_the_screen(
    load: Load, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = load()
    result = recipe.build(force=["report"])
    assert result.ok and result.exit_code is finnyaml.ExitCode.OK and result.failures == ()
    frame = pandas.DataFrame(result.rows()).set_index("step")
    assert dict(frame["state"]) == {"model": "cached", "scale": "cached", "same": "cached", "report": "ran"}
    assert frame["value"].notna().all() and (frame["peak_memory"] > 1 << 20).all()
    measured = result.measurements["same"]
    assert (measured.metric, measured.value, measured.samples, measured.verdict) == ("top1", 1.0, 40, "passed")
    assert measured.reference == "source" and measured.reference_value == measured.agreement == 1.0
    assert measured.low is not None and 0.9 < measured.low < 1.0
    assert recipe.plan().up_to_date
    assert str(recipe.build()).startswith("tiny is up to date: 4 steps")
    assert capfd.readouterr() == ("", "")


def test_an_edit_counts_without_loading_again(load: Load, edit: Edit, tiny: Project) -> None:
    recipe = load()
    assert ran(recipe.build()) == []
    edit("by: 2.0", "by: 3.0")
    assert ran(recipe.build()) == ["scale", "same", "report"]
    tiny.write("steps.py", (tiny.folder / "steps.py").read_text().replace('"report"', '"notes"'))
    assert set(recipe.build(stop="report").files("report")) == {"notes/fps.txt"}


@pytest.mark.parametrize("value", [300, np.int64(300)])
def test_overrides_are_values(load: Load, value: object) -> None:
    recipe = load({"folding.target_fps": value, "name": "other"})
    assert recipe.sets == ("folding.target_fps=300", 'name="other"')
    plan = recipe.plan()
    assert plan.name == "other" and plan.tasks["report"].state == "stale"


def test_overrides_as_on_the_command_line(load: Load) -> None:
    assert load(["name=other"]).plan().name == load("name=other").plan().name == "other"
    with pytest.raises(finnyaml.RecipeError, match="target_fpss"):
        load(["folding.target_fpss=300"])


def test_what_is_selected(load: Load, edit: Edit) -> None:
    recipe = load()
    assert recipe.plan(force="same").tasks["same"].state == "stale"
    assert ran(recipe.build(only="same", force=["same"])) == ["same"]
    edit("by: 2.0", "by: 3.0")
    with pytest.raises(finnyaml.RecipeError, match="is not up to date"):
        recipe.build(only=["same"])
    assert ran(recipe.build(stop="scale")) == ["scale"]
    with pytest.raises(finnyaml.RecipeError, match="reprot"):
        recipe.plan("reprot")


def test_a_failed_step_is_an_exception_that_holds_the_result(load: Load, tiny: Project) -> None:
    break_same(tiny)
    with pytest.raises(finnyaml.BuildFailed) as caught:
        load().build()
    told = tiny.run("build", "recipe.yaml").stderr
    headline = "same (steps.py:same) failed: ValueError: the weights are odd"
    assert str(caught.value).startswith(f"{headline}\n") and headline in told
    assert caught.value.exit_code is finnyaml.ExitCode.STEP_FAILED
    result = caught.value.result
    assert not result.ok and result.failures == (str(caught.value),)
    states = {row["step"]: row["state"] for row in result.rows()}
    assert states == {"model": "cached", "scale": "ran", "same": "failed", "report": "not run"}
    assert str(result).startswith("tiny is not complete: 1 ran, 1 cached, 1 failed, 1 not run")


def test_a_gate_that_stops_says_where_it_is_lost(load: Load, edit: Edit) -> None:
    edit("steps.py:same", "steps.py:flip")
    with pytest.raises(finnyaml.BuildFailed) as caught:
        load().build()
    assert caught.value.exit_code is finnyaml.ExitCode.GATE_STOPPED
    result = caught.value.result
    (loss,) = result.losses
    assert (loss.step, loss.point) == ("flip", "verify.flip")
    assert loss.found is not None and loss.found["after"] < 0.5
    assert "verify.flip failed" in str(loss) and str(loss) in str(caught.value)
    assert result.measurements["flip"].verdict == "failed"
    # What the gate refused can still be looked at.
    wrong = result.predictions("flip")
    assert (wrong["predictions"] != wrong["labels"]).any()
    assert result.model("scale").is_file()


def test_a_search_answers_and_does_not_fail(load: Load, edit: Edit, tiny: Project) -> None:
    found = load().bisect()
    assert found.ok and found.losses == ()
    edit("steps.py:same", "steps.py:flip")
    found = load().bisect()
    assert not found.ok and found.losses[0].step == "flip"
    assert found.exit_code is finnyaml.ExitCode.GATE_STOPPED
    told = tiny.run("bisect", "recipe.yaml").stdout
    assert told.splitlines()[:3] == str(found.losses[0]).splitlines()[:3]


def test_a_search_that_cannot_begin(load: Load, tiny: Project) -> None:
    break_same(tiny)
    with pytest.raises(finnyaml.BuildFailed, match="ValueError: the weights are odd"):
        load().bisect("report")


def test_an_interrupt_is_passed_on_and_keeps_what_is_finished(load: Load, edit: Edit) -> None:
    def press(event: Any) -> None:
        if event["event"] == "task_finished" and event["task"] == "scale":
            raise KeyboardInterrupt

    edit("by: 2.0", "by: 3.0")
    recipe = load()
    with pytest.raises(KeyboardInterrupt):
        recipe.build(progress=press)
    plan = recipe.plan()
    assert (plan.tasks["scale"].state, plan.tasks["same"].state) == ("cached", "stale")
