"""Steps whose results do not follow from what was read alone: `always`, `pure`, `--distrust`."""

from __future__ import annotations

from tests.project import Project


def test_a_step_that_runs_always_does_so_in_every_build(project: Project) -> None:
    project.step("print('here')\n    return model", "always: true")
    project.run("build", "recipe.yaml")
    for _ in range(2):  # the quick path would have an answer for the second
        assert "same     running   (the recipe says `always: true`)" in project.run("build", "recipe.yaml").stderr
    assert project.plan()["same"]["reasons"][0]["text"] == "the recipe says `always: true`"
    assert project.ran("--only", "report") == []
    assert project.ran() == ["same"]  # what follows sees the model that it saw before


def test_what_is_known_to_differ_is_said_in_the_plan_and_run_again_when_distrusted(project: Project) -> None:
    project.step("return model", "pure: false")
    project.build()
    why = "the recipe says `pure: false`"
    assert project.plan()["same"]["may_differ"] == [why]
    assert f"= same    cached   may differ: {why}" in project.run("plan", "recipe.yaml").stdout
    quick = project.run("build", "recipe.yaml")
    assert quick.stdout.startswith("tiny is up to date") and "may differ" not in quick.stdout
    again = project.run("plan", "recipe.yaml", "--distrust").stdout
    assert f"> same    run      it may differ: {why}" in again
    assert project.ran("--distrust") == ["same"]
