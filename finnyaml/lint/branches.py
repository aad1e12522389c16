"""Branches that join: whether they join as integers, with one scale behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from finnyaml.graph.operators import PASSING
from finnyaml.graph.view import View, attributes, kind, name
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.quantizers import QUANTIZERS
from finnyaml.lint.rules import Stage, checks, finding

_JOINS = frozenset(("Add", "Concat", "ElementwiseAdd"))
_SCALES = frozenset(("Mul", "ElementwiseMul"))
_PASSED = frozenset(("Flatten", "MaxPool", "MaxPoolNHWC", "Reshape", "Transpose", "Shuffle"))


@dataclass(frozen=True)
class Join:
    """A node at which branches meet, with the scale of each (None: not one number), and that in words."""

    node: Any
    scales: tuple[float | None, ...]
    words: str

    @property
    def equal(self) -> bool:
        """Whether all branches have one and the same scale."""
        return None not in self.scales and len(set(self.scales)) == 1


def joins(view: View) -> Iterator[Join]:
    """Every join of branches of which one at least has a scale before it."""
    for node in view.nodes:
        tensors = view.dynamic_inputs(node)
        if kind(node) in _JOINS and len(tensors) > 1:
            found = [_scale(view, tensor) for tensor in tensors]
            if any(scaled for _, _, scaled in found):
                words = " and ".join(words for _, words, _ in found)
                yield Join(node, tuple(scale for scale, _, _ in found), words)


def _scale(view: View, tensor: str) -> tuple[float | None, str, bool]:
    """The scale of a tensor's values, that in words, and whether it is one that could move behind a join."""
    node = view.producer(tensor)
    while node is not None and kind(node) in _PASSED:
        tensor = view.dynamic_inputs(node)[0]
        node = view.producer(tensor)
    scaling = node is not None and (kind(node) in _SCALES or node.op_type in QUANTIZERS)
    constants = [view.constant(each) for each in node.input if view.is_constant(each)] if scaling else []
    if constants and constants[0] is not None:
        value = constants[0]
        if value.size == 1:
            scale = float(value.item())
            return scale, f"{scale:.5g} ({name(node)})", not (scale == 1.0 and view.datatype(tensor).is_integer())
        return None, f"one per channel ({name(node)})", True
    if view.datatype(tensor).is_integer():
        return 1.0, "1 (integers)", False
    return None, f"none, since nothing quantizes it ({name(node) if node is not None else tensor})", False


@checks("branches-not-streamlined")
def _branches(view: View, stage: Stage) -> Iterator[Finding]:
    for join in joins(view):
        what = f"{name(join.node)} ({join.node.op_type}) joins branches with the scales {join.words}"
        if join.equal:
            yield finding(
                "branches-not-streamlined",
                f"{what}. FINN's streamline moves scales past no fork and no join: layers behind them get floats",
                node=name(join.node),
                hint="insert the step streamline_branches after streamline: exact",
            )
        else:
            yield finding(
                "branches-not-streamlined",
                f"{what}. Integers can be joined only where one scale stands for all: otherwise the join, and the "
                "layers next to it, are left in floating point, or between hardware layers",
                node=name(join.node),
                hint="let all branches end in one and the same quantizer module (its scale is then shared), train so, "
                "and insert the step streamline_branches after streamline",
                repair=None,
            )


_PRODUCTS = frozenset(("Conv", "Gemm", "MatMul", "XnorPopcountMatMul"))


def joined_bits(view: View, node: Any) -> Any:
    """The Concat through which a product of binary weights gets binary values; None for any other node."""
    if node.op_type not in _PRODUCTS or len(node.input) < 2:
        return None
    weights = view.producer(str(node.input[1]))
    binary = weights is not None and weights.op_type == "BipolarQuant"
    if not binary and view.datatype(node.input[1]).name not in ("BIPOLAR", "BINARY"):
        return None
    todo, join = [(str(node.input[0]), None)], None
    while todo:
        tensor, passed = todo.pop()
        maker = view.producer(tensor)
        if maker is None:
            continue
        if maker.op_type in PASSING:
            joins_here = maker.op_type == "Concat" and len(view.dynamic_inputs(maker)) > 1
            for source in maker.input if maker.op_type == "Concat" else maker.input[:1]:
                todo.append((str(source), maker if joins_here else passed))
        elif passed is not None and _is_sign(maker):
            join = passed
    return join


def _is_sign(node: Any) -> bool:
    signs = node.op_type == "MultiThreshold" and attributes(node).get("out_dtype") == "BIPOLAR"
    return signs or node.op_type == "BipolarQuant"


@checks("binary-values-joined")
def _joined_bits(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        join = joined_bits(view, node)
        if join is not None:
            yield finding(
                "binary-values-joined",
                f"{name(node)} ({node.op_type}) multiplies binary weights with values of -1 and +1 that "
                f"{name(join)} ({join.op_type}) joins: streamline makes bits of one branch only, and the accuracy "
                "falls without a word",
                node=name(node),
                hint="insert the step represent_bipolar after tidy_up (exact, no retraining), and streamline_branches "
                "after streamline",
            )
