"""A few rounds of every kind of fault; `python -m benchmarks faults` runs many (docs/trust.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kinds import KINDS, chance

ROUNDS = {"kills": 8, "corruptions": 4, "full": 2, "failing": 2, "slow": 1, "clock": 1, "paths": 1}
"""How often in one run of the tests. FINN's own steps take too long for that, and so do ten builds at once."""


@pytest.mark.parametrize("name", ROUNDS)
def test_the_next_build_is_right(name: str, tmp_path: Path, catalog_memos: Path) -> None:
    attempt = KINDS[name].make(tmp_path, catalog_memos)
    for number in range(ROUNDS[name]):
        attempt(chance("tests", number))
