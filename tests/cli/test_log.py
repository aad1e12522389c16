from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.engine.workspace import private
from tests.cli.conftest import Command
from tests.project import Project

CODE = """
def first(model, cfg):
    print("all is well")
    return model


def second(model, cfg):
    {}
    return model
"""


@pytest.fixture(scope="module")
def history(finn_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two runs: a step prints and all goes well; then it prints something else and fails."""
    project = Project(tmp_path_factory.mktemp("history"), finn_store)
    project.write(
        "recipe.yaml",
        'model: {onnx: tiny.onnx}\nsteps: ["steps.py:first", "steps.py:second"]\ntargets: {all: second}\n',
    )
    project.write("steps.py", CODE.format("print('second well')"))
    project.build()
    project.write("steps.py", CODE.format("print('about to fail'); raise ValueError('no')"))
    project.build(code=1)
    return project


def test_all_steps_of_the_last_run(finnyaml: Command, history: Project) -> None:
    answer = finnyaml("log", history.folder / "recipe.yaml")
    rows = {line.split()[0]: line.split() for line in answer.out.splitlines() if line}
    assert rows["model"][1] == "cached" and rows["model"][3] == "s"
    assert rows["second"][1] == "failed"
    assert "1 older (--run)" in answer.out
    data = finnyaml("log", history.folder / "recipe.yaml", "--json").data
    assert [step["step"] for step in data["steps"]] == ["model", "first", "second"]
    assert len(data["runs"]) == 2


def test_the_log_of_a_failed_step_is_that_of_the_failure(finnyaml: Command, history: Project) -> None:
    for name in ("second", "all"):
        answer = finnyaml("log", history.folder / "recipe.yaml", name)
        assert answer.code == 0 and "about to fail" in answer.out and "second well" not in answer.out


def test_an_older_run_by_the_start_of_its_name(finnyaml: Command, history: Project) -> None:
    recipe = history.folder / "recipe.yaml"
    oldest = finnyaml("log", recipe, "--json").data["runs"][-1]
    assert finnyaml("log", recipe, "second", "--run", oldest).out.strip() == "second well"
    assert f"run {oldest}" in finnyaml("log", recipe, "--run", oldest).out
    wrong = finnyaml("log", recipe, "--run", oldest[:-1] + "?")
    assert wrong.code == 2 and f"did you mean '{oldest}" in wrong.err


def test_the_log_of_a_cached_step_comes_from_the_store(finnyaml: Command, built: Project) -> None:
    project = built
    assert project.ran() == []  # a second run, in which everything was cached
    answer = finnyaml("log", project.folder / "recipe.yaml", "scale")
    assert answer.code == 0 and "scale printed nothing" in answer.err
    listed = finnyaml("log", project.folder / "recipe.yaml", "--json").data["steps"]
    assert [(step["state"], step["log_size"] is not None) for step in listed] == [("cached", True)] * 4


def test_a_run_that_was_killed_is_told_by_its_events(finnyaml: Command, history: Project) -> None:
    recipe = history.folder / "recipe.yaml"
    run = private(history.folder / "build") / "runs" / "99991231-235959-dead"
    (run / "logs").mkdir(parents=True)
    (run / "logs" / "first.log").write_text("half a line")
    events = [
        '{"event": "task_cached", "task": "model"}',
        '{"event": "task_started", "task": "first"}',
        '{"event": "ta',
    ]
    (run / "events.jsonl").write_text("\n".join(events))
    try:
        states = {step["step"]: step["state"] for step in finnyaml("log", recipe, "--json").data["steps"]}
        assert states == {"model": "cached", "first": "ended early"}
        assert finnyaml("log", recipe, "first").out == "half a line\n"
        assert "about to fail" in finnyaml("log", recipe, "second").out  # from the run before
    finally:
        for path in (run / "logs" / "first.log", run / "events.jsonl"):
            path.unlink()
        (run / "logs").rmdir()
        run.rmdir()


def test_wrong_names_and_recipes_that_were_never_built(finnyaml: Command, history: Project, tmp_path: Path) -> None:
    wrong = finnyaml("log", history.folder / "recipe.yaml", "secnd")
    assert wrong.code == 2 and "did you mean 'second'?" in wrong.err
    never = finnyaml("log", Project(tmp_path, history.store).folder / "recipe.yaml")
    assert never.code == 2 and "was never built here" in never.err
