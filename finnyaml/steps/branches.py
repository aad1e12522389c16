"""Scales and transposes pass forks and joins, so that branches compute with integers. Runs in workers."""

from __future__ import annotations

import copy

from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.finn.door import branches
from finnyaml.graph.surgery import Repaired
from finnyaml.graph.view import View, name
from finnyaml.lint.branches import joins


def streamline_branches(model: ModelWrapper) -> Repaired:
    """Move scales and transposes past forks and joins, by FINN's own transformations.

    `streamline` stops at forks and joins. What stands before a join is moved behind it where it is the same in all
    branches: one scale, one transpose. Belongs after `streamline`, before `convert_to_hw`.

    Joins of branches with scales of their own are named in the notes; they stay as they are.
    """
    view = View(model)
    found = list(joins(view))
    if not found and not any(len(view.consumers(tensor)) > 1 for node in view.nodes for tensor in node.output):
        return Repaired(copy.deepcopy(model), ())
    made = branches(copy.deepcopy(model))
    left = list(joins(View(made)))
    notes = [f"{name(join.node)} joins scales {join.words}: they stay before it" for join in left]
    changes = [f"{name(join.node)} ({join.node.op_type}) joins integers" for join in found if join.equal]
    return Repaired(made, tuple(changes) or ("scales and transposes have passed the forks",), tuple(notes))
