"""Activation functions before quantizers: what can become thresholds, and what FINN makes of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from finnyaml.graph.view import View, attributes, is_hardware, kind, name
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.quantizers import QUANTIZERS
from finnyaml.lint.rules import Stage, checks, finding

RISING = frozenset(
    (
        *("Atan", "Asinh", "Ceil", "Celu", "Clip", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "Identity"),
        *("LeakyRelu", "PRelu", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Tanh"),
        "ThresholdedRelu",
    )
)
"""Functions of one value that never fall (with slopes that are not negative)."""

DIPPING = frozenset(("Gelu", "HardSwish", "Mish", "Swish"))
"""Functions that fall from 0 to one lowest value, and rise from there: all of them below 0 at x < 0."""

_LINEAR = frozenset(("Add", "Sub", "Mul", "Div"))
_SLOPES = ("alpha", "gamma")


@dataclass(frozen=True)
class Chain:
    """The nodes, first to last, through which the values of `source` pass before a quantizer; `dips` as `DIPPING`."""

    source: str
    nodes: tuple[Any, ...]
    dips: bool


def chain_before(view: View, quantizer: Any) -> Chain | None:
    """The functions before a MultiThreshold that can become part of its thresholds; None where there are none.

    Scales and biases between and behind them count with them; those before the first are left to streamlining.
    """
    nodes: list[Any] = []
    tensor = str(quantizer.input[0])
    functions = 0
    dips = False
    kept: tuple[list[Any], str] | None = None
    while len(view.consumers(tensor)) <= 2 and (node := view.producer(tensor)) is not None:
        pair = _product_with_sigmoid(view, node)
        if pair is not None:
            inner, source = pair
            nodes[:0] = [inner, node]
            functions, dips, tensor = functions + 1, True, source
            kept = (list(nodes), tensor)
            break  # before a dip, a function that rises would have to be looked at with it
        if len(view.consumers(tensor)) != 1 or len(view.dynamic_inputs(node)) != 1 or len(node.output) != 1:
            break
        if node.op_type in DIPPING:
            nodes.insert(0, node)
            functions, dips, tensor = functions + 1, True, view.dynamic_inputs(node)[0]
            kept = (list(nodes), tensor)
            break
        if node.op_type in RISING and _rises(view, node):
            functions += 1
        elif not (node.op_type in _LINEAR and _rises(view, node)):
            break
        nodes.insert(0, node)
        tensor = view.dynamic_inputs(node)[0]
        if node.op_type in RISING:
            kept = (list(nodes), tensor)
    if kept is None or not functions:
        return None
    chain = Chain(kept[1], tuple(kept[0]), dips)
    return chain if all(_per_channel(view, node, quantizer) for node in chain.nodes) else None


def _product_with_sigmoid(view: View, node: Any) -> tuple[Any, str] | None:
    """The Sigmoid and the source x of x * sigmoid(x) (SiLU), where a node is that."""
    if node.op_type != "Mul" or len(view.dynamic_inputs(node)) != 2:
        return None
    for left, right in (tuple(node.input), tuple(reversed(node.input))):
        inner = view.producer(right)
        if inner is not None and inner.op_type in ("Sigmoid", "HardSigmoid") and inner.input[0] == left:
            return (inner, str(left)) if len(view.consumers(right)) == 1 else None
    return None


def _rises(view: View, node: Any) -> bool:
    """Whether a function or an operation with constants never falls."""
    written = attributes(node)
    constants = [view.constant(tensor) for tensor in node.input if tensor and view.is_constant(tensor)]
    if node.op_type in ("PRelu", "Mul"):
        return all(bool((value >= 0).all()) for value in constants if value is not None)
    if node.op_type == "Div":  # by a constant; a constant divided by a value falls
        divisor = view.constant(node.input[1])
        return divisor is not None and bool((divisor > 0).all())
    if node.op_type == "Sub":
        return view.is_constant(node.input[1])
    return all(float(written.get(slope, 1.0)) >= 0 for slope in _SLOPES)


def channel_axis(view: View, quantizer: Any) -> int:
    """The axis of the channels of a MultiThreshold."""
    layout = attributes(quantizer).get("data_layout") or ""
    return layout.index("C") if "C" in layout else 1


def _per_channel(view: View, node: Any, quantizer: Any) -> bool:
    """Whether all constants of a node are one number, or one for each channel."""
    rank, axis = len(view.shape(quantizer.input[0])), channel_axis(view, quantizer)
    for tensor in node.input:
        value = view.constant(tensor) if tensor else None
        if value is not None and value.size > 1:
            shape = (1,) * (rank - value.ndim) + value.shape
            if len(shape) != rank or any(size > 1 for index, size in enumerate(shape) if index != axis):
                return False
    return True


_APPROXIMATED = "PWPolyF"
"""FINN's layer for functions: a few pieces of polynomials, in floating point."""

_TAKEN = frozenset(("Relu", "Selu"))
"""Functions that FINN's conversion makes a part of the thresholds by itself, where they stand right before."""


def _quantized(view: View, node: Any) -> bool:
    """Whether a hardware layer's values reach thresholds, through products at most."""
    through = ("ElementwiseMul", "ElementwiseAdd", "DuplicateStreams", _APPROXIMATED)
    return any(kind(user) == "Thresholding" for user in view.below(node.output, through))


@checks("activation-before-quantizer")
def _activation(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        if kind(node) == _APPROXIMATED and _quantized(view, node):
            yield finding(
                "activation-before-quantizer",
                f"{name(node)} computes {attributes(node).get('func', 'a function')} in floating point, only about "
                "right, and a quantizer follows",
                node=name(node),
                hint="insert the step absorb_activations after tidy_up: the function becomes a part of the thresholds, "
                "exact and for nothing",
            )
        quantizer = node.op_type in QUANTIZERS and bool(view.dynamic_inputs(node))
        if not (quantizer or node.op_type == "MultiThreshold") or is_hardware(node):
            continue
        chain = chain_before(view, node)
        functions = [one for one in chain.nodes if one.op_type not in _LINEAR] if chain is not None else []
        if not functions or (quantizer and len(functions) == 1 and functions[0].op_type in _TAKEN):
            continue
        words = " and ".join(dict.fromkeys(str(one.op_type) for one in functions))
        yield finding(
            "activation-before-quantizer",
            f"{words} stands before the quantizer {name(node)}: FINN computes it in floating point, only about right, "
            "or has no layer for it",
            node=name(functions[0]),
            hint="insert the step absorb_activations after tidy_up: the function becomes a part of the thresholds, "
            "exact and for nothing",
        )
