"""Worker processes: started when needed, reused while they live, ended with everything they started.

`Pool.run(job, timeout)` blocks until the job is done, from any thread. Tasks that run on another machine are in a pool
there (`on_node`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from finnyaml.kinds import KINDS
from finnyaml.store import CACHE, Store
from finnyaml.store.strays import end_strays
from finnyaml.tools import preload
from finnyaml.tools.environment import of_worker
from finnyaml.tools.listen import TOLD
from finnyaml.worker.error_logs import gather
from finnyaml.worker.job import Done, Failure, Job

FINN = KINDS["finn"].warm_up
"""The most imports that a task needs: ten seconds of them."""

_LONGEST = 3600.0
"""How long (s) one wait for a worker may be; the next follows. The system counts milliseconds in 32 bits."""
START = "import sys; sys.path[:] = filter(None, sys.path); from finnyaml.worker.__main__ import main; main()"
"""How a worker starts: `python -m` searches the current folder first, and would find a user's `onnx.py`."""

OnDeath = Callable[[str, Path], None]
"""Told why a worker died, and the sandbox that it left."""


class WorkerDied(Exception):
    """The worker process ended before it answered."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Pool:
    """The workers of one build. At most `limit` exist; a job waits for a free one."""

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._idle: list[_Process] = []
        self._all: list[_Process] = []
        self._limit = limit
        self._places = threading.Semaphore(limit)
        self._guard = threading.Lock()
        self._closed = False

    def run(self, job: Job, timeout: float | None = None) -> Done | Failure:
        """Execute a job. A worker that dies or takes longer than `timeout` seconds is a `Failure`, and is replaced.

        What a new worker takes to import FINN does not count.
        """
        warm_up = {"op": "warm_up", "log": job.log, "reference": job.warm_up}
        run = {"op": "run", "log": job.log, "job": job.to_json()}
        failure: list[Failure] = []

        def on_death(reason: str, sandbox: Path) -> None:
            failure.append(gather(Failure("WorkerDied", reason, _hint(reason)), job, sandbox))

        try:
            answer = self._ask([(warm_up, None), (run, timeout)], job.warm_up, on_death, measures=job.kind == "verify")
        except WorkerDied as death:
            return failure[0] if failure else Failure("WorkerDied", death.reason)
        return Done.from_json(answer["result"]) if answer["ok"] else Failure.from_json(answer["result"])

    def catalog(self, known: dict[str, str], log: Path) -> dict[str, Any] | Failure:
        """Ask the installed FINN what it has; the answer is the JSON form of a `Catalog`."""
        try:
            answer = self._ask([({"op": "catalog", "log": str(log), "known": known}, None)], FINN)
        except WorkerDied as death:
            return Failure("WorkerDied", death.reason)
        return answer["result"] if answer["ok"] else Failure.from_json(answer["result"])

    def close(self) -> None:
        """End all workers, and every process they started, at once."""
        with self._guard:
            self._closed = True
            workers, self._all, self._idle = self._all, [], []
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.forget(self._store)

    def _ask(
        self,
        requests: Sequence[tuple[dict[str, Any], float | None]],
        warm_up: str | None,
        on_death: OnDeath = lambda reason, sandbox: None,
        *,
        measures: bool = False,
    ) -> dict[str, Any]:
        """Put requests, each with its timeout, to one worker; the answer to the last. `on_death` sees its sandbox."""
        with self._places:
            worker = self._take(warm_up, measures=measures)
            try:
                *_, answer = [worker.ask(request, timeout) for request, timeout in requests]
            except WorkerDied as death:
                worker.kill()
                with self._guard, contextlib.suppress(ValueError):
                    self._all.remove(worker)
                with contextlib.suppress(OSError):
                    on_death(death.reason, worker.sandbox)
                worker.forget(self._store)
                raise
            with self._guard:
                self._idle.append(worker)
            return answer

    def _take(self, warm_up: str | None, *, measures: bool) -> _Process:
        """A worker that has what a task needs imported, as far as there is one.

        A measurement leaves the worker that has FINN's steps to the next step, which else would import them again.
        """
        with self._guard:
            if self._closed:
                raise WorkerDied("the build was stopped")
            best = min(
                self._idle,
                key=lambda idle: (warm_up not in idle.imported, (FINN in idle.imported) is measures),
                default=None,
            )
            spared = best is not None and measures and not best.measured and FINN in best.imported
            if best is None or (spared and len(self._all) < self._limit):
                best = _Process(self._store)
                self._all.append(best)
            else:
                self._idle.remove(best)
            best.imported.add(warm_up)
            best.measured |= measures
            return best


class _Process:
    """One worker process with its sandbox."""

    def __init__(self, store: Store) -> None:
        self.sandbox = store.scratch("a0")
        for name in ("build", "tmp"):
            (self.sandbox / name).mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", START, str(store.root), str(self.sandbox)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=of_worker(self.sandbox) | preload.environment(os.environ, store.root / CACHE, self.sandbox / TOLD),
            start_new_session=True,  # Ctrl-C reaches us alone; we end the whole group
        )
        self._killed = False
        self.imported: set[str | None] = set()
        """What tasks made it import."""
        self.measured = False

    def ask(self, request: dict[str, Any], timeout: float | None) -> dict[str, Any]:
        try:
            line = self._exchange(json.dumps(request).encode() + b"\n", timeout)
        except (OSError, ValueError):  # its end of a pipe is gone, or `forget` has closed ours
            line = b""
        if not line.endswith(b"\n"):
            raise WorkerDied(self._last_words())
        return json.loads(line)  # type: ignore[no-any-return]

    def _exchange(self, request: bytes, timeout: float | None) -> bytes:
        """Send a line and wait for one; a part of it, or nothing, where the worker ends before.

        It watches the process beside the pipes: a child that the worker forked keeps these open when it has died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        end = None if timeout is None else time.monotonic() + timeout
        to, from_ = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(to, False)
        os.set_blocking(from_, False)
        process = _watched(self._process.pid)
        try:
            poll = select.poll()
            poll.register(to, select.POLLOUT)
            poll.register(from_, select.POLLIN)
            if process is not None:
                poll.register(process, select.POLLIN)
            rest, answer = memoryview(request), b""
            while not answer.endswith(b"\n"):
                left = _LONGEST if end is None else end - time.monotonic()
                if left <= 0:
                    raise WorkerDied(f"timeout: it took longer than {timeout:g} s")
                ready = {each for each, _ in poll.poll(min(left, _LONGEST) * 1000)}
                if to in ready:
                    rest = rest[os.write(to, rest) :]
                    if not rest:
                        poll.unregister(to)
                if from_ in ready:
                    data = os.read(from_, 1 << 20)
                    answer += data
                    if not data:
                        break
                elif process in ready:  # and nothing more has come
                    break
            return answer
        finally:
            if process is not None:
                os.close(process)

    def kill(self) -> None:
        """End the worker and everything it started: Vivado, compilers, daemons."""
        self._killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        end_strays(self.sandbox)

    def forget(self, store: Store) -> None:
        """Remove the sandbox."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        with contextlib.suppress(KeyError):
            store.release(self.sandbox)

    def _last_words(self) -> str:
        if self._killed:
            return "the build was stopped"
        code = self._process.wait()
        if code < 0:
            return f"its process was killed by {signal.Signals(-code).name}"
        return f"its process ended with exit code {code}"


def _watched(process: int) -> int | None:
    """A descriptor that tells when the process has ended; None on a Linux before 5.3, where only its pipes tell."""
    try:
        return os.pidfd_open(process)
    except OSError:
        return None


def _hint(reason: str) -> str | None:
    if "SIGKILL" in reason:
        return "Linux kills a process this way when memory runs out: see `dmesg`, and use fewer `--jobs`"
    if reason.startswith("timeout"):
        return "raise `timeout:` of the step, or see in its log what it waits for"
    return None
