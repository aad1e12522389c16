"""A short run of what `make fuzz` does at length, and all inputs that once showed a fault: the same in every run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, Target, drawn
from tests.fuzz.watch import TooLong, watched

CORPUS = Path(__file__).with_name("corpus")
COUNTS = {"recipes": 400, "data": 600, "models": 400, "bundles": 20, "stores": 6}
"""Inputs of each target in one run of the tests: some seconds for each."""
PHASES = (Phase.generate, Phase.shrink)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, warm_store: Path) -> Callable[[str], Target]:
    """Makes each target once."""
    return functools.cache(lambda name: TARGETS[name](tmp_path_factory.mktemp(name), warm_store))


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_input_is_refused_or_taken(name: str, made: Callable[[str], Target]) -> None:
    target = made(name)

    @settings(derandomize=True, max_examples=COUNTS[name], deadline=None, database=None, phases=PHASES)
    @given(chance=st.randoms(use_true_random=False))
    def look(chance: Random) -> None:
        target.check(*drawn(target, chance))

    look()


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_fault_that_was_found_does_not_come_back(path: Path, made: Callable[[str], Target]) -> None:
    made(path.parent.name).check(path.name.rpartition("-")[0], path.read_bytes())


def _writes(folder: Path) -> None:
    (folder / "new").write_text("")


def _starts(_: Path) -> None:
    import subprocess

    subprocess.run(["true"], check=True)


def _runs(folder: Path) -> None:
    exec(compile("1", str(folder / "code.py"), "exec"))


def _does_not_end(_: Path) -> None:
    while True:
        pass


@pytest.mark.parametrize("does", [_writes, _starts, _runs])
def test_what_more_than_looks_is_seen(does: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="it must only look"), watched(str(tmp_path)):
        does(tmp_path)


def test_what_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.watch.LIMIT", 0.1)
    with pytest.raises(TooLong), watched(str(tmp_path)):
        _does_not_end(tmp_path)
