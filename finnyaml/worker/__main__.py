"""A worker process: executes jobs one after the other, and keeps FINN imported between them.

Started by `engine/pool.py` with a JSON line per request on standard input and a JSON line per answer on
standard output. What steps print goes to the log of their task, never to the answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finnyaml.errors import FinnyamlError
from finnyaml.store.strays import end_strays
from finnyaml.worker.attempt import attempt, failure
from finnyaml.worker.job import Done, Job
from finnyaml.worker.worker import Worker


def main() -> None:
    """Serve requests until standard input ends."""
    _die_with_parent(Path(sys.argv[2]))
    os.umask(0o022)  # what a step makes is the same for all users of a store; the sandbox keeps others out
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a step or tool that asks something gets no answer, and no request
    _log_to(os.devnull)
    worker = _worker()
    for line in requests:
        answer = _answer(worker, json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        answers.write(json.dumps(answer) + "\n")
    end_strays(Path(sys.argv[2]))  # the build is gone, and they would stay


def _worker() -> Worker | Exception:
    """The worker, or why its disk does not let there be one: whoever asks is told, as nobody would read it here."""
    try:
        return Worker(Path(sys.argv[1]), Path(sys.argv[2]))
    except (OSError, FinnyamlError) as error:
        return error


def _answer(worker: Worker | Exception, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        _log_to(request["log"])
    except OSError as error:
        worker = error
    if isinstance(worker, Exception):
        return {"ok": False, "result": asdict(failure(worker))}
    if request["op"] == "catalog":
        return _answer_catalog(request["known"])
    if request["op"] == "warm_up":
        with contextlib.suppress(Exception):  # the job that follows meets it again, and tells it
            worker.warm_up(request["reference"])
        return {"ok": True}
    result = attempt(worker, Job.from_json(request["job"]))
    return {"ok": isinstance(result, Done), "result": asdict(result)}


def _die_with_parent(sandbox: Path) -> None:
    """When the build is killed, end this worker with everything it started; it leads a process group of its own.

    Polling, because Linux's parent-death signal comes when the *thread* ends that started this process.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        end_strays(sandbox)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _answer_catalog(known: Mapping[str, str]) -> dict[str, Any]:
    """The catalog of the installed FINN (`identity`, `distribution`, `version` as the caller found them)."""
    from finnyaml.finn.door import open_door
    from finnyaml.finn.introspect import catalog

    try:
        found = catalog(open_door(), known["identity"], known["distribution"], known["version"])
        return {"ok": True, "result": found.to_json()}
    except Exception as error:
        return {"ok": False, "result": asdict(failure(error))}


def _log_to(path: str) -> None:
    """Send what this process and its children print to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    main()
