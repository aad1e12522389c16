"""FINN's matrix unit loses results when it has to wait; with the source that finnyaml mends it loses none.

`python -m benchmarks queues` does the same with many more shapes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.finn.identity import distribution_of_finn
from finnyaml.rtl import overlay
from tests.rtl.matrix_bench import CYCLES, UNIT, Ran, Shape, run, theirs

SHAPES = {
    "a row at once": Shape(mw=3, mh=2, pe=1, simd=3, signed_activations=True),
    "half of one": Shape(mw=2, mh=1, pe=1, simd=1),
    "half of one, on Versal": Shape(mw=10, mh=1, pe=1, simd=5, version=3, segmentlen=2, activation_width=2),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, program_cache: Path) -> dict[str, tuple[Ran, Ran]]:
    found = run(list(SHAPES.values()), tmp_path_factory.mktemp("matrix") / "bench", program_cache)
    return dict(zip(SHAPES, found, strict=True))


@pytest.mark.parametrize("name", SHAPES)
def test_nothing_is_lost_when_the_output_waits(ran: dict[str, tuple[Ran, Ran]], name: str) -> None:
    ours = ran[name][1]
    assert ours.given > 500
    assert ours.wrong == 0


@pytest.mark.parametrize("name", SHAPES)
def test_finns_own_loses_some_where_the_lint_says_so(ran: dict[str, tuple[Ran, Ran]], name: str) -> None:
    assert bool(ran[name][0].wrong) == (name != "half of one")


@pytest.mark.parametrize("name", SHAPES)
def test_a_row_takes_the_cycles_that_finn_says(ran: dict[str, tuple[Ran, Ran]], name: str) -> None:
    """Counted while nothing stalls; `finnyaml.finn.cycles` relies on it."""
    shape = SHAPES[name]
    assert abs(ran[name][1].quick * (shape.mw // shape.simd) - (CYCLES // 16 - 8)) <= shape.mw // shape.simd


def test_only_the_source_that_is_known_is_mended() -> None:
    finn, text = " ".join(distribution_of_finn()), theirs(UNIT)
    assert "STILL_COMING" in overlay.patched_source(UNIT, text, finn, overlay.SIMULATION)
    other = text.replace("conservative", "cautious")
    assert overlay.patched_source(UNIT, other, finn, overlay.SIMULATION) == other
