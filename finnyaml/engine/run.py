"""Runs a plan: judges each task once its needs are there, and executes what is stale, several branches at a time."""

from __future__ import annotations

import functools
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from finnyaml.engine import chains, jobs, lints, record, refusals
from finnyaml.engine.cluster import Came, Cluster
from finnyaml.engine.events import EventLog, Listener
from finnyaml.engine.fetch import NotFetched, fetch
from finnyaml.engine.outcome import Outcome
from finnyaml.engine.pool import Pool
from finnyaml.engine.times import Times
from finnyaml.errors import FinnyamlError
from finnyaml.kinds import KINDS
from finnyaml.plan.doubts import doubts
from finnyaml.plan.graph import Plan
from finnyaml.plan.select import Selection
from finnyaml.plan.status import Built, Judge, Status
from finnyaml.plan.task import Task
from finnyaml.recipe.model import Download
from finnyaml.site.needs import Place
from finnyaml.store import Artifact, Entry, Store, Trace
from finnyaml.store.digests import digest_of
from finnyaml.store.tree import overlay
from finnyaml.tools import registry
from finnyaml.worker.job import Done, Failure, Job

if TYPE_CHECKING:
    from typing_extensions import Self

    from finnyaml.engine.session import Session

MAX_REPAIRS = 3
"""How often a run starts over because a stored object turned out damaged."""


