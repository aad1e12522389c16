"""Anything may lie in a workspace where finnyaml wants to write or read: it is replaced, or refused with what to do."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from finnyaml.cli import quick
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


@pytest.mark.parametrize("folder", ["", "report", ".finnyaml", ".finnyaml/runs"])
def test_what_lies_behind_a_link_since_it_was_built(world: Make, folder: str) -> None:
    """The workspace as a whole is written anew, because files in it name their place; in it nothing is."""
    here = world(task("b", "model"))
    here.targets = {"b": "b"}
    here.pool.answers["b"] = lambda job: here.pool.done(job, "out/report/b.json")
    outcome, root = here.run(), here.plan.recipe.workspace

    def write() -> int:
        held = holding(here.plan, here.engine.judge, outcome.built, outcome.failed)
        named = workspace.named(here.plan.recipe, [])
        return workspace.write(here.plan, outcome.built, held, here.store, {"b": "b"}, named).files

    def up_to_date() -> bool:
        manifest = root / ".finnyaml" / workspace.MANIFEST
        build = workspace.load_json(manifest)["build"]
        return quick._workspace_holds({"build": build, "manifest": str(manifest), "workspace": str(root)})

    record.new_run(root)
    write()
    assert up_to_date() and write() == 0
    (root / folder).rename(here.root / "elsewhere")
    (root / folder).symlink_to(here.root / "elsewhere")
    before = inside(here.root / "elsewhere")
    assert not up_to_date()
    if not folder:
        assert write() > 0 and up_to_date()
        assert workspace.clean(root) > 0 and not inside(here.root / "elsewhere")
        return
    for command in (write, lambda: workspace.clean(root)):
        with pytest.raises(FinnyamlError, match=r"is a link to .*elsewhere"):
            command()
    assert inside(here.root / "elsewhere") == before


def test_a_file_in_the_place_of_a_folder_is_not_cleaned(world: Make) -> None:
    here = world(task("b", "model"))
    here.targets = {"b": "b"}
    here.pool.answers["b"] = lambda job: here.pool.done(job, "out/report/b.json")
    outcome, root = here.run(), here.plan.recipe.workspace
    build(here, outcome)
    root.mkdir(exist_ok=True)
    workspace.write_json(root / ".finnyaml" / workspace.MANIFEST, {"files": {"report/b.json": []}})
    (root / "report").write_text("of somebody else")
    assert workspace.clean(root) == 1
    assert inside(root) == {"report": "of somebody else"}


def test_the_hint_names_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("x")
    with pytest.raises(FinnyamlError) as error, explained(tmp_path):
        (tmp_path / "report/deep/b.json").open("w")
    assert error.value.hint == f"move {tmp_path}/report away, and try again"


def test_nothing_is_left_of_a_look_whether_a_folder_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a kill: the file that is tried never has a name."""
    seen = list[set[str]]()
    close = os.close
    monkeypatch.setattr(os, "close", lambda opened: (seen.append({*os.listdir(tmp_path)}), close(opened)))
    record._check_writable(tmp_path)
    assert seen == [set()]


@pytest.mark.parametrize("may", [True, False])
def test_a_file_system_without_files_that_have_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may: bool
) -> None:
    def without(path: Path, flags: int, mode: int = 0) -> int:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), str(path))

    monkeypatch.setattr(os, "open", without)
    monkeypatch.setattr(os, "access", lambda path, mode: may)
    with nullcontext() if may else pytest.raises(PermissionError):
        record._check_writable(tmp_path)


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
