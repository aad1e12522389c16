"""Worlds for the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from finnyaml.plan.task import Task
from tests.engine.world import World

Make = Callable[..., World]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Make]:
    """Makes a world of these tasks after `model`. Nothing waits for the disk: that is tested with the store."""
    made: list[World] = []

    def make(*tasks: Task) -> World:
        made.append(World(tmp_path, *tasks))
        return made[-1]

    with mock.patch("os.fsync"):
        yield make
    for here in made:
        for log in here.logs:
            log.close()
