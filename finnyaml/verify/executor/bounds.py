"""Bounds of every tensor of a standard graph, before any data is seen: a rule per operator.

From them the executor knows where float32 sums are exact in any order, where a table can replace thresholds, and which
tensors must be watched while data runs. An operator without a rule may make anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto

from finnyaml.graph.view import attributes
from finnyaml.verify.executor.interval import (
    ANYTHING,
    BOOLEAN,
    EXACT,
    Interval,
    add,
    interval,
    monotone,
    multiply,
    negative,
    of_constant,
    reals,
    union,
    weighted_sum,
)

SUMS = {
    "MatMul", "Conv", "Gemm", "ConvTranspose", "ReduceSum", "ReduceMean", "AveragePool", "GlobalAveragePool", "Softmax",
    "LogSoftmax", "BatchNormalization", "LayerNormalization", "InstanceNormalization", "Einsum", "ReduceL1", "ReduceL2",
    "ReduceProd", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp", "LpNormalization", "LRN", "CumSum",
}  # fmt: skip


class Bounds:
    """Intervals of all tensors of a graph, one node after the other.

    of: what is known so far; grows. constants: values by name. shapes: of one sample, as far as they are known; grows.
    """

    def __init__(
        self, of: dict[str, Interval], constants: Mapping[str, np.ndarray], shapes: dict[str, list[int] | None]
    ) -> None:
        self.of = of
        self.constants = constants
        self.shapes = shapes

    def get(self, tensor: str) -> Interval:
        if tensor in self.of:
            return self.of[tensor]
        if tensor in self.constants:
            self.of[tensor] = of_constant(self.constants[tensor])
            return self.of[tensor]
        return ANYTHING

    def follow(self, node: NodeProto) -> None:
        """Work out the outputs of one standard node."""
        rule = RULES.get(node.op_type)
        found = rule(self, node, [self.get(t) for t in node.input], attributes(node)) if rule else None
        results = found if isinstance(found, list) else [found] * len(node.output)
        for name, result in zip(node.output, results, strict=False):
            self.of[name] = result if result is not None else ANYTHING
        self._follow_shape(node)

    def _follow_shape(self, node: NodeProto) -> None:
        """Shapes inside a lowering, as far as sums need them: those of reshaped tensors and of products."""
        if node.output[0] in self.shapes:
            return
        if node.op_type == "Reshape" and node.input[1] in self.constants:
            self.shapes[node.output[0]] = [abs(int(d)) for d in self.constants[node.input[1]]]
        elif node.op_type in ("Identity", "Cast", "Add", "Sub", "Mul"):
            shapes = [self._shape(t) for t in node.input]
            if all(s is not None for s in shapes):
                self.shapes[node.output[0]] = list(np.broadcast_shapes(*(tuple(s or ()) for s in shapes)))

    def largest_sum(self, node: NodeProto) -> float | None:
        """Largest magnitude that a partial sum of a node can reach, in any order of summation.

        None: the node does not sum. Infinite: its terms are not all integers, so the order matters.
        """
        if node.op_type not in SUMS:
            return None
        x = self.get(node.input[0]).overall()
        if x.step and node.op_type == "ReduceSum":
            result = self.get(node.output[0])
            return result.magnitude if x.low >= 0 or x.high <= 0 else 2 * result.magnitude
        weights = self.constants.get(node.input[1]) if node.op_type in ("MatMul", "Conv", "Gemm") else None
        if not x.step or weights is None or not self.get(node.input[1]).step:
            return math.inf
        written = attributes(node)
        if written.get("alpha", 1.0) != 1.0 or written.get("beta", 1.0) != 1.0:
            return math.inf
        axes: tuple[int, ...] = (max(weights.ndim - 2, 0),)
        if node.op_type == "Conv":
            axes = tuple(range(1, weights.ndim))
        elif node.op_type == "Gemm":
            axes = (1,) if written.get("transB") else (0,)
        total = np.abs(weights.astype(np.float64)).sum(axis=axes).max() * x.magnitude
        if len(node.input) > 2 and node.input[2]:
            bias = self.get(node.input[2])
            total = total + bias.magnitude if bias.step else math.inf
        return float(total)

    def _shape(self, tensor: str) -> list[int] | None:
        if tensor in self.constants:
            return list(self.constants[tensor].shape)
        return self.shapes.get(tensor)

    def terms_of(self, tensor: str, axes: Iterable[int]) -> float:
        """How many elements a sum over `axes` adds; infinite if that is not known."""
        shape = self._shape(tensor)
        return math.inf if shape is None else float(math.prod(shape[axis] for axis in axes))


Rule = Callable[[Bounds, NodeProto, list[Interval], Mapping[str, Any]], "Interval | list[Interval | None] | None"]
RULES: dict[str, Rule] = {}


def _rule(*op_types: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(op_types, function))
        return function

    return register


@_rule("Identity")
def _same(_b: Bounds, _n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return x[0]


@_rule(
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Expand", "Tile", "MaxPool", "GlobalMaxPool",
    "ReduceMax", "ReduceMin", "DepthToSpace", "SpaceToDepth", "Dropout", "Gather", "GatherElements",
)  # fmt: skip
def _moved(_b: Bounds, _n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return x[0].overall()


@_rule("Resize")
def _resized(_b: Bounds, _n: NodeProto, x: list[Interval], a: Mapping[str, Any]) -> Interval | None:
    return x[0].overall() if a.get("mode", "nearest") == "nearest" else None


@_rule("Transpose")
def _transposed(_b: Bounds, _n: NodeProto, x: list[Interval], a: Mapping[str, Any]) -> Interval:
    lows, highs, perm = x[0].lows, x[0].highs, a.get("perm")
    if perm is None or lows.ndim != len(perm) or highs.ndim != len(perm):
        return x[0].overall()
    return Interval(lows.transpose(perm), highs.transpose(perm), x[0].step)


@_rule("Concat", "Max", "Min", "Where")
def _chosen(_b: Bounds, n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    if n.op_type in ("Concat", "Where"):
        return union(*(x[1:] if n.op_type == "Where" else x))
    pick = np.maximum if n.op_type == "Max" else np.minimum
    lows, highs = x[0].lows, x[0].highs
    for other in x[1:]:
        lows, highs = pick(lows, other.lows), pick(highs, other.highs)
    return Interval(lows, highs, 1 if all(i.step for i in x) else 0)


@_rule("Pad")
def _padded(b: Bounds, n: NodeProto, x: list[Interval], a: Mapping[str, Any]) -> Interval:
    if a.get("mode", "constant") != "constant":
        return x[0].overall()
    value = b.get(n.input[2]) if len(n.input) > 2 and n.input[2] else of_constant(np.zeros(()))
    return union(x[0], value)


@_rule("Clip")
def _clipped(b: Bounds, n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    low = b.get(n.input[1]) if len(n.input) > 1 and n.input[1] else ANYTHING
    high = b.get(n.input[2]) if len(n.input) > 2 and n.input[2] else interval(math.inf, math.inf)
    bounds = [np.minimum(np.maximum(v, low.low), high.high) for v in (x[0].lows, x[0].highs)]
    grid = all(i.step or not math.isfinite(i.low) for i in (low, high))
    return Interval(bounds[0], bounds[1], 1 if x[0].step and grid else 0)


@_rule("Relu")
def _relu(_b: Bounds, _n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return monotone(x[0], lambda v: np.maximum(v, 0.0))


@_rule("Floor", "Ceil", "Round")
def _rounded(_b: Bounds, n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    if x[0].step:
        return x[0]
    function = {"Floor": np.floor, "Ceil": np.ceil, "Round": np.round}[n.op_type]
    return monotone(x[0], function, step=1)


@_rule("Sign")
def _sign(_b: Bounds, _n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return monotone(x[0], np.sign, step=1)


@_rule("Abs")
def _absolute(_b: Bounds, _n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    lows = np.where((x[0].lows <= 0) & (x[0].highs >= 0), 0.0, np.minimum(np.abs(x[0].lows), np.abs(x[0].highs)))
    return Interval(lows, np.maximum(np.abs(x[0].lows), np.abs(x[0].highs)), 1 if x[0].step else 0)


@_rule("Neg")
def _negated(_b: Bounds, _n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return negative(x[0])


@_rule("Add")
def _added(_b: Bounds, _n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return add(x[0], x[1])


@_rule("Sub")
def _subtracted(_b: Bounds, _n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return add(x[0], negative(x[1]))


@_rule("Mul")
def _multiplied(_b: Bounds, _n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return multiply(x[0], x[1])


@_rule("Div")
def _divided(_b: Bounds, n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval | None:
    divisor = x[1]
    if not np.array_equal(divisor.lows, divisor.highs) or (divisor.lows == 0).any():
        return None
    return multiply(x[0], Interval(1 / divisor.lows, 1 / divisor.lows, 0))


@_rule("Cast")
def _cast(_b: Bounds, _n: NodeProto, x: list[Interval], a: Mapping[str, Any]) -> Interval | None:
    kind = a["to"]
    if kind == TensorProto.BOOL:
        return BOOLEAN
    if kind in (TensorProto.FLOAT, TensorProto.DOUBLE):
        return x[0] if x[0].step == 0 or x[0].magnitude <= EXACT or kind == TensorProto.DOUBLE else _float32(x[0])
    widths = {TensorProto.INT64: 63, TensorProto.INT32: 31, TensorProto.INT8: 7, TensorProto.UINT8: 8}
    if kind not in widths or x[0].magnitude >= 2.0 ** widths[kind] or (kind == TensorProto.UINT8 and x[0].low < 0):
        return None
    return x[0] if x[0].step else monotone(x[0], np.trunc, step=1)


def _float32(x: Interval) -> Interval:
    """Integers stay integers when they are rounded to float32, on a coarser grid."""
    return Interval(x.lows.astype(np.float32).astype(np.float64), x.highs.astype(np.float32).astype(np.float64), 1)


@_rule("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf")
def _compared(_b: Bounds, _n: NodeProto, _x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return BOOLEAN


@_rule("MatMul")
def _matmul(b: Bounds, n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval | None:
    weights = b.constants.get(n.input[1])
    if weights is None or weights.ndim < 2:
        return None
    result = weighted_sum(x[0].overall(), weights, (weights.ndim - 2,))
    return result if weights.ndim == 2 else result.overall()


@_rule("Gemm")
def _gemm(b: Bounds, n: NodeProto, x: list[Interval], a: Mapping[str, Any]) -> Interval | None:
    weights = b.constants.get(n.input[1])
    if weights is None or a.get("transA"):
        return None
    result = weighted_sum(x[0].overall(), weights, (1 if a.get("transB") else 0,))
    result = multiply(result, of_constant(np.float64(a.get("alpha", 1.0)) * np.ones(())))
    if len(n.input) < 3 or not n.input[2]:
        return result
    return add(result, multiply(x[2], of_constant(np.float64(a.get("beta", 1.0)) * np.ones(()))))


@_rule("Conv")
def _conv(b: Bounds, n: NodeProto, x: list[Interval], a: Mapping[str, Any]) -> Interval | None:
    weights = b.constants.get(n.input[1])
    if weights is None:
        return None
    inside = x[0].overall()
    if any(a.get("pads", [])) or a.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        inside = union(inside, of_constant(np.zeros(())))
    result = weighted_sum(inside, weights, tuple(range(1, weights.ndim)))
    if len(n.input) > 2 and n.input[2]:
        result = add(result, x[2])
    channels = (1, -1) + (1,) * (weights.ndim - 2)
    return Interval(result.lows.reshape(channels), result.highs.reshape(channels), result.step)


@_rule("BatchNormalization")
def _normalised(b: Bounds, n: NodeProto, x: list[Interval], a: Mapping[str, Any]) -> Interval | None:
    parameters = [b.constants.get(t) for t in n.input[1:5]]
    if any(p is None for p in parameters):
        return None
    scale, bias, mean, variance = (np.asarray(p, np.float64) for p in parameters)
    factor = scale / np.sqrt(variance + a.get("epsilon", 1e-5))
    inside = x[0].overall()
    ends = [factor * inside.low + bias - factor * mean, factor * inside.high + bias - factor * mean]
    return reals(np.minimum(*ends), np.maximum(*ends)).overall()


@_rule("ReduceSum")
def _summed(b: Bounds, n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> Interval | None:
    axes = b.constants.get(n.input[1]) if len(n.input) > 1 else None
    if axes is None:
        return None
    inside, count = x[0].overall(), b.terms_of(n.input[0], [int(i) for i in axes])
    if not math.isfinite(count):
        return interval(-math.inf, math.inf, 1 if inside.step else 0)
    return weighted_sum(inside, np.ones((int(count), 1)), (0,)).overall()


@_rule("ReduceMean", "AveragePool", "GlobalAveragePool")
def _averaged(_b: Bounds, _n: NodeProto, x: list[Interval], a: Mapping[str, Any]) -> Interval:
    inside = x[0].overall()
    return reals(np.minimum(inside.lows, 0.0), np.maximum(inside.highs, 0.0))


@_rule("TopK")
def _top(_b: Bounds, _n: NodeProto, x: list[Interval], _a: Mapping[str, Any]) -> list[Interval | None]:
    return [x[0].overall(), interval(0, math.inf, 1)]


@_rule("ArgMax", "ArgMin", "Shape", "Size")
def _index(_b: Bounds, _n: NodeProto, _x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return interval(0, math.inf, 1)


@_rule("Softmax", "Sigmoid", "HardSigmoid")
def _probability(_b: Bounds, _n: NodeProto, _x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return reals(np.zeros(()), np.ones(()))


@_rule("Tanh")
def _tanh(_b: Bounds, _n: NodeProto, _x: list[Interval], _a: Mapping[str, Any]) -> Interval:
    return reals(-np.ones(()), np.ones(()))
