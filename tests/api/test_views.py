"""What people see of a plan, a build and its result: text, and tables for notebooks in which all is escaped."""

from __future__ import annotations

import io
import re
import sys
import types
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

import finnyaml
from finnyaml.api import html
from tests.project import STEPS, Project

Load = Callable[..., finnyaml.Recipe]

EVIL = '<script>alert("x")</script> & more'


class Reader(HTMLParser):
    """The tags of a document and the texts in its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_tables_escape_everything() -> None:
    read = Reader(html.table((EVIL,), [(EVIL,), (None,), (3,)], EVIL) + html.text(EVIL))
    assert set(read.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td", "pre"}
    assert read.texts.count(EVIL) == 4 and "3" in read.texts and "None" not in read.texts


def test_a_plan_as_a_table(load: Load) -> None:
    plan = load({"steps.0.with.by": 3.0}).plan()
    read = Reader(plan._repr_html_())
    assert read.tags.count("tr") == len(plan.tasks) + 1
    assert {"scale", "run", "waiting", "scale runs first"} <= set(read.texts)
    assert any(text.startswith("tiny: 4 steps: 1 up to date, 1 to run, 2 after that; ") for text in read.texts)


def test_a_result_as_tables(load: Load, tiny: Project) -> None:
    read = Reader(load().build()._repr_html_())
    assert {"same", "cached", "top1", "1.0", "passed"} <= set(read.texts)
    tiny.write("steps.py", STEPS.replace('"""Change nothing."""', f"raise ValueError({EVIL!r})"))
    with pytest.raises(finnyaml.BuildFailed) as caught:
        load().build()
    read = Reader(caught.value.result._repr_html_())
    assert "script" not in read.tags
    assert any(EVIL in text for text in read.texts)


def test_progress_in_a_script_is_a_line_per_event(load: Load, capfd: pytest.CaptureFixture[str]) -> None:
    load().build(force="same", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert re.search(r"^  = scale +cached$", err, re.M) and re.search(r"^  > same +running   \(", err, re.M)
    assert re.search(r"^  \+ same +[\d.]+ s   \d", err, re.M)
    assert re.search(r"^  = verify\.scale +cached   100\.0 % top1 of 40$", err, re.M)


def test_progress_to_a_stream_of_ones_own(load: Load) -> None:
    stream = io.StringIO()
    load().build(progress=finnyaml.Progress(stream))
    assert "= report" in stream.getvalue()


def test_events_are_data(load: Load) -> None:
    events: list[Any] = []
    result = load().build(progress=events.append)
    kinds = [event["event"] for event in events]
    assert kinds[0] == "run_started" and kinds[-1] == "run_finished"
    assert events[0]["tasks"][0] == "model" and events[0]["run"] == str(result.folder)
    assert [event["task"] for event in events if event["event"] == "task_cached"] == events[0]["tasks"]
    assert (result.folder / "events.jsonl").read_text().count("\n") == len(events)


def test_warnings_of_the_recipe_are_told(load: Load, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = load({"verify.data": {"npz": "data.npz", "inputs": "x", "labels": "y", "shuffle": 7}})
    plan = recipe.plan(progress=True)
    (problem,) = plan.warnings
    assert problem.severity == "warning" and "shuffle" in problem.message
    assert problem.message in capfd.readouterr().err
    assert problem in recipe.build(stop="model").warnings


class _Display:
    """Stands for a cell of a notebook: what was shown there last."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, item: str, display_id: bool) -> _Display:
        assert display_id
        self.shown.append(item)
        return self

    def update(self, item: str) -> None:
        self.shown.append(item)


def test_progress_in_a_notebook_is_a_table_that_follows(
    load: Load, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cell = _Display()
    ipython = types.ModuleType("IPython")
    monkeypatch.setattr(ipython, "get_ipython", lambda: types.SimpleNamespace(kernel=object()), raising=False)
    shown = types.ModuleType("IPython.display")
    monkeypatch.setattr(shown, "HTML", str, raising=False)
    monkeypatch.setattr(shown, "display", cell.display, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    total = len(load().plan().tasks)
    load().build(progress=True)
    read = Reader(cell.shown[-1])
    assert f"{total} of {total} tasks" in read.texts and read.tags.count("tr") == total + 1
    assert f"1 of {total} tasks" in " ".join(cell.shown)
    assert capfd.readouterr() == ("", "")
