"""Which module of the network a node was made of, in the words of its author."""

from __future__ import annotations

import ast
from typing import Any

from finnyaml.graph.layers import Graph

SCOPES = "pkg.torch.onnx.name_scopes"
"""Node metadata: the PyTorch module a node came from, as a list of module names, the operation last."""

_INNER = ("act_quant", "weight_quant", "bias_quant", "input_quant", "output_quant", "export_handler")
"""Parts of a module of Brevitas that no author writes."""

_FAR = 12
"""So many nodes before a node its origin is looked for: FINN's own nodes have none."""


def module_of(node: Any) -> str | None:
    """The module (`features.3`) that an exported node was made of; "" for the network itself, None where unknown."""
    for entry in node.metadata_props:
        if entry.key == SCOPES:
            try:
                scopes = ast.literal_eval(entry.value)
            except (SyntaxError, ValueError):
                return None
            names = [str(scope) for scope in scopes[:-1]] or [""]
            parts: list[str] = []
            for part in names[-1].split("."):
                if part in _INNER:
                    break
                parts.append(part)
            return ".".join(parts)
    return None


def origin(graph: Graph, node: Any) -> str | None:
    """Where a node stands in the network: its module, else that of the nearest before it, else the layer in words."""
    own = module_of(node)
    if own:
        return f"made of the module {own}"
    todo = [(tensor, 1) for tensor in graph.dynamic_inputs(node)]
    for tensor, far in todo:
        before = graph.producer(tensor)
        if before is None or far > _FAR:
            continue
        if found := module_of(before):
            return f"behind the module {found}"
        todo += [(other, far + 1) for other in graph.dynamic_inputs(before) if (other, far + 1) not in todo]
    outputs = [tensor for tensor in node.output if graph.producer(tensor) is not None]
    return f"the {graph.words(outputs[0])}" if outputs and any(map(graph.is_layer, graph.nodes)) else None
