"""Steps whose results do not follow from what was read alone: `always`, `pure`, `--distrust`."""

from __future__ import annotations

import json
import re

from tests.project import RECIPE, Project


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


CLOCK = """
import time
from pathlib import Path

def clock(model, cfg):
    folder = Path(cfg.output_dir) / "report"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clock.txt").write_text(f"made\\n{time.time_ns()}\\n")
    return model
"""


def test_a_check_finds_the_step_that_gives_something_else(project: Project) -> None:
    project.write("clock.py", CLOCK)
    recipe = project.write("recipe.yaml", f'{RECIPE.partition("folding")[0]}  - {{uses: "clock.py:clock"}}\n')
    project.build()
    traces = {path: path.read_bytes() for path in project.store.glob("traces/*/*")}
    checked = project.run("build", "recipe.yaml", "--check")
    assert checked.returncode == 1
    first, second, *_, last = checked.stdout.splitlines()
    assert first == "clock differs:" and "3 of 4 tasks gave the same again" in checked.stdout
    assert re.fullmatch(r"  report/clock.txt differs in line 2: '\d+', then '\d+'", second)
    assert last.startswith("make the result depend on the inputs alone, or say `pure: false` of the step")
    assert {path: path.read_bytes() for path in project.store.glob("traces/*/*")} == traces
    assert project.ran() == []

    assert project.run("build", "recipe.yaml", "scale", "--check").stdout == "1 of 1 task gave the same again\n"
    recipe.write_text(recipe.read_text().replace('clock"}', 'clock", pure: false}'))
    known = project.run("build", "recipe.yaml", "--check", "clock", "--json")
    assert known.returncode == 0 and list(json.loads(known.stdout)["repeated"]) == ["clock"]


def test_a_check_goes_with_no_other_choice(project: Project) -> None:
    refused = project.run("build", "recipe.yaml", "--check", "--only", "scale")
    assert (refused.returncode, refused.stdout) == (2, "") and "--check does not go with --only" in refused.stderr


def test_a_check_of_what_fails_says_so(project: Project) -> None:
    project.step("raise ValueError('odd')")
    failed = project.run("build", "recipe.yaml", "--check")
    assert (
        failed.returncode == 1
        and failed.stdout == ""
        and "same (steps.py:same) failed: ValueError: odd" in failed.stderr
    )
