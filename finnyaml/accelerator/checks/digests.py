"""Whether the files of a bundle are still those that were built, and belong together. Nothing is executed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ..devices.board import check_bitfile
from ..devices.clock import check_clock
from ..devices.hwh import Handoff, read_hwh
from ..errors import AcceleratorError
from .report import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from ..contract import Bundle
    from ..devices.device import Device

MISSING = "missing"
OWN_FOLDERS = ("accelerator", "driver", "graphs")
"""Where every file counts, listed or not: they are imported, and FINN's driver loads all weights that it finds."""


def changed_files(bundle: Bundle) -> list[tuple[str, str]]:
    """Every file that is not as bundle.json has it: its path in the bundle and what is wrong with it.

    In `OWN_FOLDERS` files that bundle.json does not have count, too.
    """
    found = []
    for name, entry in sorted(bundle.data["files"].items()):
        what = _change(bundle.path(name), entry["bytes"], entry["sha256"])
        if what:
            found.append((name, what))
    return found + [(name, "is not of this bundle") for name in unlisted_files(bundle)]


def unlisted_files(bundle: Bundle) -> list[str]:
    """The files below `OWN_FOLDERS` that bundle.json does not list; what Python keeps in __pycache__ is no file."""
    found = (path for folder in OWN_FOLDERS for path in (bundle.folder / folder).rglob("*") if not path.is_dir())
    names = {path.relative_to(bundle.folder).as_posix() for path in found if "__pycache__" not in path.parts}
    return sorted(names - set(bundle.data["files"]))


def file_problems(bundle: Bundle) -> tuple[Problem, ...]:
    """The changed files by the names that their kind has: weights, golden samples, bitfile, other files."""
    weights, bitfile, golden = weight_files(bundle), bundle.data["driver"]["bitfile"], bundle.data["golden"]["file"]
    found = []
    for path, what in changed_files(bundle):
        if path in weights:
            name = "weights not loaded" if what == MISSING else "weights damaged"
        elif path == bitfile:
            name = "bitfile missing" if what == MISSING else "bitfile damaged"
        else:
            name = "golden samples changed" if path == golden else "file changed"
        found.append(Problem(name, f"{path}: {what}"))
    return tuple(found)


def hardware_problems(bundle: Bundle, device: Device | None = None) -> list[Problem]:
    """What is wrong with the bitfile and its .hwh, where they are there, and with the clock that a device runs at."""

    def bitfile() -> None:
        name = bundle.data["driver"]["bitfile"]
        if name is not None and bundle.path(name).is_file():
            check_bitfile(bundle, bundle.path(name))

    def handoff() -> None:
        found = _handoff(bundle)
        if found is not None and found.clock is not None:
            check_clock(bundle, found.clock.figures, found.path.name)

    problems: list[Problem] = []
    for check in (bitfile, handoff):
        try:
            check()
        except AcceleratorError as error:
            add_new(problems, Problem.of(error))
    if device is not None:
        for problem in running_problems(bundle, device):
            add_new(problems, problem)
    return problems


def running_problems(bundle: Bundle, device: Device) -> list[Problem]:
    """What is wrong with the clock that a device runs at."""
    try:
        if device.clock_mhz is not None:
            check_clock(bundle, [("as it runs now", device.clock_mhz)], device.name)
    except AcceleratorError as error:
        return [Problem.of(error)]
    return []


def _handoff(bundle: Bundle) -> Handoff | None:
    """The .hwh of the bundle; None where there is none."""
    name = bundle.data["driver"]["hwh"]
    return read_hwh(bundle.path(name)) if name is not None and bundle.path(name).is_file() else None


def handoff_clock_mhz(bundle: Bundle) -> float | None:
    """The clock that the .hwh says; None where it cannot be read, or does not say."""
    try:
        found = _handoff(bundle)
    except AcceleratorError:  # is among the hardware problems
        return None
    return found.clock.mhz if found is not None and found.clock is not None else None


def add_new(problems: list[Problem], problem: Problem) -> None:
    """Add a problem whose like has not been found: a missing file is noticed by its digest, and again by its reader."""
    if all(other.name != problem.name for other in problems):
        problems.append(problem)


def weight_files(bundle: Bundle) -> set[str]:
    """The files whose content the driver loads into the accelerator as weights."""
    driver, hardware = bundle.data["driver"], bundle.data["contract"]["hardware"]
    entries = [*driver["runtime_weights"], *driver["external_weights"], *hardware.get("weights", [])]
    return {entry["file"] for entry in entries}


def _change(path: Path, size: int, sha256: str) -> str:
    """What is wrong with a file; empty where nothing is."""
    if not path.is_file():
        return MISSING
    actual = path.stat().st_size
    if actual < size:
        return f"truncated: {actual} of {size} bytes"
    if actual > size:
        return f"{actual - size} bytes longer than the {size} that were built"
    return "" if sha256_of(path) == sha256 else "its content is not what was built (SHA-256 differs)"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()
