"""Why a data set is answered worse than the build says, where the accelerator itself is well: a mistake in the data.

Every mistake that the data could have is tried: made to the golden samples, it has to give what is seen here; undone in
the data, it has to bring the accuracy back. Only what convinces is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Tuple

import numpy as np

from ..errors import AcceleratorError
from .classes import SURE, Fraction, percent, predictions, right
from .mistakes import Change, Mistake, possible
from .report import Problem, Trial

if TYPE_CHECKING:
    from ..accelerator import Accelerator
    from .golden import Golden

SUBSET = 256
"""Samples of the data on which mistakes are undone: enough to tell, and quick on an emulator too."""

SIMILAR = 0.35
"""How far apart (total variation) two distributions of predictions still count as the same: golden samples are few."""

Tried = Tuple[Trial, Optional[str]]
"""A mistake, and why it explains the data; None where it does not."""


@dataclass(frozen=True, eq=False)
class Case:
    """What is known: the data, how it was answered (None: it was refused), and what is expected of right data.

    `images` [n, *shape], `labels` int64 [n], `outputs` [n, *output.shape]; a label among the first `k` is right.
    """

    accelerator: Accelerator
    golden: Golden
    images: np.ndarray
    labels: np.ndarray
    outputs: np.ndarray | None
    expected: Fraction
    k: int

    @property
    def truth(self) -> np.ndarray:
        """The classes of the golden samples, int64 [N]: their labels, or else the build's own outputs."""
        if self.golden.labels is not None:
            return self.golden.labels.reshape(-1).astype(np.int64)
        return self.classes(self.golden.outputs)

    def right(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Which outputs are right, bool [n]."""
        return right(outputs, labels, self.accelerator.bundle.output, self.k)

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """The class that each answer gives, int64 [n]."""
        return predictions(outputs, self.accelerator.bundle.output)

    def answered(self, change: Change, images: np.ndarray) -> np.ndarray | None:
        """The outputs [n, *output.shape] to changed images [n, *input.shape]; None where they are refused."""
        try:
            return self.accelerator.predict(change(images))
        except AcceleratorError:
            return None


def recognise(case: Case) -> tuple[Problem | None, tuple[Trial, ...]]:
    """The mistake that explains the data best, None if none is convincing; and all that were tried."""
    wanted = case.accelerator.bundle.input
    if case.images.shape[1:] != wanted.shape or case.images.dtype.kind not in "biuf":
        return None, ()
    count = len(case.images)
    rows = np.linspace(0, count - 1, min(SUBSET, count)).astype(np.int64)
    tried = [_tried(case, mistake, rows) for mistake in possible(wanted, case.golden.inputs, case.images)]
    tried += [_shifted(case, shift, what) for shift, what in ((-1, "count from 1"), (1, "are too low by 1"))]
    convincing = [(trial, why) for trial, why in tried if why is not None]
    best = max(convincing, key=lambda each: each[0].undone.value if each[0].undone else 0.0, default=None)
    problem = None if best is None else Problem(best[0].name, f"{best[0].what}\n{best[1]}")
    return problem, tuple(trial for trial, _ in tried)


def _tried(case: Case, mistake: Mistake, rows: np.ndarray) -> Tried:
    outputs = None
    if mistake.make is not None and case.outputs is not None:
        outputs = case.answered(mistake.make, case.golden.inputs)
    golden = None if outputs is None else Fraction.of(case.right(outputs, case.truth))
    if mistake.undo is None:
        trial = Trial(mistake.name, mistake.what, golden, None)
        return trial, None if outputs is None else _why_made(case, outputs)
    undone = case.answered(mistake.undo, case.images[rows])
    if undone is None:
        return Trial(mistake.name, mistake.what, golden, None), None
    held = case.right(undone, case.labels[rows])
    trial = Trial(mistake.name, mistake.what, golden, Fraction.of(held))
    before = None if case.outputs is None else case.right(case.outputs[rows], case.labels[rows])
    return trial, _why_undone(case, held, before, golden)


def _shifted(case: Case, shift: int, what: str) -> Tried:
    """Labels that count from another number: the images are right then."""
    if case.outputs is None:
        return Trial("wrong labels", f"the labels {what}", None, None), None
    held, before = case.right(case.outputs, case.labels + shift), case.right(case.outputs, case.labels)
    trial = Trial("wrong labels", f"the labels {what}", None, Fraction.of(held))
    return trial, _why_undone(case, held, before, None)


def _why_undone(case: Case, held: np.ndarray, before: np.ndarray | None, golden: Fraction | None) -> str | None:
    """How convincing it is that samples are right (`held`, bool [n]) once a mistake is undone; None if it is not.

    They have to be as right as expected, and clearly more of them than `before`: on the same samples, a sign test.
    """
    found = Fraction.of(held)
    if found.value < case.expected.value and found.differs(case.expected):
        return None
    why = f"undone, {found} are right; expected {percent(case.expected.value)}"
    if before is not None:
        gained, lost = np.count_nonzero(held & ~before), np.count_nonzero(before & ~held)
        if gained - lost <= SURE * (gained + lost) ** 0.5:
            return None
        why += f"; {percent(Fraction.of(before).value)} as they are"
    if golden is not None and case.outputs is not None:
        why += f"\n{_alike(case, golden)}"
    return why


def _why_made(case: Case, outputs: np.ndarray) -> str | None:
    """How convincing a mistake is that cannot be undone: made to the golden samples (`outputs`), it has to make them as
    wrong as the data is, with the same classes given. None if it is not.
    """
    assert case.outputs is not None
    golden = Fraction.of(case.right(outputs, case.truth))
    chosen = case.classes(case.outputs)
    if golden.differs(Fraction.of(case.right(case.outputs, case.labels))):
        return None
    if _apart(case.classes(outputs), chosen) > SIMILAR:
        return None
    classes, counts = np.unique(chosen, return_counts=True)
    most = int(counts.argmax())
    return (
        f"{_alike(case, golden)}, and both are given the same classes "
        f"(class {classes[most]} in {percent(counts[most] / len(chosen))} of the data)\n"
        "it cannot be undone: start from the original images"
    )


def _alike(case: Case, golden: Fraction) -> str:
    assert case.outputs is not None
    seen = Fraction.of(case.right(case.outputs, case.labels))
    return (
        f"the golden samples, made wrong in the same way, are right in {percent(golden.value)}, "
        f"the data in {percent(seen.value)}"
    )


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """Total variation between distributions of classes, int64 [n] and [m]: 0 (the same) to 1 (nothing in common)."""
    classes = np.union1d(one, other)
    fractions = [np.array([np.mean(found == number) for number in classes]) for found in (one, other)]
    return float(np.abs(fractions[0] - fractions[1]).sum() / 2)
