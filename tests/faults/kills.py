"""`kill -9` at a random moment: of the command, of one of its workers, or of all at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from random import Random

from finnyaml.store import Store
from tests.faults.sound import Sound, told
from tests.project import Project
from tests.waiting import wait_until

MARK = "FINNYAML_TEST_BUILD"
"""The environment variable by which a process is known to belong to a build; what it starts inherits it."""

IN_A_ROW = 5


class Kills:
    """Builds of a project, of which more or less is there already."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        started = time.monotonic()
        self._sound.check(self._sound.unbuilt())
        self._usual = time.monotonic() - started

    def round(self, chance: Random) -> str:
        """Builds one after the other, each killed, until one has ended by itself; then one that is left alone."""
        project = self._sound.copy()
        store = Store.open(project.store)
        keys = store.trace_keys()
        for key in chance.sample(keys, chance.randint(1, len(keys))):
            store.forget(key)
        if chance.random() < 0.3:
            shutil.rmtree(project.folder / "build")
        finished: set[str] = set()
        kills = 0
        while kills < IN_A_ROW and self._killed(project, chance, finished):
            kills += 1
        lost = finished & self._sound.check(project)
        assert not lost, f"these had finished, and ran again: {', '.join(sorted(lost))}"
        assert not [*(project.store / "work").glob("*")], "a sandbox is left"
        return f"killed {kills} times"

    def _killed(self, project: Project, chance: Random, finished: set[str]) -> bool:
        """Whether a build was killed before it had ended. `finished` gets the tasks that it says it finished."""
        before = _runs(project)
        mark = f"{chance.random()}"
        process = project.start("build", "recipe.yaml", **{MARK: mark})
        time.sleep(chance.uniform(0, self._usual))  # the moment is what is tried, not what is waited for
        whom = chance.choice(("command", "worker", "all"))
        others = [pid for pid in _marked(mark) if pid != process.pid]
        victims = {"command": [process.pid], "worker": others[:1], "all": [*others, process.pid]}[whom]
        for pid in victims:
            _kill(pid)
        _, error = process.communicate(timeout=120)
        if process.returncode != -signal.SIGKILL:
            told(process.returncode, error)
        wait_until(lambda: not _marked(mark))
        self._sound.check_store(project)
        runs = _runs(project) - before
        again = finished & {task for run in runs for task in _tasks(run, "task_started")}
        assert not again, f"these had finished, and ran again: {', '.join(sorted(again))}"
        finished.update(task for run in runs for task in _tasks(run, "task_finished"))
        return bool(victims) and process.returncode != 0


def _marked(mark: str) -> list[int]:
    """The processes of a build that live."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended, or is not ours
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _runs(project: Project) -> set[Path]:
    return set((project.folder / "build/.finnyaml/runs").glob("*/events.jsonl"))


def _tasks(run: Path, event: str) -> set[str]:
    """The tasks of which a run tells this event."""
    lines = run.read_text().splitlines(keepends=True)
    events = [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be half written
    return {told["task"] for told in events if told["event"] == event}
