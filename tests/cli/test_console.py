"""What is too long for a terminal is broken between words, and stays whole in a pipe."""

from __future__ import annotations

import errno
import io
import os
import time
from pathlib import Path

import pytest
from rich.console import Console

from finnyaml.cli.app import run
from finnyaml.cli.live import Live
from finnyaml.text import wrapped
from tests.cli.terminal import screen
from tests.project import Project

LONG = "a sentence of some words"


@pytest.mark.parametrize(
    ("line", "hang", "lines"),
    [
        (LONG, 0, ["a sentence of", "some words"]),
        (LONG, 2, ["a sentence of", "  some words"]),
        (f"  {LONG}", 0, ["  a sentence of", "    some words"]),
        (f"  log:  {LONG}", 0, ["  log:  a", "        sentence", "        of some", "        words"]),
        ("hint: " + LONG, 0, ["hint: a sentence", "of some words"]),
        ("short", 0, ["short"]),
        ("one-word-that-is-longer-than-a-line and more", 0, ["one-word-that-is-longer-than-a-line", "and more"]),
        ("", 0, [""]),
    ],
)
def test_lines_break_between_words(line: str, hang: int, lines: list[str]) -> None:
    assert wrapped(line, 16, hang).split("\n") == lines
    assert wrapped(line, None, hang) == line


RECIPE = """
model: {onnx: tiny.onnx}
steps: [{uses: "steps.py:scale", wiht: {by: 2.0}}, streamlin]
finn: {no_such_option: 1}
verify: {data: {npz: data.npz, inputs: x, labels: y}, metric: accuracy_of_the_best_class}
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["lint", "bad.yaml"],
        ["plan"],
        ["steps", "list"],
        ["steps", "show", "streamline"],
        ["steps", "options", "target_fps"],
        pytest.param(["doctor"], marks=pytest.mark.long, id="doctor"),
        ["cache"],
        ["build", "bad.yaml"],
    ],
    ids=" ".join,
)
def test_on_80_columns_no_word_is_broken(project: Project, arguments: list[str]) -> None:
    project.write("bad.yaml", RECIPE)
    whole = project.run(*arguments)
    said = f"{whole.stdout} {whole.stderr}".split()
    lines = [line for line in screen(arguments, project.folder, project.store) if line]
    assert lines
    for line in lines:
        if "…" not in line and " | " not in line:  # tables and lines of files are cut
            assert not line.split() or line.split()[-1] in said
        assert len(line) <= 80 or "/" in line  # a path is one word


def test_live_progress_breaks_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    live, stream = Live(), io.StringIO()
    monkeypatch.setattr(live, "_console", Console(file=stream, width=40))
    message = "a reason of more words than one line has room for"
    live({"event": "task_failed", "task": "scale", "message": message})
    first, *rest = stream.getvalue().splitlines()
    assert rest and all(line.startswith("    ") for line in rest)
    assert f"{first} {' '.join(rest)}".split()[-11:] == message.split()


def test_live_progress_shows_how_far_a_step_says_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    live, stream = Live(), io.StringIO()
    console = Console(file=stream, width=80)
    monkeypatch.setattr(live._live, "console", console)
    (tmp_path / "logs").mkdir()
    with live:
        live({"event": "run_started", "run": str(tmp_path), "tasks": ["size"], "steps": ["size"]})
        live({"event": "task_started", "task": "size", "reasons": []})
        console.print(live)
        assert "size" in stream.getvalue()
        (tmp_path / "logs" / "size.log").write_text("... FIFO 1 of 9\n... FIFO 2 of 9\nsomething else\n")
        console.print(live)
    assert "FIFO 2 of 9" in stream.getvalue() and "FIFO 1 of 9" not in stream.getvalue()


def test_live_progress_of_hundreds_of_tasks_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    live, stream = Live(), io.StringIO()
    console = Console(file=stream, width=80, height=24)
    monkeypatch.setattr(live._live, "console", console)
    monkeypatch.setattr(live, "_console", console)
    names, now = [f"variant-{number}-synthesis" for number in range(300)], time.time()
    started = {"event": "run_started", "run": str(tmp_path), "tasks": names, "steps": names}
    with live:
        live({**started, "expected": dict.fromkeys(names, 2400.0)})
        for name in names[:150]:
            live({"event": "job_submitted", "task": name, "job": "7", "tasks": [name], "executor": "cluster"})
        for name in names[:100]:
            event = {"event": "task_started", "task": name, "reasons": [], "expected": 2400.0}
            live({**event, "node": "n1", "job": "7", "log": "", "time": now - 725})
        live({"event": "task_queued", "task": names[120], "job": "7", "reason": "Licenses"})
        live({"event": "task_failed", "task": names[0], "message": "no"})
        stream.truncate(0)
        console.print(live)
    lines = stream.getvalue().strip("\0").splitlines()
    assert len(lines) <= 20 and max(map(len, lines)) <= 80
    assert "variant-1-synthesis   12 min 05 s of about 40 min on n1" in lines[0]
    assert "and 88 more" in lines[-3]
    assert lines[-2] == "  99 run, 50 in the queue (Licenses 1), 1 failed"
    assert lines[-1].startswith("  1/300 steps, ") and lines[-1].endswith(", about 1 h 49 min left")

    for name in names[3:]:
        live({"event": "task_cached", "task": name, "digest": ""})
    assert live._clock(now).endswith("about 28 min left"), "two run side by side, each for 28 minutes more"


def test_commands_to_copy_stay_whole(project: Project) -> None:
    project.write("steps.py", "def scale(model, cfg, by=1):\n    raise ValueError('a reason')\n")
    project.write("recipe.yaml", 'model: {onnx: tiny.onnx}\nsteps: [{uses: "steps.py:scale"}]\n')
    lines = screen(["build"], project.folder, project.store, columns=40)
    assert any(line.startswith("  try again: ") and line.endswith("recipe.yaml --to scale") for line in lines)


def test_the_quick_answer_is_broken_too(project: Project) -> None:
    project.write("recipe.yaml", "name: tiny-with-a-name\nmodel: {onnx: tiny.onnx}\nsteps: ['steps.py:same']\n")
    assert project.run("build").returncode == 0
    lines = screen(["build"], project.folder, project.store, columns=30)
    assert lines[:2] == ["tiny-with-a-name is up to", "date: 2 steps"]


def test_a_failing_disk_is_not_called_a_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/where")

    monkeypatch.setattr("finnyaml.engine.session.open_store", full)
    assert run(["cache", "verify"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: No space left on device (/some/where)\n  hint: free some space"), told
