"""The kinds of faults that finnyaml is tried with: what makes each, and how often it is tried in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults import clock, concurrent, corruptions, disk, kills, paths
from tests.faults.sound import digits

Round = Callable[[Random], str]
"""One try: the fault, and what came of it in a few words. AssertionError where that is not as it must be."""


@dataclass(frozen=True)
class Kind:
    """`make` is given an empty folder and the memos of a store that knows the installed FINN."""

    what: str
    count: int
    make: Callable[[Path, Path], Round]


KINDS: Mapping[str, Kind] = {
    "kills": Kind(
        "`kill -9` of the command, a worker, or all, at a random moment",
        980,
        lambda folder, memos: kills.Kills(folder, memos).round,
    ),
    "finn": Kind(
        "the same with FINN's own steps (recipes/digits-cnv)",
        20,
        lambda folder, memos: kills.Kills(folder, memos, digits).round,
    ),
    "corruptions": Kind(
        "files of store and workspace damaged: a bit, a cut, nothing in them, zeros, removed, swapped",
        1000,
        lambda folder, memos: corruptions.Corruptions(folder, memos).round,
    ),
    "full": Kind("a disk that is full after some bytes", 50, lambda folder, memos: disk.Disk(folder, memos).full),
    "failing": Kind("one call to the disk fails (EIO)", 50, lambda folder, memos: disk.Disk(folder, memos).failing),
    "slow": Kind("a slow disk", 10, lambda folder, memos: disk.Disk(folder, memos).slow),
    "clock": Kind(
        "the clock moved by up to 400 days between builds", 25, lambda folder, memos: clock.Clock(folder, memos).round
    ),
    "paths": Kind("hard names and long paths", 50, lambda folder, memos: paths.Paths(folder, memos).round),
    "concurrent": Kind(
        "ten builds at once beside gc, verify, clean, plan and log",
        20,
        lambda folder, memos: concurrent.Concurrent(folder, memos).round,
    ),
}


def chance(seed: str, number: int) -> Random:
    """Where round `number` of a seed gets its chance from: the same damage, place and order each time."""
    return Random(f"{seed}-{number}")
