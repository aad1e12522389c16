"""Limits of time and memory for what somebody else wrote: templates that travel with a bundle."""

from __future__ import annotations

import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from finnyaml.text import size


class TooMuch(ValueError):
    """What was limited needs more than it may."""


class _Stopped(BaseException):
    """Passes what catches every Exception, as Jinja does where it looks for constants."""


@contextmanager
def limited(seconds: float, memory: int) -> Iterator[None]:
    """Let what is inside use so many seconds of processor time and so many more bytes of memory. Else `TooMuch`.

    The time counts in the main thread only, where Python hears signals. What a library does without looking for them is
    ended by its need of memory.
    """

    def stop(*_: object) -> NoReturn:
        raise _Stopped

    limit, most = resource.getrlimit(resource.RLIMIT_AS)
    lowest = min((each for each in (limit, _address_space() + memory) if each >= 0), default=-1)
    timed = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGPROF, stop) if timed else None
    try:
        with suppress(ValueError, OSError):  # a limit that is lower already stays
            resource.setrlimit(resource.RLIMIT_AS, (lowest, most))
        if timed:
            signal.setitimer(signal.ITIMER_PROF, seconds)
        yield
    except _Stopped as stopped:
        raise TooMuch(f"it takes more than {seconds:g} s").with_traceback(stopped.__traceback__) from None
    except MemoryError as error:
        message = f"it takes more than {size(memory)} of memory"
        raise TooMuch(message).with_traceback(error.__traceback__) from None
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
