"""The pool with a program that stands in for the worker: who gets which job, and what becomes of those that die."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finnyaml.engine.pool import START, Pool, _Process
from finnyaml.kinds import KINDS
from finnyaml.store import Store
from finnyaml.worker.job import Done, Failure, Job
from tests.waiting import wait_until

WORKER = Path(__file__).with_name("stand_in_worker.py")


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Two workers at most, on a store of its own."""
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable} -SE\n{WORKER.read_text()}")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    made = Pool(Store.open(tmp_path / "store"), 2)
    yield made
    made.close()


def job(tmp_path: Path, uses: str = "works", kind: str = "finn") -> Job:
    declared, log = KINDS[kind], str(tmp_path / f"{uses}.log")
    return Job("t", kind, uses, {}, {}, {}, {}, "0", str(tmp_path), log, declared.runner, declared.warm_up)


def sandboxes(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "store/work").glob("*"))


def pid(result: Done | Failure) -> int:
    assert isinstance(result, Done), result
    return int(result.metrics["pid"])


def test_one_worker_does_job_after_job_in_one_sandbox(pool: Pool, tmp_path: Path) -> None:
    first = pool.run(job(tmp_path))
    assert isinstance(first, Done)
    (sandbox,) = sandboxes(tmp_path)
    assert first.metrics["args"] == ["-W", "ignore", "-c", START, str(tmp_path / "store"), str(sandbox)]
    assert sorted(path.name for path in sandbox.iterdir()) == ["build", "tmp"]
    assert first.config_reads == ("fps",)
    assert pid(pool.run(job(tmp_path))) == pid(first)
    pool.close()
    assert sandboxes(tmp_path) == []


def test_before_a_job_its_imports_are_asked_for(pool: Pool, tmp_path: Path) -> None:
    asked = job(tmp_path, kind="brevitas")
    result = pool.run(asked)
    assert isinstance(result, Done)
    assert result.metrics["asked"] == [["warm_up", KINDS["brevitas"].warm_up, asked.log], ["run", None, asked.log]]


