"""Loads the lowerings of all custom ops; `lower` finds the one of a node."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import Any

from onnx import NodeProto

from finnyaml import plugins
from finnyaml.graph.view import preferred_opset

# imported for the lowerings that they register
from finnyaml.verify.executor import elementwise, hardware, qonnx_ops, streams  # noqa: F401
from finnyaml.verify.executor.base import LOWERINGS, Graph, Lowering, NotLowerable
from finnyaml.verify.executor.interval import Interval
from finnyaml.verify.executor.standard import Operator, lower_standard

STANDARD = ("", "ai.onnx")
NAMESAKES = ("Reshape", "Squeeze", "Unsqueeze")  # FINN layers with the name of a standard operator


def lower(node: NodeProto, graph: Graph, bounds: Mapping[str, Interval]) -> Lowering:
    """Lower one node, or NotLowerable with the reason."""
    kind = Operator if node.domain in STANDARD else Lowering
    lowering = kind(node, _instance(node, graph), graph, bounds)
    live = graph.live.intersection(node.input)
    for tensor in (*(t for t in node.input if t not in graph.constants and t not in live), *node.output):
        if tensor and (not (shape := lowering.shape(tensor)) or shape[0] != 1):
            raise NotLowerable(f"the shape {shape} of {tensor} has no leading dimension of 1 for the batch")
    if isinstance(lowering, Operator):
        if live:
            raise NotLowerable(f"{node.op_type} uses weights that are loaded at run time")
        lower_standard(lowering)
    else:
        name = f"finn.{node.op_type}" if node.domain.startswith("finn.") and node.op_type in NAMESAKES else node.op_type
        name = f"live.{name}" if live else name
        lower_ = plugins.load("lowerings", name) if name in _of_plugins() else LOWERINGS.get(name)
        if lower_ is None or node.domain.endswith(".channels_last"):
            loaded = " whose weights are loaded at run time" if live else ""
            raise NotLowerable(f"no batched form of {node.op_type} ({node.domain}){loaded} is known")
        lower_(lowering)
    made = {t for n in lowering.nodes for t in n.output}
    if missing := [t for t in node.output if t and t not in made]:
        raise NotLowerable(f"its lowering makes no {', '.join(missing)}")
    return lowering


@functools.cache
def _of_plugins() -> Collection[str]:
    """The op types that plug-ins have lowerings for."""
    return frozenset(plugins.installed("lowerings", LOWERINGS))


def _instance(node: NodeProto, graph: Graph) -> Any:
    if node.domain in STANDARD:
        return None
    from qonnx.custom_op.registry import getCustomOp

    try:
        return getCustomOp(node, graph.opsets.get(node.domain, preferred_opset()))
    except KeyError as error:
        raise NotLowerable(f"qonnx knows no {node.op_type} in {node.domain}") from error
