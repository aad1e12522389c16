"""From "the accuracy falls in this step" to the transformation, the tensor, the place and the cause."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.verify.bisect import search
from finnyaml.verify.bisect.causes import Case, explain, of_changes
from finnyaml.verify.bisect.changes import Change, changes
from finnyaml.verify.bisect.history import History, history
from finnyaml.verify.bisect.match import Difference, compared, first_difference
from finnyaml.verify.bisect.picture import draw
from finnyaml.verify.bisect.result import Cause, Loss, Samples, TensorFinding, Transformation
from finnyaml.verify.bisect.run import Run, Tapped, telling_samples
from finnyaml.verify.bisect.search import Drop
from finnyaml.verify.bisect.states import States
from finnyaml.verify.bisect.where import where

OWN_CODE = "the step's own code"
"""Stands for a transformation where the step changes the graph without one."""

_BOOKKEEPING = ("Give", "Infer", "RemoveUnused", "RemoveStatic", "Sort")
"""Transformations whose names begin so tidy up after others."""


def find_loss(
    before: ModelWrapper,
    run_step: Callable[[ModelWrapper], ModelWrapper],
    data: Samples,
    *,
    tolerance: float,
    step: str,
    complete: Callable[[ModelWrapper], ModelWrapper] = lambda model: model,
    changed: float | None = None,
) -> Loss:
    """Find where in a step accuracy is lost.

    Args:
        before: the model before the step; it is not changed. run_step: runs the step; called once, on a copy.
        data: 200 to 500 samples are enough; time grows with them, memory does not. The metric is the fraction of
            samples that are classified as `labels` say, or as `reference` does.
        tolerance: how much of the metric (0 to 1) may be lost. step: how the step is called in what is said.
        complete: makes a graph executable that is a part only: puts the child of a dataflow partition into its parent.
            It is called with the states that are nothing but hardware layers.
        changed: where the metric does not fall, look for where the outputs of more than this fraction of the samples
            change; a fault may also leave the metric as it is, or raise it.

    Returns:
        The transformation with the largest drop, the first tensor that it makes wrong, and the cause, as far as each
        can be found. Without a drop larger than `tolerance`, or such a change, nothing is looked for behind the metric.

    Raises:
        StepFailed: the step's input or output does not execute. What the step raises passes through.
    """
    steps = history(before, run_step)
    states = States(steps, data, complete)
    last = len(steps.states) - 1
    states.require(0, f"the model before {step}")
    states.require(last, f"the model after {step}")
    levels = [state.level for state in steps.states]
    found = search.drops(levels, states.metric, tolerance)
    for scores in (False, True):
        if not found and changed is not None:
            unchanged = Samples(data.inputs, indices=data.indices, scores=scores)
            others = States(steps, unchanged, complete)
            others.require(0, f"the model before {step}")
            if found := search.drops(levels, others.metric, changed):
                data, states = unchanged, others
    tensor, cause, picture = _inside(found[0], states, data, step) if found else (None, None, None)
    transformations = [_transformation(drop, steps) for drop in found]
    return Loss(
        step=step,
        metric=_metric(data),
        states=len(steps.states),
        evaluated=states.evaluated,
        skipped=tuple(states.skipped[index] for index in sorted(states.skipped)),
        before=search.value(states.metric, 0),
        after=search.value(states.metric, last),
        transformation=transformations[0] if found else None,
        further=tuple(transformations[1:]),
        tensor=tensor,
        cause=cause,
        picture=picture,
    )


def _metric(data: Samples) -> str:
    if data.scores:
        return "the fraction of samples with unchanged scores"
    if data.outputs is None and data.labels is not None:
        return "accuracy"
    given = data.outputs is not None or data.reference is not None
    return "agreement with the reference" if given else "the fraction of samples with unchanged outputs"


def _inside(
    drop: Drop, states: States, data: Samples, step: str
) -> tuple[TensorFinding | None, Cause | None, bytes | None]:
    """The first wrong tensor behind a drop, why, and its picture."""
    good, bad = (Tapped(states.model(index), exact=not data.scores) for index in (drop.good, drop.bad))
    right, wrong_ones = states.predictions(drop.good), states.predictions(drop.bad)
    assert right is not None
    assert wrong_ones is not None
    chosen = telling_samples(right, wrong_ones, min(good.capacity, bad.capacity))
    samples = np.asarray(data.inputs)[chosen]
    before, after = good.run(samples), bad.run(samples)
    difference, changed = _first_wrong(before, after)
    graph = after.graph
    if difference is None:
        return None, of_changes(changed, graph), None
    values, fit = after.values[difference.name], difference.fit
    axis = graph.channel_axis(difference.name, values.shape)
    wrong = ~fit.agree
    distance = np.abs(fit.expected - values)[wrong]
    name, node = graph.readable(difference.name)
    finding = TensorFinding(
        name=name,
        node=node,
        op_type=graph.producer(difference.name).op_type,
        shape=(1, *values.shape[1:]),
        layer=graph.words(difference.name),
        counterpart=before.graph.readable(difference.counterpart)[0],
        fraction=float(wrong.mean()),
        mean=float(distance.mean()),
        max=float(distance.max()),
        samples=len(samples),
        where=where(values, fit, axis),
    )
    try:
        picture = draw(wrong, axis, finding, f"{step}: {_transformation(drop, states.trace).name}")
    except ImportError:  # matplotlib comes with FINN only
        picture = None
    return finding, explain(Case(before, after, difference, finding, changed)), picture


def _first_wrong(before: Run, after: Run) -> tuple[Difference | None, tuple[Change, ...]]:
    """The first wrong tensor, and the changed nodes that it comes from.

    A tensor counts as right with another scale and offset, since these wander. So where the node of the first wrong one
    is as it was, and one before it is not, that one's tensor is the first.
    """
    difference = first_difference(before, after)
    changed = changes(before, after, difference.name if difference else None)
    guilty = [item for item in changed if item.computes]
    if not guilty:
        return difference, tuple(changed)
    made = after.graph.producer(difference.name).output[0] if difference else None
    own = [item for item in guilty if item.node.output[0] == made]
    blamed = (own or guilty)[0]
    if not own and not after.graph.is_window(blamed.node.output[0]):
        difference = compared(blamed.node.output[0], blamed.former.output[0], before, after) or difference
    return difference, (blamed,)


def _transformation(drop: Drop, steps: History) -> Transformation:
    paths = list(dict.fromkeys(state.path for state in steps.states[drop.good + 1 : drop.bad + 1]))
    common = tuple(names[0] for names in takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False)))
    path = common or paths[0][:1]
    others = () if common else tuple(dict.fromkeys("/".join(other[:1]) or OWN_CODE for other in paths if other))
    return Transformation(
        name=path[-1] if path else OWN_CODE,
        path="/".join(path),
        index=drop.good + 1,
        before=drop.before,
        after=drop.after,
        previous=_previous(steps, drop.good, path),
        origin=_origin(steps, drop),
        others=tuple(other for other in others if other != "/".join(path)),
    )


def _previous(steps: History, good: int, culprit: tuple[str, ...]) -> str | None:
    """The last transformation before the culprit that did more than tidy up, named as deep as the culprit."""
    depth = max(len(culprit), 1)
    for state in reversed(steps.states[1 : good + 1]):
        path = state.path[:depth]
        inside_the_culprit = path == culprit and state.level > depth
        if path and not inside_the_culprit and not path[-1].startswith(_BOOKKEEPING):
            return "/".join(path)
    return None


def _origin(steps: History, drop: Drop) -> str | None:
    """Which transformation of the step made operators of the kind that the culprit replaces or takes away."""
    operators = [state.operators for state in steps.states]
    for kind in operators[drop.good] - operators[drop.bad]:
        for index in range(drop.good, 0, -1):
            if operators[index][kind] > operators[index - 1][kind]:
                return "/".join(steps.states[index].path) or OWN_CODE
    return None
