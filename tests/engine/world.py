"""A plan made by hand, on a real store and a real judge, with a stand-in for the pool of workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finnyaml.engine.events import EventLog
from finnyaml.engine.outcome import Outcome
from finnyaml.engine.run import Engine
from finnyaml.plan.graph import Plan
from finnyaml.plan.select import Selection
from finnyaml.plan.status import Judge
from finnyaml.plan.task import Task
from finnyaml.store import Entry, Store
from finnyaml.worker.job import Done, Failure, Job
from tests.plan.catalog import CATALOG, recipe_of

Answer = Callable[[Job], Done | Failure]


def task(name: str, *needs: str, kind: str = "finn", **more: Any) -> Task:
    """A step of FINN by default, whose key is its name and what it needs."""
    return Task(name, kind, f"step_{name}", needs, ("steps", name), **more)


@dataclass
class StandIn:
    """What the engine asks of a pool. A job leaves `model.onnx`, a file of its name in the output folder, and a log."""

    store: Store
    answers: dict[str, Answer] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    timeouts: list[float | None] = field(default_factory=list)

    def run(self, job: Job, timeout: float | None = None) -> Done | Failure:
        """Answer as `answers` say for this task, else with `done`. Lint rules find nothing."""
        if job.kind == "lint":
            return self.done(job, metrics={"findings": {}})
        self.jobs.append(job)
        self.timeouts.append(timeout)
        return self.answers.get(job.task, self.done)(job)

    def done(self, job: Job, *files: str, **more: Any) -> Done:
        """A job that went well."""
        Path(job.log).write_text(f"{job.task} ran\n")
        made = {path: self.entry(path) for path in (f"out/{job.task}.txt", *files)}
        if job.kind not in ("verify", "contract", "bundle"):  # they look at the models of others
            made["model.onnx"] = self.entry(job.task)
        result = Done(
            digest=f"{job.task} digest",
            model="model.onnx" if "model.onnx" in made else None,
            files=made,
            removed=(),
            config_reads=("fps",),
            reads={},
            programs={},
            unsure=(),
            seconds=1.25,
            warm_up=0.5,
            peak_memory=7,
        )
        return replace(result, **more)

    def entry(self, text: str) -> Entry:
        """A stored file with this text."""
        blob = self.store.put_bytes(text.encode())
        return Entry(blob, blob)

    @property
    def ran(self) -> list[str]:
        """The tasks that were worked on, in order."""
        return [job.task for job in self.jobs]


class World:
    """Tasks, the store, and the runs that were made of them."""

    def __init__(self, root: Path, *tasks: Task) -> None:
        self.root = root
        self.store = Store.open(root / "store")
        self.pool = StandIn(self.store)
        self.versions: dict[str, str | None] = {}
        self.absent: set[str] = set()
        self.tasks = {item.id: item for item in (replace(task("model", kind="onnx"), uses="model.onnx"), *tasks)}
        self.targets: dict[str, str] = {}
        self.recipe: dict[str, Any] = {}
        self.events: list[Mapping[str, Any]] = []
        self.logs: list[EventLog] = []
        self.engine: Engine

    @property
    def plan(self) -> Plan:
        (self.root / "project").mkdir(exist_ok=True)
        return Plan(recipe_of((), self.root / "project", **self.recipe), CATALOG, self.tasks, self.targets)

    def missing(self, tools: tuple[str, ...]) -> tuple[str, ...]:
        """Those that are not here."""
        return tuple(tool for tool in tools if tool in self.absent)

    def prepared(self, jobs: int = 1, *, keep_going: bool = False, distrusted: Container[str] = ()) -> Engine:
        """A fresh engine, as each command makes one; its events go to `events`."""
        self.events = []
        folder = self.root / f"run{len(list(self.root.glob('run*')))}"
        (folder / "logs").mkdir(parents=True)
        judge = Judge(self.plan, self.store, self.versions.get, self.missing, {}, distrusted)
        log = EventLog(folder / "events.jsonl", (self.events.append,))
        self.logs.append(log)
        pool: Any = self.pool
        self.engine = Engine(self.store, pool, judge, log, folder, self.versions.get, jobs, keep_going)
        return self.engine

    def run(
        self, *, jobs: int = 1, keep_going: bool = False, distrusted: Container[str] = (), **selected: Any
    ) -> Outcome:
        """Run all tasks; the jobs of earlier runs are forgotten."""
        self.pool.jobs.clear()
        engine = self.prepared(jobs, keep_going=keep_going, distrusted=distrusted)
        return engine.run(self.plan, self.selection(**selected))

    def selection(
        self, tasks: Iterable[str] = (), runnable: Iterable[str] | None = None, forced: Iterable[str] = ()
    ) -> Selection:
        """All tasks by default."""
        chosen = set(tasks) or set(self.tasks)
        may_run = frozenset(chosen if runnable is None else runnable)
        return Selection(chosen, may_run, frozenset(forced), frozenset(), (), False)

    def told(self, kind: str) -> list[Mapping[str, Any]]:
        """The events of that kind in the last run."""
        return [event for event in self.events if event["event"] == kind]

    def record(self, name: str) -> Any:
        """A JSON file in the folder of the last run."""
        return json.loads((self.engine.folder / name).read_text())
