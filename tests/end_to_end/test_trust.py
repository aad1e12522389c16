"""Never a stale hit: some rounds of the proof that `python -m benchmarks trust` runs ten thousand of."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.trust import BAD, Found, Proof


def test_an_incremental_build_gives_what_a_clean_one_gives(tmp_path: Path, warm_store: Path) -> None:
    found = Found()
    Proof(tmp_path, random.Random(1), warm_store).run(found, changes=2)
    assert found.rounds > 40
    assert {verdict: found.verdicts[verdict] for verdict in BAD} == dict.fromkeys(BAD, 0), found.wrong
