"""Whether the files of a bundle, its bitfile and its clock belong together. Nothing is executed."""

from __future__ import annotations

from ..contract import Bundle
from ..devices import Device
from ..devices.board import check_bitfile
from ..devices.clock import check_clock
from ..devices.hwh import Handoff, read_hwh
from ..errors import AcceleratorError
from ..files import MISSING, changed_files
from .report import Problem


def file_problems(bundle: Bundle) -> tuple[Problem, ...]:
    """The changed files by the names that their kind has: weights, golden samples, bitfile, other files."""
    driver, hardware = bundle.data["driver"], bundle.data["contract"]["hardware"]
    loaded = [*driver["runtime_weights"], *driver["external_weights"], *hardware.get("weights", [])]
    weights, golden = {entry["file"] for entry in loaded}, bundle.data["golden"]["file"]
    found = []
    for path, what in changed_files(bundle):
        if path in weights:
            name = "weights not loaded" if what == MISSING else "weights damaged"
        elif path in (driver["bitfile"], driver["hwh"]):
            name = "bitfile missing" if what == MISSING else "bitfile damaged"
        else:
            name = "golden samples changed" if path == golden else "file changed"
        found.append(Problem(name, f"{path}: {what}"))
    return tuple(found)


def hardware_problems(bundle: Bundle, device: Device | None = None) -> list[Problem]:
    """What is wrong with the bitfile and its .hwh, where they are there, and with the clock that a device runs at."""
    problems: list[Problem] = []
    for check in (_check_bitfile, _check_handoff):
        try:
            check(bundle)
        except AcceleratorError as error:
            add_new(problems, Problem.of(error))
    if device is not None:
        add_running(problems, bundle, device)
    return problems


def add_running(problems: list[Problem], bundle: Bundle, device: Device) -> None:
    """Add what is wrong with the clock that a device runs at."""
    try:
        if device.clock_mhz is not None:
            check_clock(bundle, [("as it runs now", device.clock_mhz)], device.name)
    except AcceleratorError as error:
        add_new(problems, Problem.of(error))


def _check_bitfile(bundle: Bundle) -> None:
    name = bundle.data["driver"]["bitfile"]
    if name is not None and bundle.path(name).is_file():
        check_bitfile(bundle, bundle.path(name))


def _check_handoff(bundle: Bundle) -> None:
    found = _handoff(bundle)
    if found is not None and found.clock is not None:
        check_clock(bundle, found.clock.figures, found.path.name)


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
