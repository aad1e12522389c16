"""`final_hw_config.json`: folding and memory attributes of every hardware layer, as FINN's folding files have them."""

from __future__ import annotations

import ast
import functools
import inspect
import json
from pathlib import Path
from typing import Any

from qonnx.custom_op.registry import getCustomOp

from finnyaml.finn.door import open_door
from finnyaml.graph.view import style


@functools.cache
def attributes() -> frozenset[str]:
    """The layer attributes that FINN itself writes into folding files: every `hw_attrs` list of its steps."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(open_door().steps_module))):
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "hw_attrs" for target in node.targets):
            names.update(str(item.value) for item in ast.walk(node.value) if isinstance(item, ast.Constant))
    return frozenset(names)


def write(model: Any, path: Path) -> None:
    """Write the configuration of a model's specialised layers; nothing where it has none yet.

    FINN itself writes this file in some of its steps only, so until then users have to collect it by hand.
    """
    config: dict[str, Any] = {"Defaults": {}}
    for node in model.graph.node:
        if style(node):
            layer = getCustomOp(node)
            names = sorted(attributes() & layer.get_nodeattr_types().keys())
            config[node.name] = {name: _plain(layer.get_nodeattr(name)) for name in names}
    if len(config) > 1:
        path.write_text(json.dumps(config, indent=2) + "\n")


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
