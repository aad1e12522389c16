"""A few rounds of every kind of fault; `python -m benchmarks faults` runs many (docs/trust.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kinds import KINDS, chance
from tests.faults.sound import Sound

ROUNDS = {"kills": 2, "corruptions": 3, "full": 1, "failing": 1, "clock": 1, "paths": 1}
"""How often in one run of the tests. FINN's own steps, ten builds at once and a slow disk take too long for that."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, warm_store: Path) -> Sound:
    return Sound(tmp_path_factory.mktemp("faults") / "now", warm_store)


@pytest.mark.parametrize("name", ROUNDS)
def test_the_next_build_is_right(name: str, sound: Sound) -> None:
    attempt = KINDS[name].make(sound)
    for number in range(ROUNDS[name]):
        attempt(chance("tests", number))
