"""A loss in plain words, and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from finnyaml.verify.bisect.result import Loss, TensorFinding, Transformation


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
