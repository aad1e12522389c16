"""Which job does a piece of work, and what a build takes of it; with a stand-in for Slurm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from finnyaml.engine import cluster, jobs, slurm
from finnyaml.engine.chains import Chain
from finnyaml.engine.cluster import Cluster
from finnyaml.engine.run import Engine
from finnyaml.plan.status import Built, Status
from finnyaml.site.needs import Executor, Place
from finnyaml.worker.job import Failure
from tests.engine.world import World, task

PLACE = Place(Executor("cluster", "slurm"))


class Lab:
    """Tasks `a` and `b` in a chain behind `model`, which is built; jobs are submitted to nobody."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World(root, task("a", "model"), task("b", "a"))
        self.world.run(tasks=["model"])
        self.engine: Engine = self.world.prepared()
        self.submitted: list[Path] = []
        self.states: dict[str, slurm.State] = {}
        self.meanwhile: list[Callable[[], None]] = []
        self.cluster = Cluster(self.world.store, lambda chain: lambda: None, "finn")
        monkeypatch.setattr(cluster, "LOOK", 0.0)
        monkeypatch.setattr(cluster, "GRACE", 0.0)
        monkeypatch.setattr(slurm, "submit", self.submit)
        monkeypatch.setattr(slurm, "described", lambda job: {})
        monkeypatch.setattr(self.cluster.queue, "state", self.state)

    def submit(self, work: object, name: str, there: Place, folder: Path) -> str:
        """A job that runs from now on."""
        self.submitted.append(folder)
        job = str(len(self.submitted))
        self.states[job] = slurm.State("RUNNING", "n1", comment=folder.name)
        return job

    def state(self, job: str) -> slurm.State | None:
        """What a build is told of a job; what happens meanwhile has happened then."""
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return self.states.get(job)

    def submits(self, *, forced: frozenset[str] = frozenset()) -> bool:
        """Whether a build submits a job for `a`, rather than find one."""
        before, work = len(self.submitted), self.work("a")
        logs = self.engine.folder / "logs"
        self.cluster.job(self.chain(forced), PLACE, work, self.engine.events, logs)
        return len(self.submitted) > before

    def chain(self, forced: frozenset[str]) -> Chain:
        """Of `a` and `b`."""
        tasks, more = [self.world.tasks[name] for name in "ab"], {"distrusted": frozenset[str]()}
        return self.cluster.chain(self.world.plan, tasks, self.there, PLACE, forced=forced, **more)

    def came(self) -> Iterator[cluster.Came]:
        """What becomes of `a` and `b`."""
        status, logs = self.status("a", self.there), self.engine.folder / "logs"
        chain = self.chain(frozenset())
        return self.cluster.follow(chain, PLACE, status, self.engine.judge, self.engine.events, logs)

    @property
    def there(self) -> dict[str, Built]:
        """What the store has of the tasks."""
        found: dict[str, Built] = {}
        for name, item in self.world.tasks.items():
            if item.needs and item.needs[0] not in found:
                break
            built = self.engine.judge.judge(item, {need: found[need] for need in item.needs}).built
            if built is not None:
                found[name] = built
        return found

    def status(self, name: str, there: dict[str, Built]) -> Status:
        """Of a task whose needs are there."""
        return self.engine.judge.judge(
            self.world.tasks[name], {need: there[need] for need in self.world.tasks[name].needs}
        )

    def work(self, name: str) -> str:
        """What tells the work of a task apart."""
        return jobs.work_of(self.status(name, self.there).key, self.world.tasks[name].config)

    def do(self, name: str) -> None:
        """What a node does: the task, and a word of it in the folder of the last job."""
        work = self.work(name)
        self.world.run(tasks=[*self.there, name])
        built = self.there[name]
        self.tell("committed", work=work, ran=True, digest=built.digest, trace=built.trace.to_json())

    def tell(self, event: str, **facts: Any) -> None:
        """Write an event of the last job."""
        with (self.submitted[-1] / "events.jsonl").open("a") as file:
            file.write(json.dumps({"event": event, "time": 1.0, **facts}) + "\n")

    def end(self, state: str) -> None:
        """Let the last job end."""
        job = str(len(self.submitted))
        self.states[job] = replace(self.states[job], name=state)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    made = Lab(tmp_path, monkeypatch)
    yield made
    for log in made.world.logs:
        log.close()


def nothing() -> None:
    """What happens while a build looks for a job."""


def test_results_come_task_by_task(lab: Lab) -> None:
    came = lab.came()
    lab.meanwhile = [lambda: lab.do("a"), lambda: lab.do("b")]
    first = next(came)
    assert isinstance(first.result, Built) and first.result.digest == "a digest" and first.ran
    assert first.following is not None and first.following[0].id == "b"
    second = next(came)
    assert isinstance(second.result, Built) and second.result.digest == "b digest" and second.following is None
    assert list(came) == [] and len(lab.submitted) == 1


def test_a_job_is_found_unless_it_has_ended_or_failed_or_is_anothers(lab: Lab) -> None:
    assert lab.submits()
    assert not lab.submits(), "it runs"
    assert lab.submits(forced=frozenset("a")), "what is forced is done anew"
    lab.tell("failed", work=lab.work("a"), failure=asdict(Failure("StepFailed", "no")))
    assert lab.submits(), "that one has failed"
    lab.end("COMPLETED")
    assert lab.submits(), "that one has ended"
    job = str(len(lab.submitted))
    lab.states[job] = replace(lab.states[job], comment="of another cluster")
    assert lab.submits(), "the id is another's"


def test_what_a_job_read_before_it_was_changed_is_not_taken(lab: Lab) -> None:
    assert lab.submits()
    came = lab.came()

    def changed() -> None:
        lab.do("a")
        lab.world.store.forget(lab.status("a", lab.there).key)  # as if its trace did not hold here

    lab.meanwhile = [nothing, changed]
    assert next(came, None) is None, "the build looks again, and runs it"


def test_a_lost_job_and_one_that_got_as_far_as_the_store(lab: Lab) -> None:
    came = lab.came()
    lab.meanwhile = [lambda: lab.end("NODE_FAIL")]
    lost = next(came).result
    assert isinstance(lost, Failure) and "job 1 on n1: its node failed" in lost.message
    assert list(came) == []

    def dies() -> None:
        lab.world.run(tasks=["model", "a"])  # committed, and no word of it
        lab.end("NODE_FAIL")

    came = lab.came()
    lab.meanwhile = [nothing, dies]
    found = next(came).result
    assert isinstance(found, Built) and found.digest == "a digest"


def test_a_failure_names_the_job(lab: Lab) -> None:
    def fails() -> None:
        lab.tell("job_started", job="1", node="n2")
        lab.tell("failed", work=lab.work("a"), failure=asdict(Failure("ValueError", "not so", traceback="here")))

    came = lab.came()
    lab.meanwhile = [fails]
    result = next(came).result
    assert isinstance(result, Failure)
    assert (result.message, result.traceback) == ("not so (job 1 on n2)", "here")
