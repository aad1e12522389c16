"""Scales and transposes pass forks and joins, so that branches compute with integers. Runs in workers."""

from __future__ import annotations

import copy

import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.finn.door import branches
from finnyaml.graph.surgery import Repaired, free_name, integer_type, set_attributes, store_constant
from finnyaml.graph.view import View, attributes, name
from finnyaml.lint.branches import Branch, Join, joins
from finnyaml.lint.layers import holds_integers
from finnyaml.steps.joined import before_cast, drop_casts, join_types

_QONNX = "qonnx.custom_op.general"


def streamline_branches(model: ModelWrapper) -> Repaired:
    """Move scales and transposes past forks and joins, by FINN's own transformations.

    `streamline` stops at forks and joins. What stands before a join is moved behind it where it is the same in all
    branches: one scale, one transpose. Scales that are small multiples of one another become the same: thresholds that
    stand there several times multiply the integers of a branch. Scales of any size become one for each channel where a
    Concat has only quantizers behind it. Belongs after `streamline`, before `convert_to_hw`.

    Other joins of branches with scales of their own are named in the notes; they stay as they are.
    """
    view = View(model)
    found = list(joins(view))
    tensors = [*view.inputs, *(tensor for node in view.nodes for tensor in node.output)]
    made = copy.deepcopy(model)
    if not join_types(made) and not found and not any(len(view.consumers(tensor)) > 1 for tensor in tensors):
        return Repaired(made, ())
    made = branches(made)
    changes: list[str] = []
    while (join := _next(View(made))) is not None:
        changes += _join_integers(made, join)
        made = branches(made)
    left = list(joins(View(made)))
    notes = [f"{name(join.node)} joins scales {join.words}: they stay before it" for join in left]
    changes += [
        f"{name(join.node)} ({join.node.op_type}) joins integers" for join in found if join.kind in ("types", "equal")
    ]
    return Repaired(made, tuple(changes) or ("scales and transposes have passed the forks",), tuple(notes))


def _next(view: View) -> Join | None:
    """The first join whose scales stand right before it, are not one, and can become one, or one for each channel."""
    for join in joins(view):
        different = join.factors is not None and len({branch.scale for branch in join.branches}) > 1
        if (different or join.per_channel) and all(_right_before(view, branch) for branch in join.branches):
            return join
    return None


def _right_before(view: View, branch: Branch) -> bool:
    """Whether a branch ends in integers, or in the one scale of integers."""
    if branch.scaling is None:
        return branch.scale == 1.0
    return branch.tensor in branch.scaling.output and holds_integers(view, _source(view, branch))


def _join_integers(model: ModelWrapper, join: Join) -> list[str]:
    """Let a join read the integers of its branches, with their scale behind it; say what that took."""
    view, taken = View(model), set(model.get_all_tensor_names())
    sources = [_source(view, branch) for branch in join.branches]
    changes = []
    if join.factors is not None:
        scale = np.array(join.scale, np.float32)
        for index, (branch, factor) in enumerate(zip(join.branches, join.factors, strict=True)):
            if factor > 1:
                sources[index] = _times(model, view, join, branch, factor, taken)
                changes.append(
                    f"{name(join.node)} ({join.node.op_type}) gets the integers of the branch with the scale "
                    f"{branch.words} times {factor}, by {(branch.high - branch.low) * factor} thresholds"
                )
    else:
        scale = _per_channel(view, join)
        changes.append(f"{name(join.node)} ({join.node.op_type}) joins integers, with a scale for each channel behind")
    result = str(join.node.output[0])
    joined, factors = free_name(f"{result}_integers", taken), free_name(f"{result}_scale", taken)
    join.node.input[:] = sources
    join.node.output[0] = joined
    model.set_initializer(factors, scale)
    scaling = helper.make_node("Mul", [joined, factors], [result])
    scaling.metadata_props.extend(join.node.metadata_props)
    model.graph.node.insert(list(model.graph.node).index(join.node) + 1, scaling)
    read = {tensor for node in model.graph.node for tensor in node.input}
    for branch in join.branches:
        if branch.scaling in model.graph.node and branch.tensor not in {*read, *view.outputs}:
            model.graph.node.remove(branch.scaling)
    drop_casts(model)
    return changes


def _source(view: View, branch: Branch) -> str:
    """The integers of a branch, at the place of its scale."""
    return before_cast(view, branch.tensor) if branch.scaling is None else view.dynamic_inputs(branch.scaling)[0]


def _times(model: ModelWrapper, view: View, join: Join, branch: Branch, factor: int, taken: set[str]) -> str:
    """A tensor with the integers of a branch times a factor: each threshold that they reach counts so often.

    The thresholds are those that made the integers where nobody else reads them, and a layer of its own elsewhere.
    """
    source = _source(view, branch)
    maker, alone = view.producer(source), [source, branch.tensor]
    used = sum(list(user.input).count(tensor) for tensor in set(alone) for user in view.consumers(tensor))
    datatype = DataType[integer_type(branch.low * factor, branch.high * factor)]
    written = {"out_dtype": datatype.name, "out_bias": float(branch.low * factor), "out_scale": 1.0}
    own = maker is not None and maker.op_type == "MultiThreshold" and attributes(maker).get("out_scale", 1.0) == 1.0
    if own and used == len(set(alone)):
        given, thresholds = view.constant(maker.input[1]), free_name(f"{maker.input[1]}_times", taken)
        assert given is not None
        store_constant(model, thresholds, np.repeat(given, factor, 1), like=maker.input[1])
        maker.input[1] = thresholds
        set_attributes(maker, **written)
        model.set_tensor_datatype(source, datatype)
        return source
    steps: np.ndarray = np.arange(branch.low + 1, branch.high + 1, dtype=np.float32)
    thresholds, made = free_name(f"{source}_steps", taken), free_name(f"{source}_times", taken)
    model.set_initializer(thresholds, np.repeat(steps, factor)[np.newaxis])
    model.set_tensor_shape(made, list(view.shape(source)))
    model.set_tensor_datatype(made, datatype)
    node = helper.make_node("MultiThreshold", [source, thresholds], [made], domain=_QONNX, **written)
    layout = model.get_tensor_layout(source)
    if layout:
        set_attributes(node, data_layout="".join(layout))
    node.metadata_props.extend(join.node.metadata_props)
    model.graph.node.insert(list(model.graph.node).index(join.node), node)
    return made


def _per_channel(view: View, join: Join) -> np.ndarray:
    """The scales of all channels: of a sum those of any branch, of a Concat those of all along its axis."""
    if join.node.op_type != "Concat":
        scale = view.constant(join.branches[0].scaling.input[1])
        assert scale is not None
        return scale
    axis, parts = int(attributes(join.node)["axis"]), []
    for branch in join.branches:
        shape = [1] * len(view.shape(branch.tensor))
        shape[axis] = view.shape(branch.tensor)[axis]
        constants = [view.constant(each) for each in branch.scaling.input] if branch.scaling is not None else []
        scale = next((each for each in constants if each is not None), np.ones(1, np.float32))
        parts.append(np.broadcast_to(scale, shape).astype(np.float32))
    joined: np.ndarray = np.concatenate(parts, axis)
    return joined
