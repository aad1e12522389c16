"""What a failed job leaves to tell: the first real error in its log or its tools' logs, and a copy of that log.

Used by the worker where a step raised, and by the engine where the worker itself is gone: the sandbox outlives it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from finnyaml.tools.failure import first_error_of, tool_logs
from finnyaml.worker.job import Failure, Job

SANDBOX = "<sandbox>"
"""Stands for the folder of the worker in messages: it is gone by the time they are read."""


def gather(failure: Failure, job: Job, sandbox: Path) -> Failure:
    """`failure` with its cause; with a copy of what a tool wrote last, where the cause stands elsewhere or nowhere."""
    log = Path(job.log)
    of_tools = tool_logs(sandbox, since=_began(sandbox))
    found = first_error_of([*([log] if log.is_file() else []), *of_tools])
    hint = failure.hint and _lasting(failure.hint, of_tools, job, sandbox)
    failure = replace(failure, message=_without(sandbox, failure.message), hint=hint)
    if found is not None:
        path, line = found
        cause = f"{_without(sandbox, ' '.join(line.text.split()))} (line {line.line})"
        failure = replace(failure, cause=cause, cause_log=_kept(path, job), hint=failure.hint or line.hint)
        of_tools = of_tools if path == log else []
    return replace(failure, tool_log=_kept(of_tools[-1], job)) if of_tools else failure


def _began(sandbox: Path) -> float:
    """When the task began (seconds of the epoch): all logs that were laid in for it are older than its inputs."""
    try:
        return (sandbox / "inputs").stat().st_mtime + 0.001  # more than the file system's clock lags behind itself
    except OSError:
        return 0.0  # the step removed even that; better a log too many than none


def _lasting(hint: str, logs: Sequence[Path], job: Job, sandbox: Path) -> str:
    """The hint with the copies of the logs that it names."""
    for path in logs:
        if str(path) in hint and (kept := _kept(path, job)) is not None:
            hint = hint.replace(str(path), kept)
    return _without(sandbox, hint)


def _without(sandbox: Path, text: str) -> str:
    return text.replace(str(sandbox), SANDBOX)


def _kept(path: Path, job: Job) -> str | None:
    """The log itself, or a copy beside it of a tool's log, which goes with the sandbox; None where the disk is full."""
    log = Path(job.log)
    if path == log:
        return str(log)
    try:
        return str(shutil.copyfile(path, log.with_name(f"{job.task}.{path.name}")))
    except OSError:
        return None
