"""The ports of every cell, as elaboration with the cell's parameters gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnyaml.errors import StepFailed
from finnyaml.rtl.block_design import Cell

_DIRECTIONS = {"In": "input", "Out": "output"}


@dataclass(frozen=True)
class Port:
    """direction: "input" or "output". width: in bits."""

    direction: str
    width: int


def ports(cells: Sequence[Cell], files: Sequence[Path]) -> dict[str, dict[str, Port]]:
    """Path of a cell to its ports, by name in the order of their declaration.

    Only headers are elaborated: what is inside of modules need not be to this elaborator's taste (primitives of the
    vendor are unknown, say), and FINN's wrappers use parameters before they declare them.
    Raises StepFailed: a module is not in the files; a port is not a vector of bits, or its width cannot be found.
    """
    from pyslang import Bag, SourceManager, ast, syntax

    manager = SourceManager()
    options = ast.CompilationOptions()
    options.flags = ast.CompilationFlags.AllowUseBeforeDeclare
    compilation = ast.Compilation(Bag([options]))
    for file in files:
        compilation.addSyntaxTree(syntax.SyntaxTree.fromFile(str(file), manager))
    heads = {f"finnyaml_head_{number}": cell for number, cell in enumerate(cells)}
    text = "".join(f"module {name}; {instance(cell, 'cell_')} (); endmodule\n" for name, cell in heads.items())
    compilation.addSyntaxTree(syntax.SyntaxTree.fromText(text, manager))
    tops = {top.name: top for top in compilation.getRoot().topInstances}
    return {cell.path: _ports(tops[name], cell) for name, cell in heads.items()}


def instance(cell: Cell, name: str) -> str:
    """The beginning of an instantiation, up to the ports."""
    values = ", ".join(f".{key}({value})" for key, value in cell.parameters.items())
    return f"{cell.module} #({values}) {name}" if values else f"{cell.module} {name}"


def _ports(top: Any, cell: Cell) -> dict[str, Port]:
    from pyslang import ast

    found = next((m for m in top.body if m.kind == ast.SymbolKind.Instance), None)
    if found is None:
        raise StepFailed(
            f"{cell.path} is an instance of {cell.module}, which no source defines",
            hint="was the code of this layer generated for this FINN? hw_codegen makes it anew",
        )
    unknown = set(cell.parameters) - {parameter.name for parameter in found.body.parameters}
    if unknown:
        raise StepFailed(f"{cell.path}: the module {cell.module} has no parameter {', '.join(sorted(unknown))}")
    return {port.name: _port(port, cell) for port in found.body.portList}


def _port(port: Any, cell: Cell) -> Port:
    from pyslang import ast

    if port.kind != ast.SymbolKind.Port:
        raise StepFailed(f"{cell.path}: {port.name} of module {cell.module} is not a port of bits")
    direction = _DIRECTIONS.get(port.direction.name)
    if direction is None:
        raise StepFailed(f"{cell.path}: {port.name} of module {cell.module} is neither input nor output")
    width = int(port.type.bitWidth) if port.type.isIntegral else 0
    if port.type.isError or width < 1:
        given = ", ".join(f"{key}={value}" for key, value in cell.parameters.items()) or "it has no parameters here"
        raise StepFailed(
            f"{cell.path}: the width of {port.name} of module {cell.module} cannot be found",
            hint=f"{given}: does the module's header say what the width is made of?",
        )
    return Port(direction, width)