@dataclass
class Engine:
    """Executes plans on one store with one pool of workers."""

    store: Store
    pool: Pool
    judge: Judge
    events: EventLog
    folder: Path
    """The folder of this run: logs and failed jobs go there."""
    tool_version: Callable[[str], str | None]
    jobs: int = 1
    keep_going: bool = False
    offline: bool = False
    """Whether nothing may be fetched from the network."""
    cluster: Cluster | None = None
    """Where jobs go; without it nothing runs that has a place elsewhere."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where tasks run that do not run here."""
    times: Times | None = None
    """How long steps took before, where that is kept."""
    outcome: Outcome = field(default_factory=Outcome)
    """What became of the tasks so far: all that there is to tell where a run is interrupted."""

    @classmethod
    def of(
        cls,
        session: Session,
        judge: Judge,
        tasks: set[str],
        listener: Listener,
        *,
        jobs: int,
        keep_going: bool = False,
        offline: bool = False,
        cluster: Cluster | None = None,
        times: Times | None = None,
    ) -> Self:
        """An engine with a fresh folder for its run of `tasks`; `listener` is told each event as it happens.

        Raises:
            FinnyamlError: nothing can be written in the workspace.
        """
        folder = record.new_run(session.recipe.workspace)
        session.store.use_remote(fetch=not offline)
        events = EventLog(folder / "events.jsonl", (listener,))
        times = times or Times(session.store)
        selected = [task for name, task in session.plan.tasks.items() if name in tasks]
        events.emit(
            "run_started",
            recipe=str(session.recipe.path),
            finn=str(session.catalog),
            run=str(folder),
            tasks=[task.id for task in selected],
            steps=[task.id for task in selected if task.is_step],
            expected=times.of(selected, session.recipe),
        )
        how = (session.tool_version, jobs, keep_going, offline, cluster, session.places, times)
        return cls(session.store, session.pool, judge, events, folder, *how)

    def run(self, plan: Plan, selection: Selection) -> Outcome:
        """Build the selected tasks; of them, only the runnable ones may run.

        Raises:
            FinnyamlError: the store cannot be used, or two branches left conflicting files.
            KeyboardInterrupt: passed on after the workers were ended.
        """
        for _ in together([(self, plan, selection)], self.jobs):
            pass
        return self.outcome

    def finish(self, task: Task, status: Status, built: Built, *, ran: bool, shared: bool = False) -> None:
        """Take in a result, if it may be accepted. `shared`: another plan of this run made it."""
        outcome = self.outcome
        refusal = refusals.refuse(task, built)
        found = refusals.verdict(task, built)
        if found is not None:
            outcome.verdicts[task.id], outcome.measured[task.id] = found, built
        if refusal is None:
            self._accept(task, status, built, ran=ran, shared=shared)
            if found is not None and found.notes:
                self.events.emit("point_note", task=task.id, notes=found.notes)
            if found is not None and found.reasons:
                self.events.emit("point_not_passed", task=task.id, state=found.state, reasons=found.reasons)
                if task.gate is not None and task.gate.on_fail == "defer" and refusals.counts(task.gate, found):
                    outcome.deferred.append(task.id)
        else:
            for measured in (built, *outcome.measured.values()):
                self._show_verification(measured)
            self.fail(task, refusal)

    def _show_verification(self, built: Built) -> None:
        """Lay verification files into the run's folder, where a build that stops does not reach the workspace."""
        for path, entry in built.artifact.files.items():
            if path.startswith(("out/verification_output/", "out/verification/")):
                target = self.folder / path.removeprefix("out/")
                target.parent.mkdir(parents=True, exist_ok=True)
                self.store.copy(entry.blob, target)

    def fail(self, task: Task, failure: Failure) -> None:
        """Take in a failure."""
        self.outcome.failed[task.id] = failure
        self.events.emit("task_failed", task=task.id, error=failure.type, message=failure.message)

    def _accept(self, task: Task, status: Status, built: Built, *, ran: bool, shared: bool) -> None:
        outcome = self.outcome
        outcome.built[task.id] = built
        doubtful = doubts(task, built.trace)
        outcome.records[task.id] = {
            "parts": status.parts,
            "key": status.key,
            "reads": built.trace.reads,
            "digest": built.digest,
            "artifact": built.trace.artifact,
            "log": built.trace.log,
            "seconds": built.trace.seconds,
            "peak_memory": built.trace.peak_memory,
            "metrics": built.trace.info.get("metrics", {}),
            **({"may_differ": list(doubtful)} if doubtful else {}),
        }
        if ran:
            outcome.ran.append(task.id)
            if doubtful and task.trust.pure is None:
                self.events.emit("may_differ", task=task.id, reasons=doubtful)
        else:
            self.store.touch(status.key)
            told = {"digest": built.digest, "measurement": refusals.measurement(built)}
            self.events.emit("task_cached", task=task.id, **told, shared=shared)

    def execute(
        self, task: Task, status: Status, needed: Mapping[str, Built], forced: bool
    ) -> tuple[Status, Built | Failure]:
        """Run one stale task under a lock; another build may have done it while we waited.

        The lock is for the key *and* the settings: two foldings of one model have the same key, and are different work.
        """
        waited = False

        def on_wait() -> None:
            nonlocal waited
            waited = True
            self.events.emit("task_waiting", task=task.id, reason="another build runs it")

        with self.store.lock(jobs.work_of(status.key, task.config), on_wait):
            if waited:
                status = self.judge.judge(task, needed, forced=forced)
                if status.built is not None:
                    shown = refusals.measurement(status.built)
                    self.events.emit("task_cached", task=task.id, digest=status.built.digest, measurement=shown)
                    return status, status.built
            expected = self.times and self.times.expected(task, self.judge.plan.recipe)
            reasons = [str(reason) for reason in status.reasons]
            self.events.emit("task_started", task=task.id, reasons=reasons, expected=expected)
            try:
                job = self._job(task, status, anew=forced)
            except NotFetched as error:
                return status, Failure("NotFetched", error.message, error.hint)
            result = self.pool.run(job, task.timeout)
            if isinstance(result, Done):
                return status, self._keep(task, status, job, result)
            self._save_job(job)
            return status, result

    def stopped_by_lint(self, task: Task, there: Mapping[str, Built]) -> Failure | None:
        """Why the task is not to be started; None where nothing speaks against it."""
        return lints.stopping(self.judge.plan, task, there, self.store, self.pool, self.log_of("lint"))

    def followed(
        self,
        tasks: Sequence[Task],
        place: Place,
        status: Status,
        there: Mapping[str, Built],
        selection: Selection,
    ) -> Iterator[Came]:
        """Have a job do tasks, the first of which has this status; what becomes of each, as it comes."""
        assert self.cluster is not None, "else nothing has a place"
        stopped = self.stopped_by_lint(tasks[0], there)
        if stopped:
            yield Came(tasks[0], status, stopped)
            return
        forced, distrusted = selection.forced, selection.distrusted
        chain = self.cluster.chain(
            self.judge.plan, tasks, there, place, forced=forced, distrusted=distrusted, offline=self.offline
        )
        yield from self.cluster.follow(chain, place, status, self.judge, self.events, self.folder / "logs")

    def look(self, task: Task, outcome: Outcome) -> Built | Failure:
        """Run a task that is in no plan, on what the plan has built: a further measurement, a search for a cause."""
        missing = [need for need in task.needs if need not in outcome.there]
        if missing:
            return Failure("StepFailed", f"{', '.join(missing)} is not there")
        needed = {need: outcome.there[need] for need in task.needs}
        status = self.judge.judge(task, needed)
        if status.built is not None:
            return status.built
        if status.missing:
            return Failure("StepFailed", f"it needs {', '.join(status.missing)}, which is missing here")
        return self.execute(task, status, needed, forced=False)[1]

    def repeat(self, task: Task, outcome: Outcome) -> Done | Failure:
        """Run a task of the plan that is built once more, and keep nothing of it."""
        if task.id in self.places:
            return _not_here(self.places[task.id])
        needed = {need: outcome.built[need] for need in task.needs}
        job = self._job(task, self.judge.judge(task, needed, forced=True), anew=True)
        return self.pool.run(replace(job, log=str(self.log_of(f"{task.id}.again"))), task.timeout)

    def _job(self, task: Task, status: Status, *, anew: bool) -> Job:
        """The job of a task; `anew`: nothing that an earlier one made is to be a part of it."""
        decides = [dict(task.implementation), {name: self.tool_version(name) for name in task.tools}]
        inputs = {}
        for name, staged in task.staged.items():
            if staged.download is not None:
                self._fetch(task, staged.download)
                blob = staged.download.sha256
            elif staged.data is not None:
                blob = self.store.put_bytes(staged.data)
            else:
                blob = self.store.put_file(_path(staged.source))
            inputs[name] = Entry(blob, blob)
        return Job(
            task=task.id,
            kind=task.kind,
            uses=task.uses,
            runner=task.declared.runner,
            warm_up=_warm_up(task),
            users_code=task.runs_users_code,
            params=task.params,
            config=task.config,
            inputs=inputs,
            tree=status.tree,
            seed=digest_of(
                [task.kind, task.uses, status.parts["inputs"]]
            ),  # not the whole key: names must not follow versions
            recipe_dir=str(self.judge.plan.recipe.directory),
            log=str(self.log_of(task.id)),
            digests=dict(zip(task.needs, status.parts["inputs"], strict=True)),
            basis="" if anew else digest_of(decides),
        )

    def _fetch(self, task: Task, wanted: Download) -> None:
        def told(received: int, size: int | None) -> None:
            self.events.emit("fetching", task=task.id, url=wanted.shown, received=received, size=size)

        fetch(wanted, self.store, told, offline=self.offline)

    def log_of(self, task: str) -> Path:
        """Where the output of a task goes in this run."""
        return self.folder / "logs" / f"{task}.log"

    def _keep(self, task: Task, status: Status, job: Job, done: Done) -> Built | Failure:
        """Commit the result of a job to the store; a failure where the recipe set something the step never read."""
        artifact = Artifact(done.digest, done.model, done.files, done.removed)
        used = {*task.tools, *(name for name in done.programs if name in registry.TOOLS)}
        reads = {
            **{kind: dict(names) for kind, names in done.reads.items() if names},
            "config": {name: task.setting(name) for name in done.config_reads},
            "tool": {name: self.tool_version(name) for name in sorted(used) if not registry.tool(name).optional},
        }
        doubtful = {name: list(said) for name, said in (("unseen", done.unseen), ("differs", done.differs)) if said}
        trace = Trace(
            artifact=self.store.put_artifact(artifact),
            reads={kind: names for kind, names in reads.items() if names},
            seconds=round(done.seconds, 3),
            peak_memory=done.peak_memory,
            log=self.store.put_file(Path(job.log)) if Path(job.log).exists() else "",
            created=round(time.time(), 3),
            info={
                "task": task.id,
                "uses": task.uses,
                "metrics": dict(done.metrics),
                "programs": dict(done.programs),
                **doubtful,
            },
        )
        if self.times is not None:
            self.times.note(task, self.judge.plan.recipe, trace.seconds)
        if done.unsure:
            self.events.emit("input_changed", task=task.id, files=done.unsure)
        else:
            self.store.add_trace(status.key, trace)
        self.events.emit(
            "task_finished",
            task=task.id,
            seconds=trace.seconds,
            warm_up=round(done.warm_up, 3),
            peak_memory=trace.peak_memory,
            digest=done.digest,
            measurement=done.metrics.get("measurement"),
            layers=done.metrics.get("layers"),
        )
        return Built(done.digest, overlay(status.tree, artifact), artifact, trace)

    def _save_job(self, job: Job) -> None:
        """Keep a failed job, so that `python -m finnyaml.worker.rerun` can repeat it alone."""
        path = self.folder / "failed" / f"{job.task}.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"store": str(self.store.root), "job": job.to_json()}))
        except OSError:  # where the disk is full, why the step failed is what counts; half a job helps nobody
            path.unlink(missing_ok=True)


