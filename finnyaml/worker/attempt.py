"""A job whose every error becomes a `Failure` that says what can be said of it."""

from __future__ import annotations

import errno
import sys
import traceback

from finnyaml.errors import FinnyamlError
from finnyaml.finn.known import Known, known
from finnyaml.store import ObjectDamaged
from finnyaml.text import shortened, visible
from finnyaml.worker.error_logs import gather
from finnyaml.worker.job import Done, Failure, Job
from finnyaml.worker.placing import Place, place_of
from finnyaml.worker.worker import Worker


def attempt(worker: Worker, job: Job) -> Done | Failure:
    """Execute a job."""
    try:
        return worker.run(job)
    except BaseException as error:
        sys.stdout.flush()
        sys.stderr.flush()
        told = gather(failure(error), job, worker.sandbox)
        # Into the log that the message names, below what the step printed.
        print("\n".join(map(shortened, told.traceback.splitlines())), file=sys.stderr)
        sys.stderr.flush()
        return told


def failure(error: BaseException) -> Failure:
    """What the user is told: the message of the innermost finnyaml error, else of the exception itself.

    Of an exception of FINN and the like also where it came from, what is known of it, and what to do.
    """
    hint = error.hint if isinstance(error, FinnyamlError) else None
    message = str(error) or repr(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        hint = "steps run in a folder of the store: `finnyaml cache gc` frees space, `--store` takes another disk"
    if isinstance(error, AssertionError) and not str(error):
        frame = traceback.extract_tb(error.__traceback__)[-1]
        message = f"assertion failed in {frame.name}: {frame.line}"
    told: Known | None = None
    place = Place()
    if not isinstance(error, FinnyamlError):
        place = place_of(error)
        told = known(visible(message), place.transformation, place.op_type)
    return Failure(
        type=type(error).__name__,
        message=message,
        hint=hint or (told.remedy if told else None),
        place=str(place) or None,
        known=told.means if told else None,
        traceback="".join(traceback.format_exception(error)),
        invalid_settings=getattr(error, "invalid_settings", ()),
        damaged=error.digest if isinstance(error, ObjectDamaged) else None,
    )
