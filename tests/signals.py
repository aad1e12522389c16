"""Signals for processes that tests start: `nohup` and jobs in the background ignore some, and a child inherits that."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heard() -> Iterator[None]:
    """A process started inside hears Ctrl-C, SIGTERM and SIGHUP, whoever started the tests."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # A handler in Python is the default action after exec.
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
