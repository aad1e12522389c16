"""The engine with a stand-in for its workers: order, failures, gates, the store, several branches at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from finnyaml.engine.outcome import Outcome
from finnyaml.engine.run import MAX_REPAIRS
from finnyaml.errors import FinnyamlError, StoreError
from finnyaml.finn.settings import Staged
from finnyaml.plan.doubts import IMPURE
from finnyaml.plan.status import Built
from finnyaml.plan.task import Task
from finnyaml.recipe.model import Limits, Trust
from finnyaml.site.needs import Executor, Place
from finnyaml.store.digests import digest_of
from finnyaml.verify.gates import Gate
from finnyaml.worker.job import Done, Failure, Job
from tests.engine.conftest import Make
from tests.engine.world import World, task
from tests.waiting import wait_until

FAILURE = Failure("ValueError", "no", "mend it")


def fails(job: Job) -> Failure:
    return FAILURE


def states(outcome: Outcome) -> dict[str, str]:
    kinds = ("built", "failed", "blocked", "skipped")
    return {name: kind for kind in kinds for name in getattr(outcome, kind)}


# What runs.


def test_tasks_run_in_order_and_come_from_the_store_the_next_time(world: Make) -> None:
    here = world(task("a", "model", config={"fps": 5}), task("b", "a"))
    first = here.run()
    assert here.pool.ran == first.ran == ["model", "a", "b"]
    assert set(first.built["b"].tree) == {"model.onnx", "out/model.txt", "out/a.txt", "out/b.txt"}
    again = here.run()
    assert (here.pool.ran, again.ran) == ([], [])
    assert again.built == first.built
    cached = here.told("task_cached")
    assert [(event["task"], event["digest"]) for event in cached] == [(n, f"{n} digest") for n in ("model", "a", "b")]
    here.tasks["a"] = replace(here.tasks["a"], config={"fps": 6})
    assert here.run().ran == ["a"]  # which gives the model that it gave before


def test_only_what_is_selected_is_looked_at(world: Make) -> None:
    here = world(task("a", "model"), task("b", "model"))
    assert set(here.run(tasks=["model", "b"]).built) == {"model", "b"} == set(here.pool.ran)


def test_a_forced_task_runs_once(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"))
    here.run()
    assert here.run(forced=["a"]).ran == ["a"]
    (started,) = here.told("task_started")
    assert (started["task"], started["reasons"]) == ("a", ["forced with --force"])


def test_what_may_not_run_has_to_be_there(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"))
    outcome = here.run(runnable=["model", "b"])
    assert states(outcome) == {"model": "built", "a": "failed"}  # the build stops there
    assert outcome.failed["a"].type == "NotSelected"
    assert "never built with this store" in outcome.failed["a"].message
    here.run()
    assert states(here.run(runnable=["b"])) == {"model": "built", "a": "built", "b": "built"}


def test_a_missing_tool_blocks_a_task_and_those_that_need_it(world: Make) -> None:
    here = world(task("a", "model", tools=("vivado",)), task("b", "a"), task("c", "model"))
    here.absent = {"vivado"}
    outcome = here.run()
    assert states(outcome) == {"model": "built", "a": "blocked", "b": "skipped", "c": "built"}
    assert outcome.skipped == {"b": "a"}
    assert outcome.blocked["a"].missing == ("vivado",)
    assert [(event["task"], event["missing"]) for event in here.told("task_blocked")] == [("a", ("vivado",))]
    assert [(event["task"], event["needs"]) for event in here.told("task_skipped")] == [("b", "a")]


# Failures.


def test_after_a_failure_nothing_new_is_started(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"), task("c", "model"))
    here.pool.answers["a"] = fails
    outcome = here.run()
    assert here.pool.ran == ["model", "a"]
    assert states(outcome) == {"model": "built", "a": "failed"}
    assert outcome.failed["a"] == FAILURE
    (event,) = here.told("task_failed")
    assert (event["task"], event["error"], event["message"]) == ("a", "ValueError", "no")


def test_keep_going_builds_what_does_not_need_the_failed_task(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"), task("below", "b"), task("c", "model"))
    here.pool.answers["a"] = fails
    outcome = here.run(keep_going=True)
    assert states(outcome) == {"model": "built", "a": "failed", "b": "skipped", "below": "skipped", "c": "built"}
    assert outcome.skipped == {"b": "a", "below": "b"}


def test_a_failed_job_is_kept_to_be_repeated(world: Make) -> None:
    here = world(task("a", "model"))
    here.pool.answers["a"] = fails
    here.run()
    saved = here.record("failed/a.json")
    assert saved["store"] == str(here.store.root)
    assert Job.from_json(saved["job"]) == here.pool.jobs[-1]
    assert not (here.engine.folder / "failed/model.json").exists()


def test_what_a_thread_raises_reaches_the_caller_and_what_was_built_is_told(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"))

    def interrupted(job: Job) -> Done:
        raise KeyboardInterrupt

    here.pool.answers["b"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        here.run()
    assert here.engine.outcome.ran == ["model", "a"]


# Jobs and traces.


def test_a_job_has_all_that_the_task_may_look_at(world: Make) -> None:
    here = world()
    source = here.root / "folding.json"
    source.write_text("{}")
    staged = {"folding.json": Staged(source=source), "made.json": Staged(data=b"[]")}
    a = task("a", "model", params={"by": 2}, config={"fps": 5}, staged=staged, timeout=9.0)
    here.tasks["a"] = a
    outcome = here.run()
    job = here.pool.jobs[-1]
    assert (job.task, job.kind, job.uses, job.params, job.config) == ("a", "finn", "step_a", {"by": 2}, {"fps": 5})
    assert {name: here.store.read(entry.blob) for name, entry in job.inputs.items()} == {
        "folding.json": b"{}",
        "made.json": b"[]",
    }
    assert job.tree == outcome.built["model"].tree
    assert job.digests == {"model": "model digest"}
    assert job.recipe_dir == str(here.plan.recipe.directory)
    assert job.log == str(here.engine.log_of("a")) == str(here.engine.folder / "logs/a.log")
    assert here.pool.timeouts == [None, 9.0]


def test_the_names_that_finn_makes_up_follow_the_step_and_its_inputs_only(world: Make) -> None:
    def seed(**changes: Any) -> str:
        here = world(replace(task("a", "model"), **changes))
        here.run(forced=["a"])
        return here.pool.jobs[-1].seed

    assert seed() == seed(params={"by": 2}, implementation={"finn": "2"}, config={"fps": 5})
    assert len({seed(), seed(uses="step_b"), seed(kind="code"), seed(needs=())}) == 4


def test_the_trace_has_what_was_read_and_the_record_what_became_of_it(world: Make) -> None:
    here = world()
    a = task("a", "model", config={"fps": 5}, defaults={"fps": 1, "clock": 10.0}, tools=("vivado",))
    here.tasks["a"] = a
    here.versions = {"vivado": "2022.2", "g++": "12", "verilator": "5"}
    here.pool.answers["a"] = lambda job: here.pool.done(
        job,
        config_reads=("fps", "clock"),
        reads={"file": {"@recipe/x": "0"}, "env": {}},
        programs={"g++": "/usr/bin/g++", "sh": "/bin/sh"},
        metrics={"luts": 3},
    )
    outcome = here.run()
    (trace,) = here.store.traces(outcome.records["a"]["key"])
    assert trace.reads == {
        "config": {"fps": 5, "clock": 10.0},
        "file": {"@recipe/x": "0"},
        "tool": {"vivado": "2022.2", "g++": "12"},
    }
    programs = {"g++": "/usr/bin/g++", "sh": "/bin/sh"}
    assert trace.info == {"task": "a", "uses": "step_a", "metrics": {"luts": 3}, "programs": programs}
    assert here.store.read(trace.log) == b"a ran\n"
    assert (trace.seconds, trace.peak_memory) == (1.25, 7)
    assert outcome.records["a"] == {
        "parts": a.parts({"model": "model digest"}),
        "key": digest_of(a.parts({"model": "model digest"})),
        "reads": trace.reads,
        "digest": "a digest",
        "artifact": trace.artifact,
        "log": trace.log,
        "seconds": 1.25,
        "peak_memory": 7,
        "metrics": {"luts": 3},
    }
    (event,) = [event for event in here.told("task_finished") if event["task"] == "a"]
    assert (event["seconds"], event["warm_up"], event["peak_memory"], event["digest"]) == (1.25, 0.5, 7, "a digest")


def test_a_result_of_inputs_that_changed_meanwhile_is_used_once(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"))
    here.pool.answers["a"] = lambda job: here.pool.done(job, unsure=("steps.py",))
    assert states(here.run()) == {"model": "built", "a": "built", "b": "built"}
    (event,) = here.told("input_changed")
    assert (event["task"], event["files"]) == ("a", ("steps.py",))
    assert here.run().ran == ["a"]


# The store.


def test_a_run_starts_over_where_the_store_lost_something(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"))
    lost = [Failure("ObjectDamaged", "gone", damaged="0" * 64)]
    here.pool.answers["b"] = lambda job: lost.pop() if lost else here.pool.done(job)
    outcome = here.run(forced=["a"])
    assert here.pool.ran == ["model", "a", "b", "b"]  # what was forced is not forced again
    assert states(outcome) == {"model": "built", "a": "built", "b": "built"}
    assert [event["object"] for event in here.told("store_damaged")] == ["0" * 64]


def test_a_store_that_loses_everything_ends_the_run(world: Make) -> None:
    here = world(task("a", "model"))
    here.pool.answers["a"] = lambda job: Failure("ObjectDamaged", "gone", damaged="0" * 64)
    with pytest.raises(FinnyamlError, match="keep turning out damaged"):
        here.run()
    assert here.pool.ran.count("a") == MAX_REPAIRS


def test_a_store_that_cannot_be_written_ends_the_run(world: Make) -> None:
    here = world(task("a", "model"))
    with mock.patch.object(here.store, "add_trace", side_effect=StoreError("full")), pytest.raises(StoreError):
        here.run()


def test_what_another_build_made_while_we_waited_is_taken(world: Make) -> None:
    here = world(task("a", "model", config={"fps": 5}))
    made = here.run()
    key = made.records["a"]["key"]
    (trace,) = here.store.traces(key)
    here.store.forget(key)
    engine, outcomes = here.prepared(), list[Outcome]()
    with here.store.lock(digest_of([key, {"fps": 5}])):
        thread = threading.Thread(target=lambda: outcomes.append(engine.run(here.plan, here.selection())))
        thread.start()
        wait_until(lambda: here.told("task_waiting"), thread.is_alive)
        here.store.add_trace(key, trace)
    thread.join()
    assert here.pool.ran == ["model", "a"]  # as before: nothing ran this time
    assert outcomes[0].built == made.built
    assert [event["task"] for event in here.told("task_cached")] == ["model", "a"]


def test_other_settings_are_other_work_under_the_same_key(world: Make) -> None:
    here = world(task("a", "model", config={"fps": 5}))
    key = here.run().records["a"]["key"]
    here.tasks["a"] = replace(here.tasks["a"], config={"fps": 6})
    with here.store.lock(digest_of([key, {"fps": 5}])):
        assert here.run().ran == ["a"]


# Several branches at a time.


def test_as_many_branches_run_as_there_are_jobs(world: Make) -> None:
    here = world(*(task(name, "model") for name in "abc"))
    meeting = threading.Barrier(2, timeout=60)
    inside: list[str] = []
    most: list[int] = []

    def meets(job: Job) -> Done:
        inside.append(job.task)
        most.append(len(inside))
        if job.task != "c":
            meeting.wait()  # never ends where they run one after the other
        inside.remove(job.task)
        return here.pool.done(job)

    here.pool.answers = dict.fromkeys("abc", meets)
    assert states(here.run(jobs=2)) == dict.fromkeys(("model", *"abc"), "built")
    assert max(most) == 2


def test_what_runs_beside_a_failure_is_finished_and_kept(world: Make) -> None:
    here = world(task("a", "model"), task("b", "model"), task("c", "b"))
    failed = threading.Event()

    def slow(job: Job) -> Done:
        failed.wait()
        return here.pool.done(job)

    def failing(job: Job) -> Failure:
        failed.set()
        return FAILURE

    here.pool.answers = {"a": failing, "b": slow}
    outcome = here.run(jobs=2)
    assert states(outcome) == {"model": "built", "a": "failed", "b": "built"}
    assert here.run(tasks=["model", "b"]).ran == []


# Gates.


def point(step: str, **gate: Any) -> Task:
    """A point after a step that has to reach 0.9."""
    made = Gate(Limits(min=0.9), **gate)
    return task(f"verify.{step}", step, kind="verify", checks=step, gate=made)


def measures(world: World, value: float | None) -> Callable[[Job], Done]:
    """Answers with a measurement; None: it cannot be executed."""
    found: dict[str, Any] = {"state": "not executable", "reason": "no simulator"}
    if value is not None:
        found = {"state": "measured", "value": value, "shown": str(value), "interval": [0, 1], "violations": []}
    found |= {"metric": "top1", "samples": 10, "higher_is_better": True}
    file = "out/verification/a.npz"
    return lambda job: world.pool.done(job, file, "out/verification_output/x.npy", metrics={"measurement": found})


def test_a_gate_that_passes_lets_the_build_go_on(world: Make) -> None:
    here = world(task("a", "model"), point("a"), task("b", "a", after=("verify.a",)))
    here.pool.answers["verify.a"] = measures(here, 0.95)
    outcome = here.run()
    assert here.pool.ran == ["model", "a", "verify.a", "b"]
    assert outcome.verdicts["verify.a"].state == "passed"
    assert outcome.measured == {"verify.a": outcome.built["verify.a"]}
    (event,) = [event for event in here.told("task_finished") if event["task"] == "verify.a"]
    assert event["measurement"]["value"] == 0.95
    here.run()
    assert [event["measurement"]["value"] for event in here.told("task_cached") if event["measurement"]] == [0.95]
    assert not here.told("point_not_passed")


def test_a_gate_that_fails_stops_what_comes_after(world: Make) -> None:
    here = world(task("a", "model"), point("a"), task("b", "a", after=("verify.a",)))
    here.pool.answers["verify.a"] = measures(here, 0.5)
    for _ in range(2):  # measured, and from the store
        outcome = here.run(keep_going=True)
        assert states(outcome) == {"model": "built", "a": "built", "verify.a": "failed", "b": "skipped"}
        assert outcome.skipped == {"b": "verify.a"}
        assert outcome.failed["verify.a"].type == "VerificationFailed"
        assert outcome.verdicts["verify.a"].lost
        assert set(outcome.measured) == {"verify.a"}
        # A build that stops does not reach the workspace: what it measured lies with its logs.
        for name in ("verification/a.npz", "verification_output/x.npy"):
            assert (here.engine.folder / name).read_text() == f"out/{name}"
        assert not (here.engine.folder / "verify.a.txt").exists()
    assert states(here.run()) == {"model": "built", "a": "built", "verify.a": "failed"}  # as any failure


def test_a_gate_counts_only_where_its_point_is_selected(world: Make) -> None:
    here = world(task("a", "model"), point("a"), task("b", "a", after=("verify.a",)))
    assert here.run(tasks=["model", "a", "b"]).ran == ["model", "a", "b"]


@pytest.mark.parametrize(
    ("gate", "value", "deferred", "told"),
    [
        ({"on_fail": "warn"}, 0.5, [], "failed"),
        ({"on_fail": "defer"}, 0.5, ["verify.a"], "failed"),
        ({"on_fail": "defer"}, 0.95, [], None),
        ({"on_fail": "defer"}, None, [], "not verified"),
        ({"on_fail": "defer", "asked": True}, None, ["verify.a"], "not verified"),
        ({}, None, [], "not verified"),
    ],
)
def test_a_gate_may_warn_or_wait_for_the_end(
    world: Make, gate: dict[str, Any], value: float | None, deferred: list[str], told: str | None
) -> None:
    here = world(task("a", "model"), point("a", **gate), task("b", "a", after=("verify.a",)))
    here.pool.answers["verify.a"] = measures(here, value)
    outcome = here.run()
    assert states(outcome) == dict.fromkeys(("model", "a", "verify.a", "b"), "built")
    assert outcome.deferred == deferred
    assert [(event["task"], event["state"]) for event in here.told("point_not_passed")] == [("verify.a", told)] * (
        told is not None
    )


# Tasks that are in no plan.


def test_a_further_look_runs_once_on_what_the_plan_has_built(world: Make) -> None:
    here = world(task("a", "model"))
    outcome = here.run()
    look = task("look", "a", kind="verify")
    first = here.engine.look(look, outcome)
    assert isinstance(first, Built)
    assert set(first.tree) == {*outcome.built["a"].tree, "out/look.txt"}
    assert here.engine.look(look, outcome) == first
    assert here.pool.ran == ["model", "a", "look"]


def test_a_further_look_that_cannot_be_taken_is_a_failure(world: Make) -> None:
    here = world(task("a", "model"))
    outcome = here.run()
    here.absent = {"vivado"}
    missing = here.engine.look(task("look", "a", "b", "c"), outcome)
    assert isinstance(missing, Failure) and missing.message == "b, c is not there"
    blocked = here.engine.look(task("look", "a", tools=("vivado",)), outcome)
    assert isinstance(blocked, Failure) and blocked.message == "it needs vivado, which is missing here"
    here.pool.answers["look"] = fails
    assert here.engine.look(task("look", "a"), outcome) == FAILURE


# What may differ.


def test_what_may_differ_is_kept_said_once_and_run_again_when_distrusted(world: Make) -> None:
    here = world(task("a", "model"), task("b", "a"), task("c", "b"))
    here.pool.answers = {
        "a": lambda job: here.pool.done(job, unseen=("busybox is a static program",), differs=("asks for the time",)),
        "b": lambda job: here.pool.done(job, differs=("asks for the time",)),
    }
    first = here.run()
    why = ["busybox is a static program", "asks for the time"]
    assert first.built["a"].trace.info["unseen"] == why[:1] and first.built["a"].trace.info["differs"] == why[1:]
    assert "differs" not in first.built["c"].trace.info
    assert [(event["task"], list(event["reasons"])) for event in here.told("may_differ")] == [
        ("a", why),
        ("b", why[1:]),
    ]
    again = here.run()
    assert (again.ran, here.told("may_differ")) == ([], [])
    assert [again.records[name].get("may_differ") for name in "abc"] == [why, why[1:], None]
    assert here.run(distrusted=["a", "c"]).ran == ["a"]


@pytest.mark.parametrize(
    ("trust", "kept"),
    [
        (Trust(pure=True), None),
        (Trust(always=True), None),
        (Trust(pure=False), [IMPURE, "asks for the time"]),
    ],
)
def test_what_the_recipe_says_of_it_is_not_said_again(world: Make, trust: Trust, kept: list[str] | None) -> None:
    here = world(task("a", "model", trust=trust))
    here.pool.answers = {"a": lambda job: here.pool.done(job, differs=("asks for the time",))}
    assert here.run().records["a"].get("may_differ") == kept
    assert here.told("may_differ") == []
    assert here.run(distrusted=["a"]).ran == (["a"] if kept else [])


def test_what_runs_elsewhere_does_not_run_here(world: Make) -> None:
    """Without a cluster nothing is submitted: so in a search for a loss."""
    here = world(task("a", "model"), task("b", "a"))
    here.run(tasks=["model", "a"])
    engine = here.prepared()
    engine.places = dict.fromkeys("ab", Place(Executor("lab", "slurm")))
    outcome = engine.run(here.plan, here.selection())
    assert outcome.built.keys() == {"model", "a"}, "what the store has is good here, too"
    assert "has it run on lab" in outcome.failed["b"].message
    again = engine.repeat(here.tasks["a"], outcome)
    assert isinstance(again, Failure) and again.type == "RunsElsewhere"
