"""Where in a graph an exception came from: the transformation, the node, its place in the network.

FINN, qonnx and the libraries below them raise what Python raises ("list index out of range"). What they were at stands
in the frames of the traceback.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from finnyaml.graph.origin import origin

_NODES = ("node", "n", "onnx_node", "dyn_node", "q_node", "consumer", "producer")
"""What FINN and qonnx call the node that they are at, the surest first."""


@dataclass(frozen=True)
class Place:
    """The innermost transformation and node (name and operator) of an exception, and where that is in the network."""

    transformation: str | None = None
    node: str | None = None
    op_type: str | None = None
    where: str | None = None

    def __str__(self) -> str:
        parts = [f"in {self.transformation}"] if self.transformation else []
        if self.node or self.op_type:
            parts.append(f"at {self.node or 'a node'} ({self.op_type})")
        if self.where:
            parts.append(self.where)
        return ", ".join(parts)


def place_of(error: BaseException) -> Place:
    """What the traceback of `error` tells, also where it was raised in place of another."""
    transformation = node = model = None
    for frame in _frames(error):
        transformation = transformation or _transformation(frame)
        node = node if node is not None else _node(frame)
        model = model if model is not None else _model(frame)
    node = node if node is not None else _named(model, str(error))
    if node is None:
        return Place(transformation)
    return Place(transformation, str(node.name) or None, str(node.op_type), _where(model, node))


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames of an exception and of those that it was raised from, the innermost first."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and cause is not error:
        yield from _frames(cause)
    yield from reversed([frame for frame, _ in traceback.walk_tb(error.__traceback__)])


def _transformation(frame: FrameType) -> str | None:
    base = getattr(sys.modules.get("qonnx.transformation.base"), "Transformation", None)
    this = frame.f_locals.get("self")
    return type(this).__name__ if base is not None and isinstance(this, base) else None


def _node(frame: FrameType) -> Any:
    kind = getattr(sys.modules.get("onnx"), "NodeProto", None)
    if kind is None or "finnyaml" in frame.f_globals.get("__name__", ""):
        return None
    here = [frame.f_locals.get(name) for name in _NODES]
    own = vars(frame.f_locals["self"]) if hasattr(frame.f_locals.get("self"), "__dict__") else {}
    here += [own.get("onnx_node"), own.get("_q_node")]
    return next((value for value in here if isinstance(value, kind)), None)


def _model(frame: FrameType) -> Any:
    kind = getattr(sys.modules.get("qonnx.core.modelwrapper"), "ModelWrapper", None)
    own = vars(frame.f_locals["self"]) if hasattr(frame.f_locals.get("self"), "__dict__") else {}
    here = [frame.f_locals.get("model"), own.get("_model")]
    return next((value for value in here if kind is not None and isinstance(value, kind)), None)


def _named(model: Any, sentence: str) -> Any:
    """The first node of a model that a sentence names."""
    nodes = {str(node.name): node for node in model.graph.node if node.name} if model is not None else {}
    return next((nodes[word] for word in re.findall(r"\w+", sentence) if word in nodes), None)


def _where(model: Any, node: Any) -> str | None:
    if model is None:
        return None
    from finnyaml.graph.layers import Graph

    try:
        return origin(Graph(model), node)
    except Exception:  # the graph is half changed: what can be said is said without it
        return None
