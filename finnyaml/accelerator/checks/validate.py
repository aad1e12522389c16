"""A whole data set on the accelerator: its accuracy against the build's, and what is wrong where it is worse."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..devices.emulator import Emulator
from ..errors import AcceleratorError
from . import golden as samples
from .check import as_array, check_images
from .classes import Fraction, class_labels, classifies, right
from .diagnose import Case, recognise
from .digests import file_problems, hardware_problems
from .faults import difference, wrong_rows
from .report import Problem, Trial, ValidationReport
from .selftest import compare

if TYPE_CHECKING:
    from ..accelerator import Accelerator
    from ..contract import Bundle
    from .golden import Golden


VAGUE = 0.15
"""An accuracy whose 95 % interval is wider than this is not said to agree with another."""


def validate(accelerator: Accelerator, images: np.ndarray, labels: np.ndarray | None) -> ValidationReport:
    """Measure the accuracy on `images` [n, *input.shape] with `labels`, integers [n], and compare it with the build's.

    On the data of the build itself (the golden samples are at their places, and the count is the same) the accuracy has
    to be equal; on other data it differs where `Fraction.differs` says so. The files and the clock are checked in any
    case. Where something is wrong, the golden samples are run, too; if they are right, the mistake is looked for in the
    data. Images that are refused are a problem of the report.
    Raises AcceleratorError: no classifier, labels that do not fit, or the device failed.
    """
    bundle = accelerator.bundle
    if not classifies(bundle.output):
        raise AcceleratorError("this accelerator answers values, not classes", name="wrong use", hint="use predict")
    images = as_array(images)
    if images.ndim < 1 or not len(images):
        raise AcceleratorError("there are no images", name="wrong shape")
    known = class_labels(labels, len(images))
    golden = samples.load(bundle)
    k = (bundle.data["accuracy"] or {}).get("k") or 1  # the build may have measured something else
    figure = _figure_of_build(bundle)
    expected = figure
    if figure is None and golden.labels is not None:
        labels_there = class_labels(golden.labels, len(golden))
        expected = Fraction.of(right(golden.outputs, labels_there, bundle.output, k))
    damage = [*file_problems(bundle), *hardware_problems(bundle, accelerator.device)]
    damage = [problem for problem in damage if problem.name != "bitfile missing"]  # the device is open
    emulated = isinstance(accelerator.device, Emulator)
    report = partial(ValidationReport, bundle.name, accelerator.device.name, emulated, metric=f"top{k}")
    problems: list[Problem] = []
    notes: list[str] = []
    trials: tuple[Trial, ...] = ()
    try:
        check_images(images, bundle)
    except AcceleratorError as error:
        problems.append(Problem.of(error))
        if expected is not None:
            trials = _look_at_data(Case(accelerator, golden, images, known, None, expected, k), problems, notes)
        problems += damage
        comparison = "not measured: the images are refused"
        return report(tuple(problems), tuple(notes), comparison=comparison, tried=trials, refused=True)

    outputs = accelerator.predict(images)
    found = Fraction.of(right(outputs, known, bundle.output, k))
    comparison, worse, unequal = _compared(found, expected, figure is not None, _same_data(golden, images, figure))
    if worse or unequal:
        problems.append(Problem("accuracy differs", comparison))
    unlike = _unlike(golden, images, golden.outputs, outputs, bundle.output.layout)
    if unlike:
        problems.append(Problem("outputs differ", f"golden samples are in this data, and have other outputs: {unlike}"))
    differs = bool(problems)
    problems += damage
    if problems:
        faults: list[Problem] = []
        compare(accelerator, golden, faults, [])
        problems += faults
        if differs and not faults and expected is not None:
            notes.append("the golden samples are right here, so it is the data or its labels")
            other = "" if golden.labels is None else _unlike(golden, images, golden.labels, known, None)
            if other:
                text = f"golden samples are in this data, with other labels: {other}"
                problems.append(Problem("wrong labels", text))
            if worse:
                trials = _look_at_data(Case(accelerator, golden, images, known, outputs, expected, k), problems, notes)
    return report(
        tuple(problems),
        tuple(notes),
        comparison=comparison,
        tried=trials,
        found=found,
        expected=figure,
        outputs=outputs,
    )


def _look_at_data(case: Case, problems: list[Problem], notes: list[str]) -> tuple[Trial, ...]:
    """Add the mistake that explains the data, or a note that none does; returns what was tried."""
    problem, trials = recognise(case)
    if problem is not None:
        problems.append(problem)
    elif trials:
        notes.append(f"the mistake is not recognised: none of {len(trials)} that were tried explains it")
    return trials


def _compared(found: Fraction, expected: Fraction | None, of_build: bool, same_data: bool) -> tuple[str, bool, bool]:
    """How the accuracy is against what is expected; whether it is worse; whether it has to be equal and is not."""
    if expected is None:
        return "the build has no accuracy to compare with", False, False
    whose = "the build" if of_build else "the golden samples"
    instead = f"{found}, {whose}: {expected}"
    if same_data and found.hits == expected.hits:
        return "exactly as in the build, on the same data", False, False
    if same_data:
        return f"{instead}; on the same data they have to be equal", found.hits < expected.hits, True
    low, high = found.interval
    if not found.differs(expected) and high - low > VAGUE:
        return f"does not contradict {whose}, but so few samples prove little", False, False
    if not found.differs(expected):
        return f"agrees with {whose}: chance explains the difference (95 % level)", False, False
    if found.value > expected.value:
        return f"better than {whose}, by more than chance explains (95 % level): other data?", False, False
    return f"{instead}; worse by more than chance explains (95 % level)", True, False


def _figure_of_build(bundle: Bundle) -> Fraction | None:
    """The accuracy after the last measured step of the build; None where that is not a fraction of right classes."""
    accuracy = bundle.data["accuracy"]
    if not accuracy or accuracy["k"] is None:
        return None
    final = accuracy["final"]
    return Fraction(round(final["value"] * final["samples"]), final["samples"])


def _same_data(golden: Golden, images: np.ndarray, figure: Fraction | None) -> bool:
    """Whether this is the data of the build as far as can be told: as many samples, the golden ones at their places."""
    return figure is not None and len(images) == figure.count and len(_golden_rows(golden, images)) == len(golden)


def _golden_rows(golden: Golden, images: np.ndarray) -> np.ndarray:
    """Which golden samples are in the data, at the places that they have in the build's."""
    rows = np.flatnonzero(golden.index < len(images))
    there = golden.index[rows]
    return np.delete(rows, wrong_rows(golden.inputs[rows], images[there]))


def _unlike(golden: Golden, images: np.ndarray, due: np.ndarray, found: np.ndarray, layout: str | None) -> str:
    """How golden samples that are in the data (`found`, [n, ...]) differ from the build (`due`, [N, ...])."""
    rows = _golden_rows(golden, images)
    index = golden.index[rows]
    return difference(due[rows], found[index], layout, index)
