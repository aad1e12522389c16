"""Locks between processes: one holder, freed by death, waiting that can be interrupted, files that go."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from finnyaml.store import Store, locks
from tests.signals import heard
from tests.store.samples import trace_of
from tests.waiting import wait_until

HEAD = """import sys, time
from pathlib import Path
from finnyaml.store import Store
store = Store.open(Path(sys.argv[1]))
"""
Start = Callable[..., "subprocess.Popen[str]"]
HOLD = HEAD + "with store.lock('key'): print('held', flush=True); time.sleep(3600)"


@pytest.fixture
def start(store: Store) -> Iterator[Start]:
    """Starts processes on the store; none of them outlives the test."""
    with ExitStack() as processes:

        def popen(code: str, *arguments: str) -> subprocess.Popen[str]:
            command: list[str | Path] = [sys.executable, "-c", code, store.root, *arguments]
            with heard():
                process = processes.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            processes.callback(process.kill)
            return process

        yield popen


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def lock_files(store: Store) -> list[Path]:
    return list((store.root / "locks").glob("*"))


def test_one_holder_at_a_time_over_processes(store: Store, start: Start, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    code = HEAD + (
        "counter = Path(sys.argv[2])\n"
        "for _ in range(25):\n"
        "    with store.lock('key'): counter.write_text(str(int(counter.read_text()) + 1))\n"
    )
    processes = [start(code, str(counter)) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert counter.read_text() == "75"
    assert lock_files(store) == []


def test_kill_9_of_the_holder_frees_the_lock(store: Store, start: Start) -> None:
    holder = start(HOLD)
    assert line(holder) == "held"
    calls = []

    def on_wait() -> None:
        calls.append(1)
        threading.Timer(0.2, holder.kill).start()

    with store.lock("key", on_wait):
        assert holder.wait() == -signal.SIGKILL
    assert calls == [1]
    with store.lock("key", lambda: calls.append(2)):
        pass
    assert calls == [1]


def test_waiting_is_interrupted(store: Store, start: Start) -> None:
    waiter_code = HEAD + (
        "try:\n    with store.lock('key', lambda: print('waiting', flush=True)): pass\n"
        "except KeyboardInterrupt: print('interrupted', flush=True)"
    )
    with store.lock("key"):
        waiter = start(waiter_code)
        assert line(waiter) == "waiting"
        waiter.send_signal(signal.SIGINT)
        assert line(waiter) == "interrupted"
        assert waiter.wait() == 0


def test_locks_of_different_keys_do_not_meet(store: Store) -> None:
    with store.lock("one"), store.lock("two"), store.session(), store.session():
        store.add_trace("three", trace_of(store))


def test_sweeping_takes_the_files_of_the_dead_only(store: Store, start: Start) -> None:
    holder = start(HOLD.replace("key", "dead"))
    assert line(holder) == "held"
    with store.lock("living"):
        assert store.sweep_locks() == 0
        holder.kill()
        holder.wait()
        assert {path.name for path in lock_files(store)} == {"dead", "living"}
        assert store.sweep_locks() == 1
        assert [path.name for path in lock_files(store)] == ["living"]
    assert lock_files(store) == []


def test_sweeping_never_lets_two_in(store: Store) -> None:
    """A lock file may be unlinked between another's open and flock: the one who holds the old file must notice."""
    inside: list[int] = []
    most: list[int] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            with store.lock("key"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0)
                inside.pop()

    def sweep() -> None:
        while not stop.is_set():
            store.sweep_locks()

    threads = [threading.Thread(target=target) for target in (work, work, work, sweep)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    wait_until(lambda: len(most) > 20)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(most) == {1}


def test_a_file_that_is_unlinked_between_open_and_flock_is_not_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "key", fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        monkeypatch.undo()
        path.unlink()  # by the holder before us, and the next one is quicker
        assert locks.acquire(path) is not None
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert locks.acquire(path) is None


def test_two_processes_that_write_one_key_lose_nothing(store: Store, start: Start) -> None:
    code = HEAD + (
        "sys.path.insert(0, sys.argv[3]); from tests.store.samples import trace_of\n"
        "for i in range(8): store.add_trace('key', trace_of(store, {'config': {sys.argv[2]: i}}, model=b'm%d' % i))\n"
    )
    here = str(Path(__file__).parents[2])
    processes = [start(code, name, here) for name in ("left", "right")]
    assert [process.wait() for process in processes] == [0, 0]
    traces = store.traces("key")
    for name in ("left", "right"):
        assert [trace.reads["config"][name] for trace in traces if name in trace.reads["config"]] == [*range(7, -1, -1)]
    assert all(store.read(blob) for trace in traces for blob in store.reachable(trace))


def test_forked_children_do_not_keep_a_lock_that_was_given_back(store: Store) -> None:
    with store.session():
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
    try:
        with store.alone():
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