def together(parts: Sequence[tuple[Engine, Plan, Selection]], jobs: int, fail_fast: bool = False) -> Iterator[Engine]:
    """Run several plans at once, at most `jobs` tasks at a time; gives each engine as soon as its plan is through.

    What several plans have in common runs once: a task waits while another plan does what may be the same work, and
    then finds the result in the store. A failure ends the plan that has it, and no other, unless `fail_fast`.

    Raises what `Engine.run` raises.
    """
    shared = _Shared(jobs, fail_fast)
    left = [_Pass(engine, plan, selection, shared) for engine, plan, selection in parts]
    while left:
        # Those that wait for another may go on when it is through.
        through = [part for part in left if part.advance()]
        for part in through:
            left.remove(part)
            yield part.engine
        if left and not through:
            _next(shared.finished)()


class _Work(NamedTuple):
    """What tells work apart before it is done, its key and the settings that it may read; and which executor does it.

    No executor: this machine.
    """

    key: str
    settings: str
    executor: str | None = None


@dataclass
class _Shared:
    """What plans that run together have in common.

    `failed`: with `fail_fast`, whether one of them has. `working` has the work of each task that runs, `started` the
    keys of all that ran since `since`. `finished` has what threads have the one that decides do.
    """

    jobs: int
    fail_fast: bool
    failed: bool = False
    finished: queue.SimpleQueue[Callable[[], None]] = field(default_factory=queue.SimpleQueue)
    working: list[_Work] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    since: float = field(default_factory=lambda: round(time.time(), 3))  # as traces have it

    def full(self, place: Place | None) -> bool:
        """Whether no more may run at a place now."""
        name, most = (None, self.jobs) if place is None else (place.executor.name, place.executor.jobs)
        return sum(work.executor == name for work in self.working) >= most


