"""A job whose every error becomes a `Failure` that says what can be said of it."""

from __future__ import annotations

import errno
import sys
import traceback

from finnyaml.errors import FinnyamlError
from finnyaml.store import ObjectDamaged
from finnyaml.worker.error_logs import gather
from finnyaml.worker.job import Done, Failure, Job
from finnyaml.worker.worker import Worker


def attempt(worker: Worker, job: Job) -> Done | Failure:
    """Execute a job."""
    try:
        return worker.run(job)
    except BaseException as error:
        sys.stdout.flush()
        sys.stderr.flush()
        return gather(failure(error), job, worker.sandbox)


def failure(error: BaseException) -> Failure:
    """What the user is told: the message of the innermost finnyaml error, else of the exception itself."""
    hint = error.hint if isinstance(error, FinnyamlError) else None
    message = str(error) or repr(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        hint = "steps run in a folder of the store: `finnyaml cache gc` frees space, `--store` takes another disk"
    if isinstance(error, AssertionError) and not str(error):
        frame = traceback.extract_tb(error.__traceback__)[-1]
        message = f"assertion failed in {frame.name}: {frame.line}"
    return Failure(
        type=type(error).__name__,
        message=message,
        hint=hint,
        traceback="".join(traceback.format_exception(error)),
        invalid_settings=getattr(error, "invalid_settings", ()),
        damaged=error.digest if isinstance(error, ObjectDamaged) else None,
    )
