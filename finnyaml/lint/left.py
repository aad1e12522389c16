"""Why FINN has left a node as it is: whether it has a converter at all is asked from FINN, its conditions are here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from onnx import NodeProto

from finnyaml.finn.converters import called_by_flow, converters
from finnyaml.graph.view import View, attributes, is_hardware, name
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.layers import AVERAGES, EVERY, LAYERS, why_not_repeating, window
from finnyaml.lint.rules import Stage, checks, finding

LINEAR = frozenset(("Add", "BatchNormalization", "Div", "Mul", "Sub"))
"""Float operators that streamlining is there to take away, and that FINN maps into hardware where it does not."""


class Answer(NamedTuple):
    """Why a node is left, what to do, and the step of finnyaml that does it, where there is one."""

    reason: str
    hint: str
    repair: str | None = None


Said = tuple[str, str]
"""Why, and what to do."""

_STEP = re.compile(r"^insert the step (\w+) ")
"""How a hint begins that names a step of finnyaml."""


def _answer(reason: str, hint: str) -> Answer:
    step = _STEP.match(hint)
    return Answer(reason, hint, step[1] if step else None)


_QUANTIZE = "put a quantizer before it, and look for scales that streamlining left there"
_OUT = "move it to the ends of the network, or take it out"


NOTHING = frozenset(
    (
        *("GRU", "GridSample", "GroupNormalization", "If", "InstanceNormalization", "LSTM", "Loop", "RNN", "Scan"),
        *("BitShift", "DepthToSpace", "Det", "NonZero", "ScatterND", "SpaceToDepth", "CumSum"),
    )
)
"""Operators that nothing in FINN's flow takes away, so that a converter is all that could help."""


@checks("operator-without-hardware")
def _nothing(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        if node.op_type in NOTHING and converters() and node.op_type not in converters():
            behind = [user for user in view.below(node.output, EVERY) if user.op_type in LAYERS or is_hardware(user)]
            if behind:
                yield finding(
                    "operator-without-hardware",
                    f"{name(node)} ({node.op_type}) has no hardware layer in this FINN, and {name(behind[0])} "
                    f"({behind[0].op_type}) is behind it",
                    node=name(node),
                    hint=_INSTEAD.get(node.op_type, _OUT),
                )


def why_left(view: View, node: NodeProto) -> Answer:
    """Why FINN left this node as it is, and what to do or to write instead."""
    special = _SPECIAL.get(node.op_type)
    found = special(view, node) if special is not None else None
    return _answer(*(found or _general(view, node)))


def _general(view: View, node: NodeProto) -> Said:
    """Whether FINN has a converter for a node at all, and what all of them ask for."""
    known = converters()
    if known and node.op_type not in known:
        return f"FINN has no hardware layer for {node.op_type}", _INSTEAD.get(node.op_type, _OUT)
    floats = _floats(view, view.dynamic_inputs(node))
    if floats:
        return f"{_made(view, floats[0])}, and FINN's layer takes integers", _QUANTIZE
    names = " and ".join(known.get(node.op_type, ()))
    unused = [each for each in known.get(node.op_type, ()) if each not in called_by_flow()]
    if unused and len(unused) == len(known[node.op_type]):
        return (
            f"FINN has {names} for it, and no step of its flow calls that",
            f"insert a step of yours with {unused[0]}",
        )
    return f"{names} of FINN did not take it as it is", "see in FINN's sources what it asks for, or " + _OUT


_INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(
        ("LeakyRelu", "PRelu", "Elu", "Celu", "Softplus", "HardSigmoid", "HardSwish", "Clip", "Selu", "Mish"),
        "put a quantizer behind it and insert the step absorb_activations after tidy_up; or use ReLU",
    ),
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN", "Scan", "Loop", "If"), "FINN builds feed-forward networks: use convolutions over time"
    ),
    "GridSample": "use convolutions, pooling, or upsampling (nearest)",
    "InstanceNormalization": "use BatchNorm, which becomes part of the thresholds",
    "GroupNormalization": "use BatchNorm, which becomes part of the thresholds",
    "Slice": "cut the data on the host, or use a convolution whose weights choose",
    "DepthToSpace": "use nearest upsampling and a convolution, or a transposed convolution, in place of PixelShuffle",
    "ArgMax": "leave it out and say `postprocess: [top_k: 1]`",
}
"""What to write instead of operators for which FINN has nothing."""


def _floats(view: View, tensors: Iterable[str]) -> list[str]:
    return [tensor for tensor in tensors if view.shape(tensor) and not view.datatype(tensor).is_integer()]


def _made(view: View, tensor: str) -> str:
    """A tensor that is not integer, with who made it."""
    maker = view.producer(tensor)
    by = f", made by {name(maker)} ({maker.op_type})" if maker is not None else ""
    return f"its operand {tensor}{by} is {view.datatype(tensor).name}"


def _last_axis(view: View, node: NodeProto) -> bool:
    axis, rank = attributes(node).get("axis"), len(view.shape(node.input[0]))
    return axis is None or int(axis) in (-1, rank - 1)


def _matmul(view: View, node: NodeProto) -> Said | None:
    floats = _floats(view, node.input)
    if floats:
        return f"{_made(view, floats[0])}, and FINN multiplies integers only", _QUANTIZE
    if len(view.dynamic_inputs(node)) > 1:
        return "both operands depend on the data, and FINN multiplies with stored weights", _OUT
    return None


