"""Waiting for what another process or thread does. Nothing here knows how long that takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(look: Callable[[], T], alive: Callable[[], bool] = lambda: True) -> T:
    """Look again and again until there is something, and return it.

    `alive` says whether it can still come. AssertionError where it cannot; where it never does, the time limit of all
    tests ends the waiting.
    """
    while not (found := look()):
        assert alive(), "it ended, and what was waited for never came"
        time.sleep(0.05)
    return found
