"""Several plans at once: variants of one recipe, which have the beginning in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from finnyaml.engine.run import Engine, together
from finnyaml.errors import ExitCode
from finnyaml.plan.graph import Plan
from finnyaml.plan.select import Selection
from finnyaml.worker.job import Done, Failure, Job
from tests.engine.world import World, task

Make = Callable[..., World]
Part = tuple[Engine, Plan, Selection]


def parts(here: World, *fps: int, forced: tuple[str, ...] = (), distrusted: tuple[str, ...] = ()) -> list[Part]:
    """A plan for each: `a` reads a setting that all share (`fps` is what the stand-in says it reads), `b` its own."""
    found = []
    for value in fps:
        reads = {"a": {"fps": 1, "other": value}, "b": {"fps": value}}
        here.tasks = {
            name: replace(item, config=reads.get(name, {})) if name != "model" else item
            for name, item in here.tasks.items()
        }
        found.append((here.prepared(distrusted=distrusted), here.plan, here.selection(forced=forced)))
    return found


def run(built: list[Part], jobs: int) -> None:
    for engine in together(built, jobs):
        assert engine.outcome.built or engine.outcome.failed


def test_what_plans_have_in_common_runs_once(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"))
    variants = parts(here, 10, 20, 30)
    run(variants, jobs=3)
    assert here.pool.ran == ["model", "a", "b", "b", "b"]
    for engine, _, _ in variants:
        assert set(engine.outcome.built) == {"model", "a", "b"}
    # The others are told that they have it from this run.
    assert [event["shared"] for event in here.told("task_cached")] == [True, True]


def test_nobody_does_what_may_be_the_same_work_meanwhile(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"))
    inside, came, most = list[str](), list[str](), list[int]()
    meeting = threading.Barrier(3, timeout=60)

    def alone(job: Job) -> Done:
        inside.append(job.task)
        most.append(len(inside))
        inside.remove(job.task)
        return here.pool.done(job)

    def meets(job: Job) -> Done:
        # The first says what it reads; then it is known that the others are other work, and they run at a time.
        came.append(job.task)
        if len(came) > 1:
            meeting.wait()
        return here.pool.done(job)

    here.pool.answers = {"a": alone, "b": meets}
    run(parts(here, 10, 20, 30, 40), jobs=4)
    assert most == [1]
    assert here.pool.ran.count("b") == 4


def test_a_forced_task_runs_once_for_all(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"))
    run(parts(here, 10, 20), jobs=2)
    here.pool.jobs.clear()
    run(parts(here, 10, 20, forced=("a",)), jobs=2)
    assert here.pool.ran == ["a"]


def test_what_a_forced_task_reads_of_its_own_variant_is_other_work(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"))
    run(parts(here, 10, 20), jobs=2)
    here.pool.jobs.clear()
    run(parts(here, 10, 20, forced=("b",)), jobs=2)
    assert here.pool.ran == ["b", "b"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_doubtful_task_runs_once_for_all(world: Make, jobs: int) -> None:
    here = world(task("a", "model"), task("b", "a"))
    here.pool.answers = {name: lambda job: here.pool.done(job, differs=("asks for the time",)) for name in "ab"}
    run(parts(here, 10, 20), jobs=jobs)
    here.pool.jobs.clear()
    run(parts(here, 10, 20, distrusted=("a", "b")), jobs=jobs)
    assert here.pool.ran == ["a", "b", "b"]


def test_one_that_fails_ends_alone(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"), task("c", "b"))

    def sometimes(job: Job) -> Done | Failure:
        return Failure("ValueError", "no", None) if job.config["fps"] == 10 else here.pool.done(job)

    here.pool.answers = {"b": sometimes}
    (first, _, _), (second, _, _) = variants = parts(here, 10, 20)
    run(variants, jobs=1)
    assert [*first.outcome.failed] == ["b"] and "c" not in first.outcome.built
    assert not second.outcome.failed and "c" in second.outcome.built


def test_each_is_given_as_soon_as_it_is_through(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"))
    variants = parts(here, 10, 20)
    through = together(variants, 1)
    assert next(through) is variants[0][0]
    assert "b" not in variants[1][0].outcome.built
    assert next(through) is variants[1][0]


def test_where_it_is_asked_for_one_that_fails_ends_all(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"), task("c", "b"))
    here.pool.answers = {"b": lambda job: Failure("ValueError", "no", None)}
    (first, _, _), (second, _, _) = variants = parts(here, 10, 20)
    assert [*together(variants, 1, fail_fast=True)] == [first, second]
    assert [*first.outcome.failed] == ["b"] and here.pool.ran.count("b") == 1
    assert not second.outcome.failed and second.outcome.cut_short
    assert second.outcome.code is ExitCode.STEP_FAILED