def _concat(view: View, node: NodeProto) -> Said | None:
    stored = [tensor for tensor in node.input if view.is_constant(tensor)]
    if stored:
        return f"its operand {stored[0]} is a constant, and FINN joins streams of data", "join it on the host"
    floats = _floats(view, node.input)
    if floats:
        return (
            f"{_made(view, floats[0])}, and FINN's InferConcatLayer joins integers",
            "let all branches end in one shared quantizer (one scale), and insert the step streamline_branches after "
            "streamline",
        )
    if not _last_axis(view, node):
        return (
            f"it joins along axis {attributes(node).get('axis')} of {len(view.shape(node.input[0]))}, and FINN's "
            "InferConcatLayer joins along the last (channels last)",
            "insert the step streamline_branches after streamline: exact",
        )
    return None


def _split(view: View, node: NodeProto) -> Said | None:
    floats = _floats(view, node.input[:1])
    if floats:
        reason = f"{_made(view, floats[0])}, and FINN's InferSplitLayer splits integers"
        return (
            reason,
            "insert the step streamline_branches after streamline; if that is there, put a quantizer before it",
        )
    if not _last_axis(view, node):
        return (
            f"it splits along axis {attributes(node).get('axis')}, and FINN's InferSplitLayer along the last "
            "(channels last)",
            "insert the step streamline_branches after streamline: exact",
        )
    if len(node.input) != 2:
        return "it has no list of sizes", "give torch.split the sizes of all parts: torch.split(x, [4, 4], 1)"
    return None


def _resize(view: View, node: NodeProto) -> Said | None:
    reason = why_not_repeating(view, node)
    if reason is not None:
        return reason, "use nn.Upsample(scale_factor=2, mode='nearest'), or a transposed convolution"
    floats = _floats(view, node.input[:1])
    if floats:
        return f"{_made(view, floats[0])}, and FINN's InferUpsample takes integers", _QUANTIZE
    return (
        "FINN's InferUpsample takes channels last, and convert_to_hw does not call it for a Resize",
        "insert the step upsample_nearest after streamline: exact",
    )


def _average(view: View, node: NodeProto) -> Said | None:
    found = window(view, node)
    if isinstance(found, str):
        return found, "pool without padding, or use max-pooling or a convolution with a stride"
    return (
        "FINN's pooling layer sums integers, and this averages",
        "insert the step sum_pools after tidy_up: a sum and one scale, exact",
    )


def _pool(view: View, node: NodeProto) -> Said | None:
    written = attributes(node)
    floats = _floats(view, node.input[:1])
    if floats:
        return f"{_made(view, floats[0])}, and FINN pools integers only", _QUANTIZE
    kernel, strides = written.get("kernel_shape", ()), written.get("strides", ())
    if any(size < step for size, step in zip(kernel, strides, strict=False)):
        return (
            f"its stride {list(strides)} is larger than its kernel {list(kernel)}",
            "make the kernel as large as the stride",
        )
    if len(view.shape(node.input[0])) != 4:
        return "it does not pool over two dimensions", "insert the step lift_to_4d after tidy_up"
    return "it is channels first", "insert a step with MakeMaxPoolNHWC after streamline"


def _im2col(view: View, node: NodeProto) -> Said | None:
    floats = _floats(view, node.input[:1])
    if floats:
        return f"{_made(view, floats[0])}, and FINN's sliding window takes integers only", _QUANTIZE
    return "FINN's sliding window does not take these parameters", _OUT


def _threshold(view: View, node: NodeProto) -> Said | None:
    return (
        f"its input is {view.datatype(node.input[0]).name} and its thresholds {view.datatype(node.input[1]).name}",
        _OUT,
    )


def _linear(view: View, node: NodeProto) -> Said | None:
    types = " and ".join(str(view.datatype(tensor).name) for tensor in node.input)
    return f"its operands are {types}", _OUT


def _always(reason: str, hint: str) -> Callable[[View, NodeProto], Said | None]:
    return lambda view, node: (reason, hint)


_SPECIAL: Mapping[str, Callable[[View, Any], Said | None]] = {
    "MatMul": _matmul,
    "Concat": _concat,
    "Split": _split,
    "Resize": _resize,
    "Upsample": _resize,
    **dict.fromkeys(sorted(AVERAGES), _average),
    "MaxPool": _pool,
    "MaxPoolNHWC": _pool,
    "Im2Col": _im2col,
    "MultiThreshold": _threshold,
    **dict.fromkeys(sorted(LINEAR - {"BatchNormalization"}), _linear),
    "BatchNormalization": _always(
        "streamlining has not absorbed it into thresholds", "put a quantizer behind it, in the same branch"
    ),
    "Conv": _always(
        "streamlining has not lowered it to a matrix product", "insert a step with LowerConvsToMatMul after streamline"
    ),
    "ConvTranspose": _always(
        "no step of FINN's flow lowers it", "insert the step lower_transposed_convolutions after tidy_up: exact"
    ),
    "Transpose": _always(
        "the layout changes inside the accelerator, which streamlining should have moved to its ends",
        "insert a step with AbsorbTransposeIntoMultiThreshold or AbsorbConsecutiveTransposes after streamline",
    ),
}
"""The conditions of converters, by operator; None where none of them fails."""
