"""Anything may lie in a workspace where finnyaml wants to write or read: it is replaced, or refused with what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from finnyaml.engine import record, workspace
from finnyaml.engine.events import EventLog
from finnyaml.engine.history import History
from finnyaml.engine.holding import holding
from finnyaml.engine.inside import explained
from finnyaml.engine.outcome import Outcome
from finnyaml.errors import FinnyamlError
from finnyaml.files import discard
from tests.engine.conftest import Make
from tests.engine.world import World, task
from tests.things import THINGS, Thing, foreign_folder, inside

PLACES = (
    "",
    ".finnyaml",
    ".finnyaml/workspace.json",
    ".finnyaml/last.json",
    ".finnyaml/attached",
    ".finnyaml/runs",
    ".finnyaml/runs/20200101-000000-aaaa",
    ".finnyaml/runs/20200101-000000-aaaa/run.json",
    ".finnyaml/runs/20200101-000000-aaaa/events.jsonl",
    ".finnyaml/runs/20200101-000000-aaaa/logs",
    ".finnyaml/runs/20200101-000000-aaaa/logs/b.log",
    "build.json",
    "report",
    "report/b.json",
    "bundle/net/bundle.json",
)


def build(here: World, outcome: Outcome) -> None:
    """All that commands do in a workspace: a build, a look at what was, and in the end a clean."""
    plan = here.plan
    root = plan.recipe.workspace
    workspace.check_owner(plan.recipe)
    workspace.check_links(root)
    folder = record.new_run(root)
    log = EventLog(folder / "events.jsonl")
    log.emit("task_finished", task="b", seconds=1.0)
    log.close()
    held = holding(plan, here.engine.judge, outcome.built, outcome.failed)
    with explained(root):
        workspace.write(plan, outcome.built, held, here.store, {"b": "b"}, workspace.named(plan.recipe, []))
        record.save_last_build(root, outcome.records)
    (folder / "logs" / "b.log").write_text("b ran\n")
    history = History(plan.recipe, here.store)
    assert [entry.step for entry in history.entries()] == ["b"]
    assert "".join(history.text(history.entry("b"))) == "b ran\n"
    old = [run for run in history.runs if run.name.startswith("2020")]
    if old:
        assert History(plan.recipe, here.store, old[0].name).entries() is not None
    assert (root / "report/b.json").read_text() == "out/report/b.json"
    with explained(root):
        workspace.clean(root)
    assert not (root / "report/b.json").exists() and not (root / ".finnyaml/runs").exists()


@pytest.mark.parametrize("thing", THINGS.values(), ids=THINGS)
@pytest.mark.parametrize("place", PLACES)
def test_in_the_place_of(world: Make, place: str, thing: Thing, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world(task("b", "model"))
    here.targets = {"b": "b"}
    here.pool.answers["b"] = lambda job: here.pool.done(job, "out/report/b.json", "out/bundle/net/bundle.json")
    outcome = here.run()
    root, foreign = here.plan.recipe.workspace, here.root / "foreign"
    before = foreign_folder(foreign)
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    thing(path, foreign, monkeypatch)
    before |= inside(foreign)
    refused = None
    try:
        build(here, outcome)
    except FinnyamlError as error:
        refused = error
    monkeypatch.undo()
    assert before.items() <= inside(foreign).items()
    if refused is not None:
        assert place in refused.message and refused.hint, (refused.message, refused.hint)
        discard(path)  # what the hint says
        build(here, outcome)
    assert before.items() <= inside(foreign).items()


@pytest.mark.parametrize("there", [True, False], ids=["a folder", "nothing yet"])
def test_a_workspace_on_another_disk_by_a_link(world: Make, there: bool) -> None:
    here = world(task("b", "model"))
    here.targets = {"b": "b"}
    here.pool.answers["b"] = lambda job: here.pool.done(job, "out/report/b.json")
    outcome = here.run()
    root, disk = here.plan.recipe.workspace, here.root / "disk" / "builds"
    disk.mkdir(parents=True) if there else None
    root.symlink_to(disk)
    build(here, outcome)
    assert root.is_symlink() and disk.is_dir() and not any(disk.iterdir())


def test_the_newest_runs_stay_and_those_that_are_still_written(tmp_path: Path) -> None:
    for number in range(30):  # killed: without a record
        (tmp_path / f".finnyaml/runs/20200101-0000{number:02d}-aaaa/logs").mkdir(parents=True)
    running = EventLog(tmp_path / ".finnyaml/runs/20200101-000003-aaaa/events.jsonl")
    new = record.new_run(tmp_path)
    left = sorted(path.name for path in new.parent.iterdir())
    assert len(left) == record.KEPT_RUNS + 2
    assert left[0] == "20200101-000003-aaaa" and left[-1] == new.name
    running.close()
    shutil.rmtree(record.new_run(tmp_path))
    assert "20200101-000003-aaaa" not in {path.name for path in new.parent.iterdir()}
