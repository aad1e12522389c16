"""Waiting for what another process does. Nothing here knows how long that takes: the time limit of a test ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(look: Callable[[], T]) -> T:
    """Look again and again until there is something; returns it."""
    while not (found := look()):
        time.sleep(0.05)
    return found
