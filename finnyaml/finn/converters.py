"""Which operators FINN has hardware layers for: read from the sources of the installed FINN, nothing of it imported.

Each converter is a transformation `Infer...` that looks for operators by name (`node.op_type == "Concat"`).
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from finnyaml.finn import identity

_FOLDER = Path("transformation") / "fpgadataflow"
_PLACES = ("convert_to_hw", "convert_to_hw_layers.py", "infer_pixel_padding_deconv.py")
"""Where FINN keeps its converters: a folder with a module for each, or one module in older versions."""

_ELEMENTWISE = Path("custom_op") / "fpgadataflow" / "elementwise_binary.py"
"""Its classes are `Elementwise` with the name of an operator; one converter takes all of them."""

_FLOW = Path("builder") / "build_dataflow_steps.py"


@functools.cache
def converters() -> Mapping[str, tuple[str, ...]]:
    """The names of FINN's converters by the operator that they look for. Empty where FINN is not installed."""
    root = identity.package_root("finn")
    found: dict[str, set[str]] = {}
    for path in _sources(root) if root is not None else ():
        for cls in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(cls, ast.ClassDef) and cls.name.startswith("Infer"):
                for operator in _operators(cls):
                    found.setdefault(operator, set()).add(cls.name)
    elementwise = None if root is None else root / _ELEMENTWISE
    if elementwise is not None and elementwise.is_file():
        for cls in ast.parse(elementwise.read_text(encoding="utf-8")).body:
            if isinstance(cls, ast.ClassDef) and cls.name.startswith("Elementwise"):
                found.setdefault(cls.name.removeprefix("Elementwise"), set()).add("InferElementwiseBinaryOperation")
    return {operator: tuple(sorted(names)) for operator, names in sorted(found.items())}


@functools.cache
def called_by_flow() -> frozenset[str]:
    """The names of all that FINN's own steps call; converters that are not among them no flow of FINN uses."""
    root = identity.package_root("finn")
    path = None if root is None else root / _FLOW
    if path is None or not path.is_file():
        return frozenset()
    calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    named = (call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "") for call in calls)
    return frozenset(named)


def _sources(root: Path) -> Iterator[Path]:
    for place in _PLACES:
        path = root / _FOLDER / place
        if path.is_dir():
            yield from sorted(path.glob("*.py"))
        elif path.is_file():
            yield path


def _operators(cls: ast.ClassDef) -> Iterator[str]:
    """The operators that a class compares `op_type` with, and those that it has in a table."""
    for node in ast.walk(cls):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == "op_type":
            if isinstance(node.ops[0], (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
                yield from _texts(node.comparators[0])
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any("OP" in ast.unparse(target).upper().split("_") for target in targets):
                for key in node.value.keys:
                    yield from _texts(key) if key is not None else ()


def _texts(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
