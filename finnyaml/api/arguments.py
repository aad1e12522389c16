"""What calls of the API take, as the engine takes it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from finnyaml.api.progress import Progress
from finnyaml.engine.events import Listener

Names = str | Iterable[str]

MOST_JOBS = 4
"""So many branches run at a time at most, unless more are asked for: each worker takes half a gigabyte."""


def names_of(names: Names) -> tuple[str, ...]:
    """One name, or several."""
    return (names,) if isinstance(names, str) else tuple(names)


def many(jobs: int | None) -> int:
    """So many branches at a time."""
    return jobs or min(os.cpu_count() or 1, MOST_JOBS)


def listening(progress: Listener | bool) -> Listener:
    """What is told the events of a build."""
    if callable(progress):
        return progress
    return Progress() if progress else lambda _: None
