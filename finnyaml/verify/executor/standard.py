"""Standard ONNX operators: copied where a batch changes nothing for the single sample, refused where it would.

Also brings the forms of older opsets (axes, limits and sizes as attributes) to those of `base.OPSET`. An operator that
is not named here is not lowered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import NodeProto

from finnyaml.graph.view import attributes
from finnyaml.verify.executor.base import Graph, Lowering, NotLowerable
from finnyaml.verify.executor.interval import EXACT, Interval
from finnyaml.verify.executor.windows import NO_PADS, im2col

ELEMENTWISE = {
    "Abs", "Add", "And", "Cast", "Ceil", "Celu", "Div", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater",
    "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Min",
    "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign",
    "Softplus", "Softsign", "Sqrt", "Sub", "Tanh", "ThresholdedRelu", "Where", "Xor",
}  # fmt: skip
RESHAPING = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
SPATIAL = {
    "AveragePool", "Conv", "ConvTranspose", "DepthToSpace", "GlobalAveragePool", "GlobalMaxPool", "LRN", "MaxPool",
    "InstanceNormalization", "SpaceToDepth",
}  # fmt: skip
REDUCTIONS = {
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
}  # fmt: skip


class Operator(Lowering):
    """A standard node of a model of some opset, with its attributes and what is constant of it."""

    def __init__(self, node: NodeProto, instance: Any, graph: Graph, bounds: Mapping[str, Interval]) -> None:
        super().__init__(node, instance, graph, bounds)
        self.opset, self.attributes = graph.opsets.get(node.domain, graph.opsets.get("", 1)), attributes(node)
        self.dynamic = [t for t in node.input if t and t not in self.constants]

    @property
    def rank(self) -> int:
        """Dimensions of the first input that is not constant."""
        return len(self.shape(self.dynamic[0]))

    def copy(self, inputs: list[str] | None = None, **attributes: Any) -> None:
        """The node as it is, with other inputs and attributes where given."""
        inputs = self.node.input if inputs is None else inputs
        self.outputs(self.node.op_type, inputs, self.node.output, **attributes)

    def argument(self, index: int, name: str) -> list[Any] | None:
        """A list that is an attribute in older opsets, a constant input in newer ones; None: not given."""
        if name in self.attributes:
            value = self.attributes[name]
            return list(value) if isinstance(value, list | tuple) else [value]
        if len(self.node.input) > index and self.node.input[index]:
            return [v.item() for v in self.given(self.node.input[index]).reshape(-1)]
        return None

    def axis(self, default: int) -> int:
        """The attribute `axis`, counted from 0; the batch axis is refused."""
        axis = int(self.attributes.get("axis", default)) % self.rank
        if axis == 0:
            raise NotLowerable(f"{self.node.op_type} along the batch")
        return axis

    def only_first_is_dynamic(self) -> None:
        if self.dynamic != [self.x]:
            raise NotLowerable(f"{self.node.op_type} with a second input that is not constant")


def lower_standard(operator: Operator) -> None:
    """Lower one standard node; NotLowerable if that is not possible or not known."""
    if operator.node.op_type not in RULES:
        raise NotLowerable(f"no batched form of {operator.node.op_type} is known")
    RULES[operator.node.op_type](operator)


def _reshaped(operator: Operator) -> None:
    # both annotated shapes begin with 1 for the batch, so whatever the node says, this is it
    operator.reshape(operator.x, operator.shape(operator.y), operator.y)


def _elementwise(operator: Operator) -> None:
    rank = len(operator.shape(operator.y))
    for tensor in operator.node.input:
        if tensor in operator.constants:
            shape = operator.constants[tensor].shape
            if len(shape) > rank or (len(shape) == rank and shape[0] != 1):
                raise NotLowerable(f"the constant {tensor} has a dimension in the place of the batch")
        elif tensor and len(operator.shape(tensor)) != rank:
            raise NotLowerable("operands of different rank")
    operator.copy(**operator.attributes)


def _clip(operator: Operator) -> None:
    limits = [operator.argument(i, name) for i, name in ((1, "min"), (2, "max"))]
    operator.copy([operator.x, *(operator.constant(np.float32(limit[0])) if limit else "" for limit in limits)])


def _matmul(operator: Operator) -> None:
    left, right = operator.node.input[:2]
    other = operator.constants.get(left, operator.constants.get(right))
    rank = operator.rank
    if left in operator.constants:
        batched = rank >= 3
    elif right in operator.constants:
        batched = rank >= 2
    else:
        batched = rank >= 3 and len(operator.shape(right)) == rank
    if not batched or (other is not None and (other.ndim > rank or (other.ndim == rank > 2 and other.shape[0] != 1))):
        raise NotLowerable("a matrix product whose batch is not a leading dimension")
    operator.copy()


def _gemm(operator: Operator) -> None:
    operator.only_first_is_dynamic()
    if operator.attributes.get("transA"):
        raise NotLowerable("Gemm with its first operand transposed")
    if len(operator.node.input) > 2 and operator.node.input[2]:
        addend = operator.given(operator.node.input[2])
        if addend.ndim == 2 and addend.shape[0] != 1:
            raise NotLowerable("Gemm with an addend per sample")
    operator.copy(**operator.attributes)


def _spatial(operator: Operator) -> None:
    operator.only_first_is_dynamic()
    if operator.rank < 3 or len(operator.node.output) > 1:
        raise NotLowerable(f"{operator.node.op_type} of rank {operator.rank}, {len(operator.node.output)} outputs")
    operator.copy(**operator.attributes)


def _conv(operator: Operator) -> None:
    """A convolution whose integer sums float32 cannot hold becomes windows and a product, which float64 can hold."""
    node = operator.node
    interval, weights = operator.interval(operator.x), operator.constants.get(node.input[1])
    explicit = operator.attributes.get("auto_pad", "NOTSET") == "NOTSET" and operator.attributes.get("group", 1) == 1
    magnitude = 0.0
    if interval.is_integer and weights is not None and weights.ndim == 4:
        magnitude = interval.magnitude * float(np.abs(weights).sum(axis=(1, 2, 3)).max())
    if weights is None or not explicit or not EXACT <= magnitude < np.inf or np.any(weights % 1 != 0):
        _spatial(operator)
        return
    shape = operator.shape(operator.x)
    x = operator.op("Transpose", [operator.x], perm=[0, 2, 3, 1])
    stride, dilation = (operator.attributes.get(name, [1, 1]) for name in ("strides", "dilations"))
    pads = operator.attributes.get("pads", NO_PADS)
    x = im2col(operator, x, [shape[0], *shape[2:], shape[1]], weights.shape[2:], stride, dilation, pads)
    matrix = weights.transpose(2, 3, 1, 0).reshape(-1, weights.shape[0])
    x = operator.op("MatMul", [x, operator.constant(matrix)])
    if len(node.input) > 2 and node.input[2]:
        x = operator.op("Add", [x, node.input[2]])
    operator.op("Transpose", [x], operator.y, perm=[0, 3, 1, 2])


def _batch_normalization(operator: Operator) -> None:
    operator.only_first_is_dynamic()
    if operator.attributes.get("training_mode") or len(operator.node.output) > 1 or operator.rank < 2:
        raise NotLowerable("batch normalisation in training")
    operator.copy(epsilon=operator.attributes.get("epsilon", 1e-5))


def _layer_normalization(operator: Operator) -> None:
    operator.only_first_is_dynamic()
    operator.axis(-1)
    if len(operator.node.output) > 1:
        raise NotLowerable("layer normalisation in training")
    operator.copy(**operator.attributes)


def _transpose(operator: Operator) -> None:
    permutation = operator.attributes.get("perm")
    if not permutation or permutation[0] != 0:
        raise NotLowerable("a transposition that moves the batch")
    operator.copy(perm=permutation)


def _concat(operator: Operator) -> None:
    if len(operator.dynamic) != len(operator.node.input):
        raise NotLowerable("a concatenation with a constant")
    operator.copy(axis=operator.axis(0))


def _split(operator: Operator) -> None:
    axis = operator.axis(0)
    sizes = [operator.shape(t)[axis] for t in operator.node.output]
    operator.copy([operator.x, operator.ints(*sizes)], axis=axis)


def _slice(operator: Operator) -> None:
    operator.only_first_is_dynamic()
    starts, ends = operator.argument(1, "starts"), operator.argument(2, "ends")
    if starts is None or ends is None:
        raise NotLowerable("a slice without limits")
    axes = operator.argument(3, "axes") or list(range(len(starts)))
    steps = operator.argument(4, "steps") or [1] * len(starts)
    if any(axis % operator.rank == 0 for axis in axes):
        raise NotLowerable("a slice of the batch")
    operator.copy([operator.x, *(operator.ints(*v) for v in (starts, ends, axes, steps))])


def _gather(operator: Operator) -> None:
    data, index = operator.node.input[:2]
    if data not in operator.constants:
        operator.given(index)
        operator.copy(axis=operator.axis(0))
    elif operator.attributes.get("axis", 0) != 0:
        raise NotLowerable("a look-up along an inner axis")
    else:
        operator.copy(axis=0)


def _pad(operator: Operator) -> None:
    operator.only_first_is_dynamic()
    amounts = operator.argument(1, "pads")
    if amounts is None or len(amounts) != 2 * operator.rank or amounts[0] or amounts[operator.rank]:
        raise NotLowerable("padding of the batch, or of some axes only")
    value = (operator.argument(2, "value") or [0.0])[0]
    inputs = [operator.x, operator.ints(*amounts), operator.constant(np.float32(value))]
    operator.copy(inputs, mode=operator.attributes.get("mode", "constant"))


def _softmax(operator: Operator) -> None:
    axis = operator.axis(-1 if operator.opset >= 13 else 1)
    if operator.opset < 13 and axis != operator.rank - 1:
        raise NotLowerable("softmax over several axes")
    operator.copy(axis=axis)


def _topk(operator: Operator) -> None:
    number = operator.argument(1, "k")
    if number is None:
        raise NotLowerable("TopK without a number")
    rest = {name: operator.attributes.get(name, 1) for name in ("largest", "sorted")}
    operator.copy([operator.x, operator.ints(*number)], axis=operator.axis(-1), **rest)


def _arg(operator: Operator) -> None:
    operator.copy(**{**operator.attributes, "axis": operator.axis(0)})


def _reduce(operator: Operator) -> None:
    axes = operator.argument(1, "axes")
    if not axes:
        raise NotLowerable(f"{operator.node.op_type} over all axes")
    keepdims = bool(operator.attributes.get("keepdims", 1))
    axes = [axis % operator.rank for axis in axes]
    operator.reduce(operator.node.op_type, operator.x, axes, operator.y, keepdims)


def _resize(operator: Operator) -> None:
    if operator.opset < 11 or len(operator.node.input) < 3 or not operator.node.input[2]:
        raise NotLowerable("Resize without scales")
    if operator.given(operator.node.input[2]).reshape(-1)[0] != 1:
        raise NotLowerable("Resize of the batch")
    operator.copy([operator.x, "", operator.node.input[2]], **operator.attributes)


def _tile(operator: Operator) -> None:
    if operator.given(operator.node.input[1]).reshape(-1)[0] != 1:
        raise NotLowerable("Tile of the batch")
    operator.copy()


def _dropout(operator: Operator) -> None:
    if len(operator.node.output) > 1:
        raise NotLowerable("Dropout with a mask")
    operator.op("Identity", [operator.x], operator.y)


RULES: dict[str, Callable[[Operator], None]] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(RESHAPING, _reshaped),
    **dict.fromkeys(SPATIAL, _spatial),
    **dict.fromkeys(REDUCTIONS, _reduce),
    "ArgMax": _arg,
    "ArgMin": _arg,
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Dropout": _dropout,
    "Gather": _gather,
    "Gemm": _gemm,
    "LayerNormalization": _layer_normalization,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "Pad": _pad,
    "Resize": _resize,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Tile": _tile,
    "TopK": _topk,
    "Transpose": _transpose,
}