class _Pass:
    """One plan on its way, from the start again where a stored object turns out damaged."""

    def __init__(self, engine: Engine, plan: Plan, selection: Selection, shared: _Shared) -> None:
        self.engine = engine
        self._plan = plan
        self._selection = selection
        self._shared = shared
        self._repairs = 0
        self._running: dict[str, _Work | None] = {}  # None: a job will do it that does another task now
        self._begin()

    def _begin(self) -> None:
        self.engine.outcome = Outcome()
        self._waiting = {task.id: task for task in self._plan.tasks.values() if task.id in self._selection.tasks}
        self._damaged: str | None = None
        self.engine.judge.look_again()

    def advance(self) -> bool:
        """Take every task as far as it goes now; whether the plan is through."""
        held = not self._stopped and self._advance()
        self._shared.failed |= self._shared.fail_fast and bool(self.engine.outcome.failed)
        if self._running or (held and not self._stopped):
            return False
        if self._damaged is None:
            self.engine.outcome.cut_short = self._shared.failed and bool(self._waiting)
            return True
        self.engine.events.emit("store_damaged", object=self._damaged)
        self._repairs += 1
        if self._repairs == MAX_REPAIRS:
            raise FinnyamlError(
                "objects of the store keep turning out damaged",
                hint="check the disk; `finnyaml cache verify` removes what is damaged",
            )
        self._selection = replace(self._selection, forced=self._selection.forced - set(self.engine.outcome.ran))
        self._begin()
        return self.advance()

    @property
    def _stopped(self) -> bool:
        failed = self._shared.failed or (self.engine.outcome.failed and not self.engine.keep_going)
        return self._damaged is not None or bool(failed)

    def take(self, task: Task, status: Status, result: Built | Failure | BaseException, *, ran: bool = True) -> None:
        """Take in what became of a task that ran; `ran`: and was not done already by another build."""
        self._ends(task)
        if isinstance(result, Built):
            self.engine.finish(task, status, result, ran=ran)
        elif isinstance(result, BaseException):
            raise result
        elif result.damaged:
            self._damaged = result.damaged
        else:
            self.engine.fail(task, result)

    def _ends(self, task: Task) -> None:
        work = self._running.pop(task.id)
        if work is not None:
            self._shared.working.remove(work)

    def _begins(self, task: Task, work: _Work) -> None:
        self._running[task.id] = work
        self._shared.started.add(work.key)
        self._shared.working.append(work)

    def _back(self, tasks: Sequence[Task]) -> None:
        """Let tasks wait again: the job that was to do them has ended."""
        for task in tasks:
            self._ends(task)
        waiting = {*self._waiting, *(task.id for task in tasks)}
        self._waiting = {task.id: task for task in self._plan.tasks.values() if task.id in waiting}

    def _advance(self) -> bool:
        """Whether something that could go on has to wait for another plan.

        One pass is enough: the tasks are in topological order.
        """
        held = False
        outcome, selection = self.engine.outcome, self._selection
        for task in list(self._waiting.values()):
            if self._stopped:
                return False  # a stored result was refused in this very pass
            gates = [point for point in task.after if point in selection.tasks]
            missing = [need for need in task.needs if need not in outcome.there]
            missing += [gate for gate in gates if gate not in outcome.built]
            lost = [need for need in missing if need not in self._running and need not in self._waiting]
            if lost:
                del self._waiting[task.id]
                outcome.skipped[task.id] = lost[0]
                self.engine.events.emit("task_skipped", task=task.id, needs=lost[0])
            elif not missing:
                held |= not self._go_on(task, {need: outcome.there[need] for need in task.needs})
        return held

    def _go_on(self, task: Task, needed: Mapping[str, Built]) -> bool:
        """Take a task from the store, or start it; False where it has to wait."""
        place = self.engine.places.get(task.id)
        if self._shared.full(place):
            return False
        forced = task.id in self._selection.forced
        status = self.engine.judge.judge(task, needed, forced=forced)
        if status.built is None and self._may_be_done_by_another(task, status, forced):
            return False
        if status.built is None and (made := self._made_in_this_run(task, needed, status)):
            forced, status = False, made
        del self._waiting[task.id]
        if status.built is not None:
            self.engine.finish(task, status, status.built, ran=False, shared=self._is_new(status))
        elif task.id not in self._selection.runnable:
            message = f"it would have to run again, and --from or --only leave it out: {status.reasons[0]}"
            self.engine.fail(task, Failure("NotSelected", message, "select it too"))
        elif status.missing:
            self.engine.outcome.blocked[task.id] = status
            self.engine.events.emit("task_blocked", task=task.id, missing=status.missing)
        elif place is not None and self.engine.cluster is None:
            self.engine.fail(task, _not_here(place))
        elif place is not None:
            self._send(task, status, place)
        else:
            self._start(task, status, needed, forced)
        return True

    def _made_in_this_run(self, task: Task, needed: Mapping[str, Built], status: Status) -> Status | None:
        """The result that another plan has just made: what has to run, whatever the store has, runs once for all."""
        if status.key not in self._shared.started:
            return None
        found = self.engine.judge.judge(task, needed, trusted=True)
        return found if self._is_new(found) else None

    def _is_new(self, status: Status) -> bool:
        made = status.built is not None and status.built.trace.created >= self._shared.since
        return made and status.key in self._shared.started

    def _may_be_done_by_another(self, task: Task, status: Status, forced: bool) -> bool:
        """Whether another plan does this work now, or (as long as nobody knows what it reads) what may be the same."""
        key, settings, _ = _work(task, status)
        others = [work.settings for work in self._shared.working if work.key == key]
        again = forced or any(reason.kind == "distrusted" for reason in status.reasons)
        return bool(others) and (again or settings in others or not self.engine.store.traces(key))

    def _start(self, task: Task, status: Status, needed: Mapping[str, Built], forced: bool) -> None:
        self._begins(task, _work(task, status))
        there = dict(self.engine.outcome.there)

        def work() -> None:
            result: Built | Failure | BaseException
            try:
                stopped = self.engine.stopped_by_lint(task, there)
                status_now, result = (status, stopped) if stopped else self.engine.execute(task, status, needed, forced)
            except BaseException as error:
                status_now, result = status, error
            self._shared.finished.put(lambda: self.take(task, status_now, result))

        threading.Thread(target=work, name=task.id, daemon=True).start()

    def _send(self, task: Task, status: Status, place: Place) -> None:
        """Have a job do a task, and those behind it that can go along."""
        selection, outcome, plan = self._selection, self.engine.outcome, self._plan
        passed = {*outcome.built, *(plan.tasks.keys() - selection.tasks)}
        may_follow = self._waiting.keys() & selection.runnable
        chain = chains.along(plan, task, may_follow, outcome.there, passed, self.engine.places)
        self._begins(task, _work(task, status, place.executor.name))
        for item in chain[1:]:
            del self._waiting[item.id]
            self._running[item.id] = None
        there, engine, put = dict(outcome.there), self.engine, self._shared.finished.put

        def work() -> None:
            left = [*chain]
            try:
                for came in engine.followed(chain, place, status, there, selection):
                    left.remove(came.task)
                    put(functools.partial(self._take_of_job, came))
            except BaseException as error:
                put(functools.partial(self.take, left.pop(0), status, error))
            put(functools.partial(self._back, left))

        threading.Thread(target=work, name=task.id, daemon=True).start()

    def _take_of_job(self, came: Came) -> None:
        """Take in what a job has done; it goes on with the next task of its chain."""
        if came.following is not None:
            task, status, executor = came.following
            self._begins(task, _work(task, status, executor))
        self.take(came.task, came.status, came.result, ran=came.ran)


def _not_here(place: Place) -> Failure:
    """Why a command that submits no jobs does not run a task."""
    message = f"it would have to run, and the site file has it run on {place.executor.name}"
    return Failure("RunsElsewhere", message, "`finnyaml build` submits it; this command only runs what runs here")


def _work(task: Task, status: Status, executor: str | None = None) -> _Work:
    return _Work(status.key, digest_of(task.config), executor)


def _warm_up(task: Task) -> str | None:
    """What a task needs imported: that of its kind; a search for a loss runs the step of another task."""
    searched = task.params["step"]["kind"] if "step" in task.params else task.kind
    return KINDS[searched].warm_up


def _next(finished: queue.SimpleQueue[Any]) -> Any:
    """The next finished task; short waits, so that Ctrl-C is seen at once."""
    while True:
        try:
            return finished.get(timeout=0.2)
        except queue.Empty:
            continue


def _path(source: Path | None) -> Path:
    assert source is not None, "a staged file has data or a source"
    return source
