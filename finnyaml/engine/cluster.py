"""The submitting side of a cluster: finds the job that does some work, or submits one, and hears what becomes of it.

All results are in the store. What is here besides can be lost: a submitter that goes, a record that is removed.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnyaml.engine import jobs, places, slurm
from finnyaml.engine.chains import Chain, portable
from finnyaml.engine.events import EventLog
from finnyaml.files import discard, make_folder
from finnyaml.plan.graph import Plan
from finnyaml.plan.status import Built, Judge, Status
from finnyaml.plan.task import Task
from finnyaml.site.needs import Place
from finnyaml.store import Store, Trace
from finnyaml.store.tree import overlay
from finnyaml.tools import variables
from finnyaml.worker.job import Failure

LOOK = 0.3
"""Seconds between two looks at the events of a job."""

GRACE = 5.0
"""Seconds after the end of a job in which a file system may still bring what it wrote last."""

FORWARDED = frozenset(("task_started", "task_finished", "task_waiting", "input_changed"))
"""What the submitting side tells of what happens on a node."""

WHOLE = ("", "FINN_")
"""Beginnings of variables that are looked at together (`tools.variables.digest`)."""


@dataclass(frozen=True)
class Came:
    """What became of a task of a chain. `ran`: it was not there already when its turn came.

    `following` is the task that the job does next, with its status and its executor.
    """

    task: Task
    status: Status
    result: Built | Failure
    ran: bool = True
    following: tuple[Task, Status, str] | None = None


@dataclass
class Cluster:
    """The jobs of one build. `work` makes of a chain what a job does (`engine.on_node.Work`)."""

    store: Store
    work: Callable[[Chain], Callable[[], object]]
    finn: str
    since: float = field(default_factory=lambda: round(time.time(), 3))
    queue: slurm.Queue = field(default_factory=slurm.Queue)
    submitted: list[str] = field(default_factory=list)
    """The ids of the jobs that this build has submitted."""
    closed: bool = False
    guard: threading.Lock = field(default_factory=threading.Lock)
    """Held while a job is submitted, so that none is missed when all are cancelled."""

    def follow(
        self, chain: Chain, place: Place, status: Status, judge: Judge, events: EventLog, logs: Path
    ) -> Iterator[Came]:
        """Have a job do a chain, the first task of which has this status; what becomes of each task, as it comes.

        It ends early where the job does. `logs` is where the logs of this build are.
        """
        tasks, there = [chain.plan.tasks[name] for name in chain.tasks], dict(chain.there)
        work = jobs.work_of(status.key, tasks[0].config)
        try:
            job = self.job(chain, place, work, events, logs)
        except slurm.Refused as error:
            yield Came(tasks[0], status, Failure("SlurmRefused", error.message, error.hint))
            return
        for task, following in zip(tasks, (*tasks[1:], None), strict=True):
            needed = {need: there[need] for need in task.needs}
            found = job.result(task, status, work)
            if found is None or isinstance(found[1], Failure):
                found = self._in_store(task, needed, judge) or found  # a job that died may have got so far
            if found is None:
                return
            ran, result = found
            next_ = None
            if isinstance(result, Built):
                if not job.own and judge.judge(task, needed, trusted=True).built is None:
                    return  # it began before what it read was changed
                there[task.id] = result
                self.store.made_elsewhere(status.key, result.trace)
                if following is not None:
                    upcoming = judge.judge(following, {need: there[need] for need in following.needs})
                    next_ = (following, upcoming, chain.executor)
            yield Came(task, status, result, ran, next_)
            if next_ is None:
                return
            status, work = next_[1], jobs.work_of(next_[1].key, next_[0].config)

    def _in_store(self, task: Task, needed: Mapping[str, Built], judge: Judge) -> tuple[bool, Built] | None:
        """What was made of a task since this build began."""
        built = judge.judge(task, needed, trusted=True).built
        return (True, built) if built is not None and built.trace.created >= self.since else None

    def job(self, chain: Chain, there: Place, work: str, events: EventLog, logs: Path) -> Job:
        """The job that does the work that a chain begins with: one that is there, or a new one.

        `logs` is where the logs of this build are. What is forced is done anew.

        Raises:
            Refused: Slurm does not take it.
        """
        first, folder = chain.tasks[0], chain.folder
        with self.store.lock(f"submit-{work}"):
            found = None if first in chain.forced else self._found(work)
            if found is not None:
                folder, record = found
                events.emit("job_found", task=first, job=record.id, user=record.user)
                return Job(self, folder, record.id, chain.tasks, events, logs, own=False)
            make_folder(folder / "logs")
            with self.guard:
                if self.closed:
                    raise slurm.Refused("the build was stopped")
                try:
                    job = slurm.submit(self.work(chain), f"{chain.plan.recipe.name}:{first}", there, folder)
                except slurm.Refused:
                    discard(folder)
                    raise
                self.submitted.append(job)
            jobs.write(folder, jobs.Record.of(job, chain.executor, chain.plan.recipe, chain.tasks))
            jobs.claim(self.store, work, folder)
        events.emit("job_submitted", task=first, job=job, tasks=chain.tasks, executor=chain.executor)
        return Job(self, folder, job, chain.tasks, events, logs, own=True)

    def _found(self, work: str) -> tuple[Path, jobs.Record] | None:
        folder = jobs.claimed(self.store, work)
        record = folder and jobs.read(folder)
        if not folder or not record:
            return None
        ended = (event for event in jobs.Events(folder).new() if event["event"] in ("committed", "failed"))
        if any(event["work"] in (work, None) for event in ended):
            return None  # it has done that, and nobody was content with it
        state = self.queue.state(record.id)
        if state is None or state.over:
            return None
        # While Slurm does not answer, the job is believed to be there: a second one would do its work again.
        return (folder, record) if state.name == slurm.UNKNOWN or state.comment == folder.name else None

    def chain(self, plan: Plan, tasks: Sequence[Task], there: Mapping[str, Built], place: Place, **more: Any) -> Chain:
        """What a node has to know to do these tasks; `more` are the fields of a chain that the build decides."""
        names = {name for task in tasks for name in (*task.needs, *task.after)}
        return Chain(
            plan=portable(plan, tasks),
            tasks=tuple(task.id for task in tasks),
            there={name: there[name] for name in names if name in there},
            since=self.since,
            store=self.store.root,
            scratch=self.store.scratch_root,
            folder=jobs.new_folder(self.store),
            executor=place.executor.name,
            memo=places.memo_of(place),
            here=places.surroundings(os.environ),
            whole={name: variables.digest(os.environ, name) for name in WHOLE},
            finn=self.finn,
            **more,
        )

    def left(self) -> list[str]:
        """The ids of the jobs that this build has submitted and that have not ended; it submits no more."""
        with self.guard:
            self.closed = True
        known = slurm.states(self.submitted)
        if known is None:
            return self.submitted
        return [job for job in self.submitted if job in known and not known[job].over]

    def cancel(self) -> list[str]:
        """Cancel them; returns their ids."""
        left = self.left()
        slurm.cancel(left)
        return left


class Job:
    """A job of Slurm, as a build waits for it."""

    def __init__(
        self,
        cluster: Cluster,
        folder: Path,
        job: str,
        tasks: tuple[str, ...],
        events: EventLog,
        logs: Path,
        *,
        own: bool,
    ) -> None:
        self.id = job
        self.folder = folder
        self._tasks = tasks
        self._cluster = cluster
        self._events = events
        self._logs = logs
        self.own = own
        self._news = jobs.Events(folder)
        self._ended: dict[str | None, dict[str, Any]] = {}
        self._told: tuple[str, str] | None = None
        self._node = ""

    def result(self, task: Task, status: Status, work: str) -> tuple[bool, Built | Failure] | None:
        """Wait for what becomes of a piece of work: whether it ran, and the result.

        None where the job has ended well without it: it did what it could, or had other tasks.
        """
        ends = float("inf")
        while True:
            state = self._cluster.queue.state(self.id)  # before the look: what a job that has ended wrote is there
            self._hear()
            if (found := self._ended.get(work) or self._ended.get(None)) is not None:
                return self._taken(task, status, found)
            if state is not None and not state.over:
                self._tell(task, state)
                ends = float("inf")
            elif state is not None and state.name == "COMPLETED" and self._ended:
                return None
            elif ends == float("inf"):
                ends = time.monotonic() + GRACE
            elif time.monotonic() > ends:
                break
            time.sleep(LOOK)
        if not self.own and state is not None and state.name == "COMPLETED":
            return None
        return False, self._lost(task, state)

    def _hear(self) -> None:
        for event in self._news.new():
            kind = event["event"]
            if kind == "job_started":
                self._node = str(event["node"])
            elif kind in ("committed", "failed"):
                self._ended[event["work"]] = event
            elif kind in FORWARDED and event["task"] in self._tasks:
                facts = {name: value for name, value in event.items() if name not in ("event", "time")}
                log = str(self.folder / "logs" / f"{event['task']}.log")
                self._events.emit(kind, **facts, job=self.id, node=self._node, log=log)

    def _tell(self, task: Task, state: slurm.State) -> None:
        told = (state.name, state.reason)
        if told != self._told and state.name == "PENDING":
            self._events.emit("task_queued", task=task.id, job=self.id, reason=state.reason)
        self._told = told

    def _taken(self, task: Task, status: Status, event: Mapping[str, Any]) -> tuple[bool, Built | Failure]:
        if event["event"] == "failed":
            self._keep_log(task)
            failure = Failure.from_json(event["failure"])
            where = f" (job {self.id} on {self._node})" if self._node else f" (job {self.id})"
            return True, Failure(**{**vars(failure), "message": failure.message + where})
        trace = Trace.from_json(event["trace"])
        artifact = self._cluster.store.artifact(trace.artifact)
        return bool(event["ran"]), Built(str(event["digest"]), overlay(status.tree, artifact), artifact, trace)

    def _keep_log(self, task: Task) -> None:
        """Lay what a failed task printed where the logs of this build are."""
        with suppress(OSError):
            shutil.copy(self.folder / "logs" / f"{task.id}.log", self._logs)

    def _lost(self, task: Task, state: slurm.State | None) -> Failure:
        """Why a job ended that did not tell it."""
        return lost(task.id, self.id, state, slurm.described(self.id), self._log())

    def _log(self) -> Path:
        """What the job printed itself; where there is none, its folder."""
        found = sorted(self.folder.glob(f"{self.id}*_log.err"))
        return found[0] if found else self.folder


def lost(task: str, job: str, state: slurm.State | None, described: Mapping[str, str], log: Path) -> Failure:
    """Why a job ended that did not say so: what people are told of it."""
    name = state.name if state else described.get("JobState", "")
    node = (state.nodes if state else "") or described.get("NodeList", "")
    where = f" on {node}" if node and node != "(null)" else ""
    again = "the next build goes on from what is in the store"
    told = {
        "CANCELLED": ("it was cancelled", again),
        "TIMEOUT": (
            "it reached its time limit",
            "more `time` in the site file, or `resources: {time: ...}` of the step",
        ),
        "OUT_OF_MEMORY": (
            "it took more memory than it was given",
            "more `memory` in the site file, or `resources: {memory: ...}` of the step",
        ),
        "NODE_FAIL": ("its node failed", again),
        "BOOT_FAIL": ("its node did not start", again),
        "PREEMPTED": ("a job of higher priority took its place", again),
        "DEADLINE": ("it reached its deadline", again),
        "": ("Slurm does not know it any more, and it left no result", again),
    }
    code = described.get("ExitCode", "")
    other = (f"it ended with state {name}{f' and exit code {code}' if code else ''}", "its log tells more")
    if name == "FAILED":
        other = (
            f"it failed outside of the step (exit code {code or 'unknown'})",
            "`setup` in the site file, or Python",
        )
    what, hint = told.get(name, other)
    words = _last_words(log)
    message = f"job {job}{where}: {what}; its log: {log}"
    return Failure("JobLost", message, hint, cause=words, cause_log=str(log) if words else None)


def _last_words(log: Path) -> str | None:
    """The last line of a log that says that something is wrong."""
    with suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()[-50:]
        wrong = [line for line in lines if "rror" in line or "not found" in line]
        return wrong[-1].strip() if wrong else None
    return None
