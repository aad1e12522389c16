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
    """A node at which branches meet, with the scale that the values of each have there (None: not one number)."""

    node: Any
    scales: tuple[float | None, ...]
    makers: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether all branches have one and the same scale."""
        return None not in self.scales and len(set(self.scales)) == 1

    @property
    def words(self) -> str:
        """The scales with who makes them."""
        each = zip(self.scales, self.makers, strict=True)
        return " and ".join(f"{'of many numbers' if scale is None else f'{scale:.5g}'} ({by})" for scale, by in each)


def joins(view: View) -> Iterator[Join]:
    """Every join of branches that still have a scale before it."""
    for node in view.nodes:
        tensors = view.dynamic_inputs(node)
        if kind(node) not in _JOINS or len(tensors) < 2:
            continue
        found = [_scale(view, tensor) for tensor in tensors]
        if any(scale is not None for scale in found):
            scales = tuple(1.0 if scale is None else scale[0] for scale in found)
            makers = tuple("no scale" if scale is None else scale[1] for scale in found)
            yield Join(node, scales, makers)


def _scale(view: View, tensor: str) -> tuple[float | None, str] | None:
    """The scale that the values of a tensor have, and who gives it; None where they are integers."""
    node = view.producer(tensor)
    while node is not None and kind(node) in _PASSED:
        tensor = view.dynamic_inputs(node)[0]
        node = view.producer(tensor)
    if node is None or (kind(node) not in _SCALES and node.op_type not in QUANTIZERS):
        return None
    constants = [view.constant(each) for each in node.input if view.is_constant(each)]
    value = constants[0] if constants else None
    if value is None or (node.op_type in QUANTIZERS and value.size == 1 and float(value.item()) == 1.0):
        return None
    return (float(value.item()) if value.size == 1 else None), name(node)


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
