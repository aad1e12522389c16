"""What the search for a loss is given and what it finds: as values, as JSON and in plain words."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Samples:
    """The data that accuracy is measured on.

    `inputs` [n, ...] as the data set has them, any numeric dtype; `labels` integers [n], or None; `reference`
    predictions [n] to agree with, used where there are no labels. Of models that are not classifiers, `outputs` are the
    reference's [n, ...]: a sample is right if every output is within a thousandth of their largest. `indices`: they
    answer class indices, best first, and not scores. With inputs alone, what the step is given is right: the outputs
    before it; or (`scores`) the scores that its classes are chosen by, up to one scale and one offset.
    """

    inputs: np.ndarray
    labels: np.ndarray | None = None
    reference: np.ndarray | None = None
    outputs: np.ndarray | None = None
    indices: bool = False
    scores: bool = False


@dataclass(frozen=True)
class Transformation:
    """The transformation in which accuracy falls.

    `name` is its class, `path` the nested transformations down to it ("Streamline/MoveAddPastMul"). `index` is the
    number of the first state that is wrong. `before` and `after` are the metric, 0 to 1, on both sides.
    `previous` is the last transformation before it that changed the graph; `origin` the one in this step that made the
    operators it changed, where one did. `others` are further paths that cannot be told apart from it, because no
    state between them executes.
    """

    name: str
    path: str
    index: int
    before: float
    after: float
    previous: str | None = None
    origin: str | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Where:
    """Where in a tensor the mismatches lie.

    `kind` is "border" (`width` pixels wide), "channels" (`channels`, from 0), "saturated" or "spread"; `text` says it.
    """

    kind: str
    text: str
    width: int | None = None
    channels: tuple[int, ...] = ()


@dataclass(frozen=True)
class TensorFinding:
    """The first tensor that disagrees with its counterpart in the state before.

    `shape` has batch 1. `fraction` is how many of its elements differ (0 to 1) over `samples` samples; `mean` and `max`
    are the absolute differences of those elements, in the tensor's own unit. `layer` says in words what it is.
    """

    name: str
    node: str
    op_type: str
    shape: tuple[int, ...]
    layer: str
    counterpart: str
    fraction: float
    mean: float
    max: float
    samples: int
    where: Where


@dataclass(frozen=True)
class Cause:
    """A known cause: a stable id, what happened, and what to do."""

    id: str
    text: str
    remedy: str


@dataclass(frozen=True)
class Skipped:
    """A state that could not be measured: its number, the path of the transformation that made it, and why."""

    index: int
    path: str
    reason: str


@dataclass(frozen=True)
class Loss:
    """All that was found about one step.

    `states` is how many different graphs the step goes through, `evaluated` on how many the metric was measured.
    `before` and `after` are the metric (0 to 1) of the step's input and output. `transformation` is None where no more
    than the tolerance was lost. `further` are other transformations of the step that lose accuracy, found on the way
    to the largest drop. `picture` is a PNG.
    """

    step: str
    metric: str
    states: int
    evaluated: int
    skipped: tuple[Skipped, ...]
    before: float
    after: float
    transformation: Transformation | None = None
    further: tuple[Transformation, ...] = ()
    tensor: TensorFinding | None = None
    cause: Cause | None = None
    picture: bytes | None = None


def sentences(result: Loss) -> list[str]:
    """What was found, a sentence per item, the most important first."""
    change = f"{_percent(result.before)} to {_percent(result.after)}"
    culprit = result.transformation
    if culprit is None:
        said = [f"{result.metric} does not fall in {result.step} ({change})"]
        return said + _effort(result)
    said = [f"{result.metric} falls in {result.step}: {change}", _transformation(culprit)]
    for other in result.further:
        said.append(f"it also falls in {other.path or other.name}: {_percent(other.before)} to {_percent(other.after)}")
    if result.tensor is None:
        said.append("no tensor could be told to be wrong: none of them has a counterpart before the transformation")
    else:
        said += _tensor(result.tensor)
    if result.cause is not None:
        said += [f"cause: {result.cause.text}", f"remedy: {result.cause.remedy}"]
    return said + _effort(result)


def to_json(result: Loss) -> dict[str, Any]:
    """The loss as data, without the picture; metrics and fractions are from 0 to 1."""
    data = asdict(result)
    del data["picture"]
    return data


def _transformation(culprit: Transformation) -> str:
    said = f"the transformation is {culprit.path or culprit.name}"
    if culprit.others:
        said += f", or {' or '.join(culprit.others)} (no state between them executes)"
    if culprit.previous:
        said += f", after {culprit.previous}"
    if culprit.origin and culprit.origin != culprit.previous:
        said += f"; the operators that it changes come from {culprit.origin}"
    return f"{said} ({_percent(culprit.before)} to {_percent(culprit.after)})"


def _tensor(tensor: TensorFinding) -> list[str]:
    shape = "x".join(str(size) for size in tensor.shape)
    differ = f"{_percent(tensor.fraction)} of its elements differ (over {tensor.samples} samples)"
    return [
        f"first wrong tensor: the {tensor.layer}: {tensor.name} [{shape}] of {tensor.node} ({tensor.op_type})",
        f"{differ}, by {tensor.mean:.3g} on average and {tensor.max:.3g} at most; {tensor.where.text}",
    ]


def _effort(result: Loss) -> list[str]:
    said = f"measured {result.evaluated} of the {result.states} states of the step"
    if not result.skipped:
        return [said]
    reasons = Counter(item.reason for item in result.skipped)
    most = reasons.most_common(1)[0][0]
    more = f", and {len(reasons) - 1} other reasons" if len(reasons) > 1 else ""
    count = len(result.skipped)
    left_out = "1 state does not execute and was" if count == 1 else f"{count} states do not execute and were"
    return [f"{said}; {left_out} left out ({most}{more})"]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if value >= 0.001 or value == 0 else f"{value:.2g}"
