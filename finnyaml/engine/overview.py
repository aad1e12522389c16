"""The jobs of a cluster as people see them: what the store has of each, and what Slurm says of it."""

from __future__ import annotations

from dataclasses import dataclass

from finnyaml.engine import jobs, slurm
from finnyaml.store import Store


@dataclass(frozen=True)
class Row:
    """A job. `state` is Slurm's, UNKNOWN where it does not answer, GONE where it does not know the job any more.

    `task` is the one that it does, or would do next, `done` how many are through. `since` is when that task began, or
    the job was submitted (s since the epoch). `where` is the node, or why the job waits. `failure` is what failed.
    """

    job: str
    state: str
    executor: str
    recipe: str
    task: str
    tasks: tuple[str, ...]
    done: int
    since: float
    where: str
    user: str
    log: str
    failure: str | None = None


def overview(store: Store, *, ended: bool = False) -> list[Row]:
    """The jobs that are in the queue or run, the newest first; with `ended` also those that are over."""
    found = list(jobs.listed(store))
    states = slurm.states(record.id for _, record in found)
    rows = []
    for folder, record in found:
        state = slurm.State("UNKNOWN") if states is None else states.get(record.id, slurm.State("GONE"))
        if states is not None and state.comment != folder.name:
            state = slurm.State("GONE")  # the id is another job's now
        if ended or not (state.over or state.name == "GONE"):
            rows.append(_row(record, state, jobs.Events(folder).new(), str(folder)))
    return rows


def _row(record: jobs.Record, state: slurm.State, events: list[dict[str, object]], folder: str) -> Row:
    done, since, task, failure = 0, record.submitted, record.tasks[0], None
    for event in events:
        if event["event"] == "job_started":
            done = 0  # a job that was queued again counts anew
        elif event["event"] == "committed":
            done += 1
            task = record.tasks[min(done, len(record.tasks) - 1)]
        elif event["event"] == "task_started":
            task, since = str(event["task"]), float(str(event["time"]))
        elif event["event"] == "failed":
            told = event["failure"]
            failure = f"{task}: {told['message']}" if isinstance(told, dict) else None
    where = state.nodes or ("" if state.reason == "None" else state.reason)
    return Row(
        record.id,
        state.name,
        record.executor,
        record.recipe,
        task,
        record.tasks,
        done,
        since,
        where,
        record.user,
        folder,
        failure,
    )
