"""What is written down about builds: one folder per run with its record, and the record of a workspace's last build."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.engine import refusals
from finnyaml.engine.events import being_written
from finnyaml.engine.figures import key_figures
from finnyaml.engine.inside import explained
from finnyaml.engine.workspace import load_json, private, write_json
from finnyaml.errors import ExitCode
from finnyaml.files import discard

if TYPE_CHECKING:
    from finnyaml.engine.outcome import Outcome
    from finnyaml.engine.session import Session
    from finnyaml.plan.select import Selection

KEPT_RUNS = 20


def new_run(workspace: Path) -> Path:
    """A fresh folder for one run, below `.finnyaml/runs`; all but the newest runs go, if they have ended.

    Raises:
        FinnyamlError: nothing can be written there.
    """
    folder = private(workspace) / "runs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"
    with explained(workspace):
        # Resolved, because a link to a folder that is not there yet is a good workspace.
        Path(os.path.realpath(workspace)).mkdir(parents=True, exist_ok=True)
        _check_writable(workspace)
        (folder / "logs").mkdir(parents=True)
    for old in [run for run in runs(workspace) if run != folder][:-KEPT_RUNS]:
        if not being_written(old / "events.jsonl"):
            with suppress(OSError):
                discard(old)
    return folder


def runs(workspace: Path) -> list[Path]:
    """The folders of all runs that are still there, the newest last."""
    return sorted((private(workspace) / "runs").glob("[0-9]*-[0-9]*-*"))


def last_build(workspace: Path) -> dict[str, Any]:
    """The record of the last build: per task the parts of its key, what it read, its digest and log. Empty if none."""
    tasks = load_json(private(workspace) / "last.json").get("tasks")
    return tasks if isinstance(tasks, dict) else {}


def save_last_build(workspace: Path, records: Mapping[str, Any]) -> None:
    """Merge the records of the tasks just built into the record of the last build."""
    write_json(private(workspace) / "last.json", {"tasks": {**last_build(workspace), **records}})


def of_run(
    session: Session, selection: Selection, outcome: Outcome, code: ExitCode, started: float, folder: Path
) -> dict[str, Any]:
    """The record of a run that began at `started`: data from which every view is made."""
    tasks = {name: _of_task(name, session, outcome) for name in session.plan.tasks if name in selection.tasks}
    return {
        "recipe": str(session.recipe.path),
        "name": session.recipe.name,
        "finn": {"distribution": session.installation.distribution, "version": session.installation.version},
        "libraries": dict(session.installation.libraries),
        "workspace": str(session.recipe.workspace),
        "run": str(folder),
        "started": round(started, 3),
        "seconds": round(time.time() - started, 3),
        "exit_code": int(code),
        "targets": {name: end for name, end in session.plan.targets.items() if name in selection.targets},
        "tasks": tasks,
    }


def _of_task(name: str, session: Session, outcome: Outcome) -> dict[str, Any]:
    task = session.plan.tasks[name]
    if name in outcome.built:
        told = {"state": "ran" if name in outcome.ran else "cached", **outcome.records[name]}
        told["key_metrics"] = key_figures(outcome.built[name].artifact, session.store)
        del told["parts"], told["reads"]
    elif name in outcome.failed:
        told = {"state": "failed", **asdict(outcome.failed[name])}
        del told["damaged"]
    elif name in outcome.blocked:
        told = {"state": "blocked", "missing": list(outcome.blocked[name].missing)}
    else:
        told = {"state": "not run", "needs": outcome.skipped.get(name)}
    told["looks"] = not task.is_step
    if found := outcome.verdicts.get(name):
        told["checks"] = task.checks
        told["measurement"] = refusals.measurement(outcome.measured[name])
        told["verdict"] = {"state": found.state, "reasons": list(found.reasons), "notes": list(found.notes)}
    return told


def _check_writable(folder: Path) -> None:
    """OSError where a build could not write its files in the end."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600))  # a file without a name, which a kill cannot leave
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):  # not every file system has such files
            raise
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder)) from None
