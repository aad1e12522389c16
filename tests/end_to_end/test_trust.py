"""Never a stale hit: some rounds of the proof that `python -m benchmarks trust` runs ten thousand of."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.trust import BAD, Found, Proof


@pytest.mark.parametrize("seed", [1, 2])
def test_an_incremental_build_gives_what_a_clean_one_gives(tmp_path: Path, catalog_memos: Path, seed: int) -> None:
    found = Found()
    Proof(tmp_path, random.Random(seed), catalog_memos).run(found, changes=2)
    assert found.rounds > 40
    assert {verdict: found.verdicts[verdict] for verdict in BAD} == dict.fromkeys(BAD, 0), found.wrong
