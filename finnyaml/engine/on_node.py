"""What a job of a cluster does: the tasks of a chain, one after the other, each committed to the store like any other.

So the submitter has nothing that is not in the store as well. A job that is queued again begins with what is missing.
"""

from __future__ import annotations

import signal
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from finnyaml.engine import jobs, places, refusals, slurm
from finnyaml.engine.chains import Chain
from finnyaml.engine.events import EventLog
from finnyaml.engine.pool import Pool
from finnyaml.engine.run import Engine
from finnyaml.engine.times import Times
from finnyaml.errors import FinnyamlError
from finnyaml.finn import identity
from finnyaml.plan.status import Built, Judge, Status
from finnyaml.plan.task import Task
from finnyaml.store import Store
from finnyaml.text import listed
from finnyaml.tools import discover
from finnyaml.worker.job import Failure

_LAST_WORDS = 2.0
"""Seconds between a failure and its report.

Where Slurm ends a job, it tells all processes of it, and a step or tool may end before this process hears why; then it
ends here without a word.
"""


@dataclass(frozen=True)
class Work:
    """The work of a job, as submitit takes it. At the time limit it is queued again as it is."""

    chain: Chain

    def __call__(self) -> None:
        """Do it."""
        signal.signal(signal.SIGTERM, _leave)  # submitit would not hear it, and Slurm has to kill
        run(self.chain)

    def checkpoint(self) -> Any:
        """What to do when the job is queued again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _leave(*_: object) -> NoReturn:
    """End at once, with the worker: the job is cancelled or has to make room."""
    raise SystemExit(128 + signal.SIGTERM)


def run(chain: Chain) -> None:
    """Do the tasks of a chain. What becomes of each is in the store, and an event in the folder of the job."""
    store = Store.open(chain.store, chain.scratch)
    job = slurm.job_here()
    if jobs.read(chain.folder) is None:  # whoever submitted it has ended before it could write that
        jobs.write(chain.folder, jobs.Record.of(job, chain.executor, chain.plan.recipe, chain.tasks))
    with (
        closing(EventLog(chain.folder / "events.jsonl")) as events,
        closing(Pool(store, 1)) as pool,
        store.session(),
    ):
        events.emit("job_started", job=job, node=slurm.node_here())
        try:
            _OnNode(chain, store, pool, events).run()
        except FinnyamlError as error:
            failure = Failure(type(error).__name__, error.message, error.hint)
            events.emit("failed", work=None, failure=asdict(failure))


class _OnNode:
    """A chain on its way."""

    def __init__(self, chain: Chain, store: Store, pool: Pool, events: EventLog) -> None:
        self._chain = chain
        self._store = store
        self._events = events
        self._there = dict(chain.there)
        self._judge = Judge(chain.plan, store, self._tool_version, self._missing, {}, chain.distrusted)
        self._engine = Engine(
            store,
            pool,
            self._judge,
            events,
            chain.folder,
            self._tool_version,
            offline=chain.offline,
            times=Times(store),
        )

    def run(self) -> None:
        """Do all tasks, up to the first that fails or is refused."""
        self._check()
        status: Status | None = self._claimed(self._chain.tasks[0])
        for name, following in zip(self._chain.tasks, (*self._chain.tasks[1:], None), strict=True):
            assert status is not None
            task, work = self._chain.plan.tasks[name], jobs.work_of(status.key, self._config(name))
            ran, result = self._result(task, status)
            if isinstance(result, Failure):
                time.sleep(_LAST_WORDS)
                self._events.emit("failed", work=work, failure=asdict(result))
                return
            self._there[name] = result
            go_on = following is not None and refusals.refuse(task, result) is None
            status = self._claimed(following) if go_on and following is not None else None
            # Only now, so that whoever waits for the next finds that it is being done.
            trace = result.trace.to_json()
            self._events.emit("committed", work=work, ran=ran, digest=result.digest, trace=trace)
            if status is None:
                return

    def _check(self) -> None:
        found = identity.find(self._store.memo, self._store.put_memo)
        if found is None or found.digest != self._chain.finn:
            raise FinnyamlError(
                f"{slurm.node_here()} has another FINN, or other libraries, than the machine that submitted the job",
                hint="use one Python environment on a file system that all machines share",
            )

    def _claimed(self, name: str) -> Status:
        """What the store says of a task; whoever looks for its work finds this job from now on."""
        status = self._judged(name)
        jobs.claim(self._store, jobs.work_of(status.key, self._config(name)), self._chain.folder)
        return status

    def _judged(self, name: str) -> Status:
        """With a forced task, what an earlier run of this very job has made holds."""
        task = self._chain.plan.tasks[name]
        needed = {need: self._there[need] for need in task.needs}
        made = self._judge.judge(task, needed, trusted=True)
        if made.built is not None and made.built.trace.created >= self._chain.since:
            return made
        return self._judge.judge(task, needed, forced=name in self._chain.forced)

    def _config(self, name: str) -> Any:
        return self._chain.plan.tasks[name].config

    def _result(self, task: Task, status: Status) -> tuple[bool, Built | Failure]:
        """Whether a task ran, and what came of it."""
        if status.built is not None:
            return False, status.built
        if status.missing:
            hint = "let `setup` of its executor or tool in the site file bring it, as `source .../settings64.sh`"
            message = f"{task.id} needs {listed(status.missing)}, which {slurm.node_here()} does not have"
            return False, Failure("ToolMissing", message, hint)
        needed = {need: self._there[need] for need in task.needs}
        _, result = self._engine.execute(task, status, needed, forced=task.id in self._chain.forced)
        if isinstance(result, Built):
            places.note(self._store, self._chain.memo, result.trace, self._chain.here, self._chain.whole)
        return True, result

    def _tool_version(self, name: str) -> str | None:
        return discover.tool_state([name], memo=self._store).get(name)

    def _missing(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(item.name for item in discover.missing(names, memo=self._store))
