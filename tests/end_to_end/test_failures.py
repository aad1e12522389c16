"""Steps that fail in every way a step can: each is told with its cause, and loses nothing that was built."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.project import RECIPE, STEPS, Project
from tests.waiting import wait_until


def _failed(project: Project, *arguments: str) -> tuple[str, dict[str, object]]:
    done = project.run("build", "recipe.yaml", "--json", *arguments)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr, json.loads(done.stdout)["tasks"]


def test_a_step_that_raises_is_shown_with_its_place(project: Project) -> None:
    project.step('raise ValueError("the weights are odd")')
    told, tasks = _failed(project)
    assert "same (steps.py:same) failed: ValueError: the weights are odd" in told
    assert "in your code: steps.py:16" in told
    assert "try again: " in told
    assert "finnyaml build recipe.yaml --to same" in told
    assert tasks["scale"]["state"] == "ran" and tasks["report"]["state"] == "not run"  # type: ignore[index]


def test_what_was_built_before_a_failure_is_kept(project: Project) -> None:
    project.step('raise ValueError("no")')
    _failed(project)
    project.step("return model")
    # The two steps share a file with the mended one, so they run; the model they stand on does not.
    assert project.ran() == ["scale", "same", "report"]


def test_a_failed_step_can_be_repeated_alone(project: Project) -> None:
    project.step('raise ValueError("the weights are odd")')
    told, _ = _failed(project)
    job = next(line.split()[-1] for line in told.splitlines() if "finnyaml.worker.rerun" in line)
    command = [sys.executable, "-m", "finnyaml.worker.rerun", job]
    again = subprocess.run(
        command, cwd=project.folder, env=project.environment(), capture_output=True, text=True, check=False
    )
    assert again.returncode == 1 and "the weights are odd" in again.stderr
    project.step("return model")
    again = subprocess.run(
        command, cwd=project.folder, env=project.environment(), capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr


def test_a_step_that_returns_nothing(project: Project) -> None:
    project.step("pass")
    told, _ = _failed(project)
    assert "steps.py:same returned None instead of a ModelWrapper" in told
    assert "a step ends with `return model`" in told


def test_a_step_that_hangs_is_stopped_by_its_timeout(project: Project) -> None:
    project.step("import time; time.sleep(600)", "timeout: 3")
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
    project.step(body)
    told, _ = _failed(project)
    assert told_as in told


def test_a_step_that_writes_the_configuration(project: Project) -> None:
    project.step("cfg.target_fps = 7")
    told, _ = _failed(project)
    assert "the step writes cfg.target_fps" in told


def test_keyword_arguments_that_a_step_does_not_take(project: Project) -> None:
    project.write("recipe.yaml", RECIPE.replace("by: 2.0", "bye: 2.0"))
    told = project.build(code=2)["error"]
    assert "recipe.yaml:5" in told and "has no argument 'bye'" in told and "did you mean 'by'?" in told


def test_keep_going_builds_the_other_branches(project: Project) -> None:
    project.step('raise ValueError("no")')
    project.write(
        "recipe.yaml",
        RECIPE.replace('- {uses: "steps.py:report"}', '- {uses: "steps.py:report", needs: scale}'),
    )
    _, tasks = _failed(project, "--keep-going")
    assert tasks["report"]["state"] == "ran"  # type: ignore[index]
    assert (project.folder / "build/report/report/fps.txt").exists()


def test_a_source_that_changes_while_it_is_read_is_not_kept(project: Project) -> None:
    go_on = project.pause()
    process = project.start("build", "recipe.yaml")
    project.printed("same", "waiting")
    with (project.folder / "steps.py").open("a") as file:
        file.write("\nNEW = 1\n")
    go_on.touch()
    _, told = process.communicate()
    assert process.returncode == 0, told
    assert "changed while the step read it" in told
    assert "same" in project.ran()


def test_two_builds_at_once_do_the_work_once(project: Project) -> None:
    counter = project.folder.parent / "count"
    body = f"import time; open({str(counter)!r}, 'a').write('x'); time.sleep(2); return model"
    project.step(body)
    builds = [project.start("build", "recipe.yaml") for _ in range(3)]
    for build in builds:
        _, told = build.communicate()
        assert build.returncode == 0, told
    assert counter.read_text() == "x"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_and_keeps_what_was_finished(project: Project, number: signal.Signals) -> None:
    process, sleeper = _asleep(project)
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == 130
    assert "interrupted" in told and "Traceback" not in told
    wait_until(lambda: _ended(sleeper))
    run = _newest_run(project)
    assert run["exit_code"] == 130
    assert [task["state"] for task in run["tasks"].values()] == ["ran", "ran", "not run", "not run"]
    assert project.ran("--to", "scale") == []


def test_a_terminal_that_is_closed_ends_the_build(project: Project) -> None:
    terminal, inside = os.openpty()
    process, sleeper = _asleep(project, inside)
    os.close(inside)
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    process.communicate()
    assert process.returncode == 130
    wait_until(lambda: _ended(sleeper))
    assert _newest_run(project)["exit_code"] == 130


def test_nohup_keeps_a_build_alive(project: Project) -> None:
    go_on = project.pause()
    process = project.start("build", "recipe.yaml", under=["nohup"])
    project.printed("same", "waiting")
    process.send_signal(signal.SIGHUP)
    go_on.touch()
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_job_in_the_background_ends_by_a_signal(project: Project, number: signal.Signals) -> None:
    pid = project.folder / "pid"
    shell = ["sh", "-c", f'"$@" & echo $! > {pid}; wait $!', "sh"]  # not interactive: its jobs do not hear Ctrl-C
    process, sleeper = _asleep(project, under=shell)
    os.kill(int(pid.read_text()), signal.SIGINT)
    os.kill(int(pid.read_text()), number)
    _, told = process.communicate()
    assert process.returncode == 130 and "interrupted" in told
    wait_until(lambda: _ended(sleeper))
    assert _newest_run(project)["exit_code"] == 130


def test_a_daemon_ends_with_the_build_that_was_killed(project: Project) -> None:
    process, sleeper = _asleep(project, start_new_session=True)
    process.kill()
    process.communicate()
    wait_until(lambda: _ended(sleeper))


def test_children_end_when_the_build_is_killed(project: Project) -> None:
    process, sleeper = _asleep(project)
    process.kill()
    process.communicate()
    wait_until(lambda: _ended(sleeper))


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
    project.step("input('why? ')")
    told, _ = _failed(project)
    assert "EOFError" in told


def test_a_build_whose_reader_has_gone_goes_on(project: Project) -> None:
    process = project.start("build", "recipe.yaml")
    assert process.stderr is not None
    process.stderr.close()
    process.wait()
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


NARROW = '''

def narrow(model, cfg):
    from qonnx.core.datatype import DataType

    model.set_tensor_datatype(model.graph.input[0].name, DataType["INT4"])
    return model


def vivado(model, cfg):
    """Leave a mark that it ran."""
    Path(cfg.output_dir, "ran.txt").write_text("ran")
    return model
'''


@pytest.mark.long
def test_no_tool_starts_on_a_graph_in_which_the_rules_find_an_error(project: Project) -> None:
    project.write("steps.py", STEPS + NARROW)
    text = """
        name: narrow
        model: {onnx: tiny.onnx, input: {datatype: UINT8}}
        steps: [{uses: "steps.py:narrow"}, {uses: "steps.py:vivado", tools: [gcc]}]
    """
    project.write("recipe.yaml", text)
    done = project.run("build", "recipe.yaml")
    assert done.returncode == 2, done.stderr
    assert "vivado was not started: it needs tools" in done.stderr
    assert "is INT4 (-8 to 7), but the data is UINT8" in done.stderr
    assert not (project.folder / "build/ran.txt").exists()
    project.write("recipe.yaml", text.rstrip() + "\n        lint: {ignore: [input-cannot-hold-data]}\n")
    project.build()
    assert (project.folder / "build/ran.txt").exists()


def test_results_of_a_tool_stay_good_where_the_tool_is_not(project: Project) -> None:
    tool = project.folder / "bin" / "stand-in-tool"
    project.write("bin/stand-in-tool", "#!/bin/sh\necho version 1.2\n").chmod(0o755)
    project.write("recipe.yaml", RECIPE.replace('"steps.py:same"', '"steps.py:same", tools: [stand-in-tool]'))
    path = {"PATH": f"{tool.parent}:{os.environ['PATH']}"}
    assert "same" in project.ran(**path)
    assert project.ran() == []
    project.write("bin/stand-in-tool", "#!/bin/sh\necho version 1.3\n")
    assert project.ran(**path) == ["same"]


def _asleep(
    project: Project, terminal: int | None = None, under: Sequence[str] = (), **how: bool
) -> tuple[subprocess.Popen[str], int]:
    """A build in whose second step a program, started so, sleeps for an hour, and the process of that program."""
    start = f"p = subprocess.Popen(['sleep', '3600'], **{how})"
    project.step(f"import subprocess; {start}; print('asleep', p.pid, flush=True); p.wait()")
    process = project.start("build", "recipe.yaml", terminal=terminal, under=under)
    return process, int(project.printed("same", r"asleep (\d+)\n")[1])


def _ended(sleeper: int) -> bool:
    try:
        return Path(f"/proc/{sleeper}/cmdline").read_bytes() != b"sleep\x003600\x00"
    except OSError:
        return True


def _newest_run(project: Project) -> dict[str, Any]:
    """The record of the newest run."""
    folder = max((project.folder / "build/.finnyaml/runs").iterdir())
    return json.loads((folder / "run.json").read_text())  # type: ignore[no-any-return]
