"""The kinds of faults that finnyaml is tried with: what makes each, and how often it is tried in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from tests.faults import clock, concurrent, corruptions, disk, kills, paths
from tests.faults.sound import Sound, chain, digits
from tests.project import Project

Round = Callable[[Random], str]
"""One try: the fault, and what came of it in a few words. AssertionError where that is not as it must be."""


@dataclass(frozen=True)
class Kind:
    """`make` is given the sound build of the project that `prepare` writes."""

    what: str
    count: int
    make: Callable[[Sound], Round]
    prepare: Callable[[Project], None] = chain


KINDS: Mapping[str, Kind] = {
    "kills": Kind(
        "`kill -9` of the command, a worker, or all, at a random moment, up to five times in a row",
        300,
        lambda sound: kills.Kills(sound).round,
    ),
    "finn": Kind(
        "the same with FINN's own steps (recipes/digits-cnv)",
        20,
        lambda sound: kills.Kills(sound).round,
        digits,
    ),
    "corruptions": Kind(
        "files of store and workspace damaged: a bit, a cut, nothing in them, zeros, removed, swapped",
        600,
        lambda sound: corruptions.Corruptions(sound).round,
    ),
    "full": Kind("a disk that is full after some bytes", 50, lambda sound: disk.Disk(sound).full),
    "failing": Kind("one call to the disk fails (EIO)", 50, lambda sound: disk.Disk(sound).failing),
    "slow": Kind("a slow disk", 10, lambda sound: disk.Disk(sound).slow),
    "clock": Kind("the clock moved by up to 400 days between builds", 25, lambda sound: clock.Clock(sound).round),
    "paths": Kind("hard names and long paths", 50, lambda sound: paths.Paths(sound).round),
    "concurrent": Kind(
        "ten builds at once beside gc, verify, clean, plan and log",
        20,
        lambda sound: concurrent.Concurrent(sound).round,
    ),
}


def chance(seed: str, number: int) -> Random:
    """Where round `number` of a seed gets its chance from: the same damage, place and order each time."""
    return Random(f"{seed}-{number}")
