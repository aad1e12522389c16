"""What is written down about builds: the record of the last build of a workspace, and one folder per run."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnyaml.engine.workspace import private

KEPT_RUNS = 20


def new_run(workspace: Path) -> Path:
    """A fresh folder for one run, below `.finnyaml/runs`; all but the newest runs go."""
    runs = private(workspace) / "runs"
    name = time.strftime("%Y%m%d-%H%M%S") + f"-{os.urandom(2).hex()}"
    folder = runs / name
    (folder / "logs").mkdir(parents=True)
    ended = sorted(run for run in runs.iterdir() if (run / "run.json").exists())  # others may still be running
    for old in ended[:-KEPT_RUNS]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def last_build(workspace: Path) -> dict[str, Any]:
    """The record of the last build: per task the parts of its key, what it read, its digest and log. Empty if none."""
    try:
        data = json.loads((private(workspace) / "last.json").read_text())
    except (OSError, ValueError):
        return {}
    tasks = data.get("tasks") if isinstance(data, dict) else None
    return tasks if isinstance(tasks, dict) else {}


def save_last_build(workspace: Path, records: Mapping[str, Any]) -> None:
    """Merge the records of the tasks just built into the record of the last build."""
    merged = {**last_build(workspace), **records}
    write_json(private(workspace) / "last.json", {"tasks": merged})


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file aside and move it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(data, indent=1, default=str) + "\n")
    aside.replace(path)
