"""Custom steps that only put something before or behind the network: a recipe has words for these.

Taken where the step itself cannot run with what is installed. Only what is known in every part is translated.
"""

from __future__ import annotations

import ast
from typing import Any

_BEFORE = frozenset(
    (
        *("get_tensor_shape", "ToTensor", "export_finn_onnx", "export_qonnx", "export", "ModelWrapper"),
        *("set_tensor_datatype", "transform", "MergeONNXModels", "get_first_global_in"),
    )
)
"""All that a step calls that merges torchvision's ToTensor (x / 255) before the network."""

_EXPORTS = ("export_finn_onnx", "export_qonnx", "export")


def translated(function: ast.FunctionDef) -> tuple[str, Any, str | None] | None:
    """The section of a recipe, its entry and the data type of the input for a step; None for any other step."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    by_name = {_name(call.func): call for call in calls}
    if any(isinstance(node, (ast.If, ast.For, ast.While, ast.Try, ast.With)) for node in ast.walk(function)):
        return None
    if by_name.keys() == {"transform", "InsertTopK"}:
        return _top_k(by_name["InsertTopK"])
    exported = [by_name[name] for name in _EXPORTS if name in by_name]
    if not by_name.keys() <= _BEFORE or "MergeONNXModels" not in by_name or len(exported) != 1:
        return None
    if not exported[0].args or _name(getattr(exported[0].args[0], "func", exported[0].args[0])) != "ToTensor":
        return None
    types = [
        node.slice.value
        for node in ast.walk(function)
        if isinstance(node, ast.Subscript) and _name(node.value) == "DataType" and isinstance(node.slice, ast.Constant)
    ]
    return ("preprocess", "to_tensor", str(types[0])) if len(types) == 1 else None


def _top_k(call: ast.Call) -> tuple[str, Any, str | None] | None:
    given = [*call.args, *(word.value for word in call.keywords if word.arg == "k")]
    if len(given) == 1 and len(call.args) + len(call.keywords) == 1 and isinstance(given[0], ast.Constant):
        return "postprocess", {"top_k": given[0].value}, None
    return None


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
