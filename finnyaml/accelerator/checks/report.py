"""What selftest and validate found, as values. `text` prints them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..errors import AcceleratorError
from .classes import Fraction

OK, FAILED, REFUSED, MISSING, STOPPED = 0, 1, 2, 4, 130
"""Exit codes: all well; something is wrong; wrong use, or refused input; a package or the board is missing; Ctrl-C."""

INTERRUPTED = "interrupted"


def exit_code(name: str) -> int:
    """The exit code for a problem of this name where nothing could be done because of it."""
    if name in ("package missing", "bitfile missing", "device"):
        return MISSING
    if name == "wrong output":  # the accelerator's, not the user's
        return FAILED
    return REFUSED if name.startswith("wrong ") or name == "no bundle" else FAILED


@dataclass(frozen=True)
class Problem:
    """Something that is not as it has to be: a short fixed name, and where and what in a sentence."""

    name: str
    message: str

    @classmethod
    def of(cls, error: AcceleratorError) -> Problem:
        """What an error says, with what to do on a line of its own."""
        return cls(error.name, f"{error.message}\n{error.hint}" if error.hint else error.message)

    @classmethod
    def unexpected(cls, error: BaseException) -> Problem:
        """What an error of others says: of PYNQ, onnxruntime, the system, or that somebody has ended it."""
        if isinstance(error, KeyboardInterrupt):
            return cls(INTERRUPTED, "ended from outside before it had finished")
        return cls("error", f"{type(error).__name__}: {error}")

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


@dataclass(frozen=True)
class Report:
    """What was found; `notes` are worth knowing and nothing wrong."""

    bundle: str
    device: str
    emulated: bool
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def exit_code(self) -> int:
        """4 only where nothing else is wrong than that a package or the board is missing."""
        if self.ok:
            return OK
        if any(problem.name == INTERRUPTED for problem in self.problems):
            return STOPPED
        return MISSING if all(exit_code(problem.name) == MISSING for problem in self.problems) else FAILED

    def plain(self) -> dict[str, Any]:
        """The report as data for JSON."""
        return {**asdict(self), "ok": self.ok}


@dataclass(frozen=True)
class Run:
    """All golden samples through the accelerator once, `batch` at a time; `wrong` are those whose outputs differ."""

    batch: int
    order: str
    wrong: tuple[int, ...]


@dataclass(frozen=True)
class Speed:
    """Images per second in batches of `batch`, milliseconds for a single image (medians).

    `accelerator_*`: the accelerator alone with packing and transfer; `images_per_s` and `latency_ms`: all of
    `predict`.
    """

    batch: int
    accelerator_images_per_s: float
    images_per_s: float
    accelerator_latency_ms: float
    latency_ms: float


@dataclass(frozen=True)
class SelftestReport(Report):
    """`files` were compared with their digests, `samples` are golden.

    `runs` are empty and `speed` is None where the accelerator could not be opened. `clock_mhz` is that of the device,
    or of the .hwh; `expected_clock_mhz` the contract's; `estimate` the build's own estimate of the speed. `counted` is
    what FINN's instrumentation says (see `instrumentation.measure`), None where it is not built in.
    """

    files: int
    clock_mhz: float | None
    expected_clock_mhz: float | None
    samples: int
    runs: tuple[Run, ...]
    speed: Speed | None
    counted: dict[str, Any] | None
    estimate: dict[str, float] | None


@dataclass(frozen=True)
class Trial:
    """One mistake in data that was tried: `golden` are right when it is made to the golden samples, `undone` when it is
    undone in the user's data. None: it cannot be tried so.
    """

    name: str
    what: str
    golden: Fraction | None
    undone: Fraction | None


@dataclass(frozen=True)
class ValidationReport(Report):
    """`found` is None where the images were refused; `expected` is the figure of the build, None where there is none.

    `comparison` says how they relate, and how that is decided. `tried` are the mistakes that were tried on the data.
    `outputs` [n, *output.shape] are those to all images.
    """

    metric: str
    comparison: str
    tried: tuple[Trial, ...]
    found: Fraction | None = None
    expected: Fraction | None = None
    refused: bool = False
    outputs: np.ndarray | None = field(default=None, repr=False, compare=False)

    def plain(self) -> dict[str, Any]:
        """The report as data for JSON, without the outputs; fractions with their value and its 95 % interval."""
        data = {key: value for key, value in super().plain().items() if key != "outputs"}
        for key, fraction in (("found", self.found), ("expected", self.expected)):
            if fraction is not None:
                data[key].update(value=fraction.value, interval=list(fraction.interval))
        return data

    @property
    def exit_code(self) -> int:
        """As `Report`; 2 where the images were refused."""
        return REFUSED if self.refused else super().exit_code
