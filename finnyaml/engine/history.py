"""What runs left on disk: how each step went in them, and what it printed."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnyaml.engine import record
from finnyaml.engine.workspace import load_json
from finnyaml.errors import FinnyamlError, Problem, RecipeError
from finnyaml.files import content
from finnyaml.finn import aliases
from finnyaml.recipe.model import Recipe
from finnyaml.store import ObjectDamaged, Store
from finnyaml.store.streams import chunks_of
from finnyaml.text import did_you_mean, relative

STATES = {
    "task_cached": "cached",
    "task_started": "ended early",
    "task_finished": "ran",
    "task_failed": "failed",
    "task_blocked": "blocked",
    "task_skipped": "not run",
}
"""The last event of a task, as its state: where a run was killed, events are all there is of it."""


@dataclass(frozen=True)
class Entry:
    """How one step went in one run. Its log is a file of the run where it ran, else (from then) a blob of the store."""

    step: str
    state: str
    seconds: float | None
    peak_memory: int | None
    file: Path | None
    blob: str | None
    log_size: int | None


class History:
    """The runs that a workspace remembers, newest first; `wanted` picks those whose names start so."""

    def __init__(self, recipe: Recipe, store: Store, wanted: str = "") -> None:
        self._recipe = recipe
        self._store = store
        runs = [path for path in reversed(record.runs(recipe.workspace)) if path.is_dir()]
        if not runs:
            hint = f"finnyaml build {relative(recipe.path)}"
            raise RecipeError([Problem(f"{relative(recipe.path)} was never built here", hint=hint)])
        self.runs = [run for run in runs if run.name.startswith(wanted)]
        if not self.runs:
            message = f"--run {wanted}: there is no such run"
            raise RecipeError([Problem(message, hint=did_you_mean(wanted, [run.name for run in runs], 3))])
        # What was built last may be older than the runs that are kept.
        self._last = {} if wanted else record.last_build(recipe.workspace)

    def entries(self) -> list[Entry]:
        """How every step of the newest run went."""
        return [self._entry(self.runs[0], name, told) for name, told in _tasks(self.runs[0]).items()]

    def entry(self, name: str) -> Entry:
        """The newest entry of a step that has a log. RecipeError where there is none."""
        told = [(run, _tasks(run)) for run in self.runs]
        step = self._step(name, {*self._last, *(step for _, tasks in told for step in tasks)})
        entries = [self._entry(run, step, tasks[step]) for run, tasks in told if step in tasks]
        if step in self._last:
            entries.append(self._entry(self.runs[0], step, {"state": "cached", **self._last[step]}))
        found = next((entry for entry in entries if entry.file or entry.blob), None)
        if found is None:
            raise RecipeError([Problem(f"{step} has not run yet ({entries[0].state}), so it has no log")])
        return found

    def text(self, entry: Entry) -> Iterator[str]:
        """The log itself, piece by piece. FinnyamlError where the store no longer has it."""
        pieces = chunks_of(entry.file) if entry.file is not None else self._store.chunks(entry.blob or "")
        try:
            yield from codecs.iterdecode(pieces, "utf-8", "replace")
        except ObjectDamaged:
            hint = f"`finnyaml build {relative(self._recipe.path)} --force {entry.step}` runs it again"
            raise FinnyamlError(f"the store no longer has the log of {entry.step}", hint=hint) from None

    def _entry(self, run: Path, step: str, told: Mapping[str, Any]) -> Entry:
        if told["state"] == "cached" and "log" not in told:
            told = {**self._last.get(step, {}), **told}
        how = (step, told["state"], told.get("seconds"), told.get("peak_memory"))
        file = run / "logs" / f"{step}.log"
        if file.is_file():
            return Entry(*how, file, None, file.stat().st_size)
        blob = told.get("log") or None
        return Entry(*how, None, blob, self._size(blob))

    def _size(self, blob: str | None) -> int | None:
        try:
            return self._store.size(blob) if blob else None
        except ObjectDamaged:
            return None

    def _step(self, name: str, known: set[str]) -> str:
        for step in (name, aliases.short(name), self._recipe.targets.get(name)):
            if step in known:
                return str(step)
        message = f"no run of {relative(self._recipe.path)} has a step {name!r}"
        raise RecipeError([Problem(message, hint=did_you_mean(name, known, 3))])


def _tasks(run: Path) -> dict[str, dict[str, Any]]:
    """What a run tells of each task, with its `state`; from its events where it was killed."""
    tasks = load_json(run / "run.json").get("tasks")
    if isinstance(tasks, dict):
        return tasks
    return {str(event["task"]): {**event, "state": STATES[event["event"]]} for event in _events(run)}


def _events(run: Path) -> Iterator[dict[str, Any]]:
    """The events of a run that end or begin a task."""
    try:
        lines = content(run / "events.jsonl").decode(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the line that was being written
        if isinstance(event, dict) and event.get("event") in STATES and "task" in event:
            yield event
