"""Branches that join: whether they join as integers, with one scale behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from finnyaml.graph.view import View, kind, name
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
