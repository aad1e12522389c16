"""Jobs of a cluster, as the store has them: a folder for each, in which submitter and node tell each other.

    jobs/<name>/job.json        what it is: the id, who submitted it, which tasks
    jobs/<name>/events.jsonl    what happens in it, written on the node; `committed` and `failed` end a task
    jobs/<name>/logs/           what its tasks print; submitit's own files lie beside them

Which job does a piece of work is a memo, `job-<work>`, until the next job does it.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.recipe.model import Recipe
from finnyaml.store import Store
from finnyaml.store.digests import digest_of

if TYPE_CHECKING:
    from typing_extensions import Self

_FILE = "job.json"


@dataclass(frozen=True)
class Record:
    """A job that was submitted. `tasks` are those that it is to do, `recipe` is the name of theirs and the variant."""

    id: str
    executor: str
    recipe: str
    tasks: tuple[str, ...]
    user: str
    host: str
    submitted: float

    @classmethod
    def of(cls, job: str, executor: str, recipe: Recipe, tasks: Sequence[str]) -> Self:
        """The record of a job that is submitted here and now."""
        name = recipe.name if recipe.variant is None else f"{recipe.name}/{recipe.variant}"
        return cls(job, executor, name, tuple(tasks), getpass.getuser(), os.uname().nodename, round(time.time(), 3))


def work_of(key: str, config: Mapping[str, Any]) -> str:
    """What tells work apart, before it is done: its key, and the settings that it may read."""
    return digest_of([key, config])


def new_folder(store: Store) -> Path:
    """A folder for a job, which is not there yet."""
    return store.root / "jobs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(4).hex()}"


def write(folder: Path, record: Record) -> None:
    """Write the record of a job into its folder."""
    aside = folder / f".{_FILE}"
    aside.write_text(json.dumps(asdict(record)))
    aside.rename(folder / _FILE)


def read(folder: Path) -> Record | None:
    """The record in a folder; None where there is none (yet)."""
    try:
        data = json.loads((folder / _FILE).read_text())
        return Record(**{**data, "tasks": tuple(data["tasks"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def listed(store: Store) -> Iterator[tuple[Path, Record]]:
    """All jobs that the store has, the newest first."""
    for folder in sorted((store.root / "jobs").glob("[0-9]*-*"), reverse=True):
        if (record := read(folder)) is not None:
            yield folder, record


def claim(store: Store, work: str, folder: Path) -> None:
    """Note that the job in a folder does a piece of work."""
    store.put_memo(f"job-{work}", folder.name)


def claimed(store: Store, work: str) -> Path | None:
    """The folder of the job that was to do a piece of work last."""
    name = store.memo(f"job-{work}")
    return store.root / "jobs" / str(name) if name else None


class Events:
    """The events of a job, as they come."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "events.jsonl"
        self._read = 0

    def new(self) -> list[dict[str, Any]]:
        """Those that were written since the last look; a line that is not whole yet comes with the next."""
        try:
            with self._path.open("rb") as file:  # opened anew: so NFS looks at the server
                file.seek(self._read)
                text = file.read()
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        return [event for line in whole.splitlines() if (event := _event(line))]


def _event(line: bytes) -> dict[str, Any] | None:
    """An event; None where a node that was given up still writes over another. The store tells what became of tasks."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
