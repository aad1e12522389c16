"""Steps that fail in every way a step can: each is told with its cause, and loses nothing that was built."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.project import RECIPE, STEPS, Project


def _with_step(project: Project, body: str, options: str = "") -> None:
    """Replace the step `same` of the project by one with another body."""
    head, _, tail = STEPS.partition("def same(model, cfg):\n")
    project.write("steps.py", f"{head}def same(model, cfg):\n    {body}\n\n\n{tail.partition('return model')[2]}")
    if options:
        project.write("recipe.yaml", RECIPE.replace('"steps.py:same"', f'"steps.py:same", {options}'))


def _failed(project: Project, *arguments: str) -> tuple[str, dict[str, object]]:
    done = project.run("build", "recipe.yaml", "--json", *arguments)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr, json.loads(done.stdout)["tasks"]


def test_a_step_that_raises_is_shown_with_its_place(project: Project) -> None:
    _with_step(project, 'raise ValueError("the weights are odd")')
    told, tasks = _failed(project)
    assert "same (steps.py:same) failed: ValueError: the weights are odd" in told
    assert "in your code: steps.py:16" in told
    assert "try again: " in told
    assert "finnyaml build recipe.yaml --to same" in told
    assert tasks["scale"]["state"] == "ran" and tasks["report"]["state"] == "not run"  # type: ignore[index]


def test_what_was_built_before_a_failure_is_kept(project: Project) -> None:
    _with_step(project, 'raise ValueError("no")')
    _failed(project)
    _with_step(project, "return model")
    # The two steps share a file with the mended one, so they run; the model they stand on does not.
    assert project.ran() == ["scale", "same", "report"]


def test_a_failed_step_can_be_repeated_alone(project: Project) -> None:
    _with_step(project, 'raise ValueError("the weights are odd")')
    told, _ = _failed(project)
    job = next(line.split()[-1] for line in told.splitlines() if "finnyaml.worker.rerun" in line)
    command = [sys.executable, "-m", "finnyaml.worker.rerun", job]
    again = subprocess.run(
        command, cwd=project.folder, env=project.environment(), capture_output=True, text=True, check=False
    )
    assert again.returncode == 1 and "the weights are odd" in again.stderr
    _with_step(project, "return model")
    again = subprocess.run(
        command, cwd=project.folder, env=project.environment(), capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr


def test_a_step_that_returns_nothing(project: Project) -> None:
    _with_step(project, "pass")
    told, _ = _failed(project)
    assert "steps.py:same returned None instead of a ModelWrapper" in told
    assert "a step ends with `return model`" in told


def test_a_step_that_hangs_is_stopped_by_its_timeout(project: Project) -> None:
    _with_step(project, "import time; time.sleep(600)", "timeout: 3")
    told, _ = _failed(project)
    assert "timeout: it took longer than 3 s" in told


@pytest.mark.parametrize(
    ("body", "told_as"),
    [
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import os; os._exit(3)", "ended with exit code 3"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
    ],
)
def test_a_step_that_ends_its_process(project: Project, body: str, told_as: str) -> None:
    _with_step(project, body)
    told, _ = _failed(project)
    assert told_as in told


def test_a_step_that_writes_the_configuration(project: Project) -> None:
    _with_step(project, "cfg.target_fps = 7")
    told, _ = _failed(project)
    assert "the step writes cfg.target_fps" in told


def test_keyword_arguments_that_a_step_does_not_take(project: Project) -> None:
    project.write("recipe.yaml", RECIPE.replace("by: 2.0", "bye: 2.0"))
    told = project.build(code=2)["error"]
    assert "recipe.yaml:5" in told and "has no argument 'bye'" in told and "did you mean 'by'?" in told


def test_keep_going_builds_the_other_branches(project: Project) -> None:
    _with_step(project, 'raise ValueError("no")')
    project.write(
        "recipe.yaml",
        RECIPE.replace('- {uses: "steps.py:report"}', '- {uses: "steps.py:report", needs: scale}'),
    )
    _, tasks = _failed(project, "--keep-going")
    assert tasks["report"]["state"] == "ran"  # type: ignore[index]
    assert (project.folder / "build/report/report/fps.txt").exists()


def test_a_source_that_changes_while_it_is_read_is_not_kept(project: Project) -> None:
    _with_step(project, "import time; print('go', flush=True); time.sleep(3); return model")
    process = project.start("build", "recipe.yaml")
    _wait_for_log(project, "same", "go")
    with (project.folder / "steps.py").open("a") as file:
        file.write("\nNEW = 1\n")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "changed while the step read it" in told
    assert "same" in project.ran()


def test_two_builds_at_once_do_the_work_once(project: Project) -> None:
    counter = project.folder.parent / "count"
    body = f"import time; open({str(counter)!r}, 'a').write('x'); time.sleep(2); return model"
    _with_step(project, body)
    builds = [project.start("build", "recipe.yaml") for _ in range(3)]
    for build in builds:
        _, told = build.communicate(timeout=120)
        assert build.returncode == 0, told
    assert counter.read_text() == "x"


def test_ctrl_c_ends_everything_at_once(project: Project) -> None:
    _with_step(project, "import subprocess; print('go', flush=True); subprocess.run(['sleep', '987'])")
    process = project.start("build", "recipe.yaml")
    _wait_for_log(project, "same", "go")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert time.monotonic() - began < 3
    assert process.returncode == 130
    assert "interrupted" in told and "Traceback" not in told
    assert _processes_named("sleep\0987\0") == []
    _with_step(project, "return model")
    project.build()


def test_children_end_when_the_build_is_killed(project: Project) -> None:
    _with_step(project, "import subprocess; print('go', flush=True); subprocess.run(['sleep', '986'])")
    process = project.start("build", "recipe.yaml")
    _wait_for_log(project, "same", "go")
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while _processes_named("sleep\0986\0") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _processes_named("sleep\0986\0") == []


def test_a_damaged_object_is_built_again(project: Project) -> None:
    project.build()
    for path in (project.store / "objects").glob("*/*"):
        path.chmod(0o600)
        path.write_bytes(b"?" + path.read_bytes()[1:])
    (project.folder / "build/report/fps.txt").unlink()
    project.build()
    assert (project.folder / "build/report/fps.txt").read_text() == "100\n"
    assert project.ran() == []


def test_a_damaged_log_does_not_matter(project: Project) -> None:
    result = project.build()
    log = project.store / "objects" / result["tasks"]["same"]["log"][:2] / result["tasks"]["same"]["log"]
    log.chmod(0o600)
    log.write_bytes(b"?")
    (project.folder / "build/build_dataflow.log").unlink()
    assert project.ran() == []
    assert "this log was damaged" in (project.folder / "build/build_dataflow.log").read_text()


def test_a_step_that_asks_gets_no_answer(project: Project) -> None:
    _with_step(project, "input('why? ')")
    told, _ = _failed(project)
    assert "EOFError" in told


def test_a_build_whose_reader_has_gone_goes_on(project: Project) -> None:
    process = project.start("build", "recipe.yaml")
    assert process.stderr is not None
    process.stderr.close()
    process.wait(timeout=60)
    assert (project.folder / "build/report/fps.txt").exists()


def test_a_store_that_cannot_be_written(project: Project) -> None:
    blocked = project.folder / "file"
    blocked.write_text("")
    told = project.build(code=1, FINNYAML_STORE=str(blocked / "store"))["error"]
    assert "Traceback" not in told and "store" in told


def test_a_missing_tool_stops_the_build_before_anything_runs(project: Project) -> None:
    project.write("recipe.yaml", RECIPE.replace('"steps.py:same"', '"steps.py:same", tools: [no-such-tool]'))
    told = project.build(code=4)["error"]
    assert "same: no-such-tool is missing" in told and "--keep-going" in told
    assert project.build("--keep-going", code=4)["tasks"]["scale"]["state"] == "ran"
    assert project.run("plan", "recipe.yaml").returncode == 4


def test_results_of_a_tool_stay_good_where_the_tool_is_not(project: Project) -> None:
    tool = project.folder / "bin" / "stand-in-tool"
    project.write("bin/stand-in-tool", "#!/bin/sh\necho version 1.2\n").chmod(0o755)
    project.write("recipe.yaml", RECIPE.replace('"steps.py:same"', '"steps.py:same", tools: [stand-in-tool]'))
    path = {"PATH": f"{tool.parent}:{os.environ['PATH']}"}
    assert "same" in project.ran(**path)
    assert project.ran() == []
    project.write("bin/stand-in-tool", "#!/bin/sh\necho version 1.3\n")
    assert project.ran(**path) == ["same"]


def _wait_for_log(project: Project, task: str, text: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for log in (project.folder / "build/.finnyaml/runs").glob(f"*/logs/{task}.log"):
            if text in log.read_text():
                return
        time.sleep(0.05)
    raise AssertionError(f"{task} never printed {text!r}")


def _processes_named(command: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "cmdline").read_bytes() == command.encode():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