def test_imports_have_no_time_limit_and_the_job_has_its_own(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, limits = _Process.ask, []

    def noted(process: _Process, request: dict[str, Any], timeout: float | None) -> dict[str, Any]:
        limits.append((request["op"], timeout))
        return ask(process, request, timeout)

    monkeypatch.setattr(_Process, "ask", noted)
    pool.run(job(tmp_path), 1e9)  # more milliseconds than the system takes at once
    assert limits == [("warm_up", None), ("run", 1e9)]


def test_a_failed_job_leaves_its_worker_to_the_next(pool: Pool, tmp_path: Path) -> None:
    before = pid(pool.run(job(tmp_path)))
    failed = pool.run(job(tmp_path, "fails"))
    assert isinstance(failed, Failure) and (failed.type, failed.message) == ("ValueError", "no")
    assert pid(pool.run(job(tmp_path))) == before


@pytest.mark.parametrize(
    ("uses", "message", "hint"),
    [
        ("killed", "its process was killed by SIGKILL", "memory runs out"),
        ("exits", "its process ended with exit code 3", None),
        ("hangs", "timeout: it took longer than 0.5 s", "raise `timeout:` of the step"),
    ],
)
def test_a_worker_that_dies_is_a_failure_and_is_replaced(
    pool: Pool, tmp_path: Path, uses: str, message: str, hint: str | None
) -> None:
    before = pid(pool.run(job(tmp_path)))
    failed = pool.run(job(tmp_path, uses), 0.5 if uses == "hangs" else None)
    assert isinstance(failed, Failure)
    assert (failed.type, failed.message) == ("WorkerDied", message)
    assert (hint or "") in (failed.hint or "") and bool(failed.hint) == bool(hint)
    assert sandboxes(tmp_path) == []
    assert pid(pool.run(job(tmp_path))) != before


def test_the_log_of_a_worker_that_died_is_searched_for_the_cause(pool: Pool, tmp_path: Path) -> None:
    failed = pool.run(job(tmp_path, "errs"))
    assert isinstance(failed, Failure)
    assert failed.cause is not None and "module not found" in failed.cause


def test_closing_ends_a_worker_at_work_with_what_it_started(pool: Pool, tmp_path: Path) -> None:
    results: list[Done | Failure] = []
    thread = threading.Thread(target=lambda: results.append(pool.run(job(tmp_path, "hangs"))))
    thread.start()
    log = tmp_path / "hangs.log"
    wait_until(lambda: log.exists() and log.read_text().endswith("."), thread.is_alive)
    pool.close()
    thread.join()
    assert isinstance(results[0], Failure) and results[0].message == "the build was stopped"
    child = Path("/proc") / log.read_text().rstrip(".") / "cmdline"
    wait_until(lambda: not child.exists() or b"sleep" not in child.read_bytes())
    assert sandboxes(tmp_path) == []
    late = pool.run(job(tmp_path))
    assert isinstance(late, Failure) and late.message == "the build was stopped"


def test_a_worker_that_dies_is_seen_although_a_child_holds_its_pipes(pool: Pool, tmp_path: Path) -> None:
    failed = pool.run(job(tmp_path, "forks"))
    assert isinstance(failed, Failure)
    assert failed.message == "its process was killed by SIGKILL"
    child = Path("/proc") / (tmp_path / "forks.log").read_text().rstrip(".")
    wait_until(lambda: not child.exists() or "State:\tZ" in (child / "status").read_text())
    assert sandboxes(tmp_path) == []


def test_a_request_larger_than_a_pipe(pool: Pool, tmp_path: Path) -> None:
    asked = replace(job(tmp_path), params={"long": "x" * 3_000_000})
    assert isinstance(pool.run(asked), Done)
    # What a worker that dies has not read of it does not keep the build.
    assert pool.catalog({"dies": "yes", "long": "x" * 3_000_000}, tmp_path / "log") != {}


def test_no_more_workers_than_allowed(pool: Pool, tmp_path: Path) -> None:
    results: list[Done | Failure] = []
    threads = [threading.Thread(target=lambda: results.append(pool.run(job(tmp_path)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6 and len({pid(result) for result in results}) <= 2
    assert len(sandboxes(tmp_path)) <= 2


def test_measurements_leave_the_worker_that_has_finn_to_the_next_step(pool: Pool, tmp_path: Path) -> None:
    steps = pid(pool.run(job(tmp_path, kind="finn")))
    measures = pid(pool.run(job(tmp_path, kind="verify")))
    assert measures != steps  # there was room for a second one
    assert pid(pool.run(job(tmp_path, kind="finn"))) == steps
    assert pid(pool.run(job(tmp_path, kind="verify"))) == measures
    assert pid(pool.run(job(tmp_path, kind="code"))) == steps  # what nobody has imported yet goes where FINN is


def test_a_measurement_takes_the_only_worker_that_there_may_be(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Pool(Store.open(tmp_path / "store"), 1)
    steps = pid(alone.run(job(tmp_path, kind="finn")))
    assert pid(alone.run(job(tmp_path, kind="verify"))) == steps
    alone.close()


def test_the_catalog_is_asked_from_a_worker(pool: Pool, tmp_path: Path) -> None:
    assert pool.catalog({"version": "1"}, tmp_path / "log") == {"version": "1"}
    failed = pool.catalog({"fails": "yes"}, tmp_path / "log")
    assert isinstance(failed, Failure) and failed.message == "no"
    died = pool.catalog({"dies": "yes"}, tmp_path / "log")
    assert isinstance(died, Failure) and died.message == "its process ended with exit code 4"


@pytest.mark.parametrize("what", ["the store", "the log"])
def test_a_worker_that_cannot_begin_says_why(tmp_path: Path, what: str) -> None:
    """The real one: nobody reads what it would print."""
    store = Store.open(tmp_path / "store")
    asked = job(tmp_path)
    if what == "the store":
        (store.root / "version").write_text("format: 999\n")
    else:
        asked = replace(asked, log=str(tmp_path / "nowhere/works.log"))
    alone = Pool(store, 1)
    try:
        failed = alone.run(asked)
    finally:
        alone.close()
    assert isinstance(failed, Failure)
    assert ("format 999" if what == "the store" else "nowhere/works.log") in failed.message, failed
