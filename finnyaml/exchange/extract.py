"""Functions out of a script, with all that they need of it, as a module of their own. The script is read, not run."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_PLAIN = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_ASSIGNS = (ast.Assign, ast.AnnAssign)


@dataclass(frozen=True)
class Wanted:
    """A function to extract: where it begins, what to call it, and the values of its closure as Python text."""

    line: int
    name: str
    closure: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Extracted:
    """The text of the module; `failed` says of each function that is not in it why."""

    text: str
    failed: Mapping[str, str]


def runs_nothing(source: str) -> frozenset[str] | None:
    """The names that a script binds when it is imported, where that runs none of its main part; else None."""
    bound: set[str] = set()
    for statement in ast.parse(source).body:
        if isinstance(statement, _PLAIN):
            bound |= _binds(statement)
        elif isinstance(statement, ast.If) and _is_guard(statement.test):
            continue
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            if any(isinstance(node, (ast.Call, ast.Await)) for node in ast.walk(statement)):
                return None
            bound |= _binds(statement)
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            return None
    return frozenset(bound)


def needed(source: str, line: int) -> set[str]:
    """The names of the module that the function which begins at `line` stands on, directly or through others."""
    module = _Module(source)
    found = module.function(line)
    return set() if found is None else module.closure(_free(found))


def unchanged(source: str, line: int, values: Mapping[str, str]) -> bool:
    """Whether an import gives the names that a function stands on the values that they had in the script."""
    module = _Module(source)
    found = module.function(line)
    names = set() if found is None else module.closure(_free(found))
    assigned = {name for node in ast.walk(module.tree) if isinstance(node, ast.Global) for name in node.names}
    for name in names & values.keys():
        statements = module.bindings[name]
        if len(statements) > 1 or name in assigned:
            return False
        value = getattr(statements[0], "value", None)
        try:
            written = ast.literal_eval(value) if isinstance(statements[0], _ASSIGNS) and value is not None else None
            same = repr(written) == repr(ast.literal_eval(values[name]))
        except (ValueError, TypeError):
            continue  # it is computed from others
        if _target(statements[0]) == name and not same:
            return False
    return True


def computed_defaults(function: ast.FunctionDef | ast.Lambda) -> set[str]:
    """The arguments whose default is not written there but computed when the function is made: `k=k` in a loop."""
    taken = function.args
    by_place = [*taken.posonlyargs, *taken.args]
    pairs = [*zip(by_place[len(by_place) - len(taken.defaults) :], taken.defaults, strict=True)]
    pairs += [(arg, value) for arg, value in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if value is not None]
    return {arg.arg for arg, value in pairs if _loads(value)}


def function_at(source: str, line: int) -> ast.FunctionDef | ast.Lambda | None:
    """The function that begins at a line; None where there is none, or several lambdas."""
    return _Module(source).function(line)


def extract(source: str, wanted: Sequence[Wanted], values: Mapping[str, str], missing: Iterable[str] = ()) -> Extracted:
    """The module with the functions `wanted`.

    `values` has the plain values that names of the script had, as Python text: they stand for what a script computes.
    `missing` are names that the installed FINN does not have (`finn.util.pytorch.ToTensor`): they cannot be imported.
    """
    module = _Module(source)
    absent = tuple(missing)
    failed: dict[str, str] = {}
    taken: dict[int, ast.stmt] = {}
    constants: dict[str, str] = {}
    pieces: list[tuple[int, str]] = []
    for item in wanted:
        function = module.function(item.line)
        if function is None:
            failed[item.name] = "its source was not found, or several lambdas are in its line"
            continue
        names = module.closure(_free(function) - dict(item.closure).keys(), values)
        statements, reason = module.take(names, values, absent)
        if reason:
            failed[item.name] = reason
            continue
        for statement in statements:
            if isinstance(statement, str):
                constants[statement] = values[statement]
            else:
                taken[statement.lineno] = statement
        if isinstance(function, ast.Lambda) or function not in module.tree.body or item.closure:
            pieces.append((function.lineno, _written(module, function, item)))
        else:
            taken[function.lineno] = function
    body = [(line, module.text(statement)) for line, statement in taken.items()]
    typing_only = _for_annotations(module, [*taken.values()], constants, absent)
    return Extracted(_module_text(module, body, pieces, constants, typing_only, taken), failed)


class _Module:
    def __init__(self, source: str) -> None:
        self.source = source
        self.lines = source.splitlines(keepends=True)
        self.tree = ast.parse(source)
        self.bindings: dict[str, list[ast.stmt]] = {}
        for statement in self.tree.body:
            for name in _binds(statement):
                self.bindings.setdefault(name, []).append(statement)

    def function(self, line: int) -> ast.FunctionDef | ast.Lambda | None:
        """The function that begins at this line, decorators included; a lambda only where it is the only one there."""
        lambdas = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
                if line in (first, node.lineno):
                    return node
            elif isinstance(node, ast.Lambda) and node.lineno == line:
                lambdas.append(node)
        return lambdas[0] if len(lambdas) == 1 else None

    def closure(self, names: set[str], known: Iterable[str] = ()) -> set[str]:
        """Names of this module among `names`, with those that they stand on; not with what makes a `known` value."""
        values = set(known)
        found: set[str] = set()
        waiting = [name for name in names if name in self.bindings]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            for statement in self.bindings[name]:
                if isinstance(statement, _PLAIN) or (name not in values and isinstance(statement, _ASSIGNS)):
                    waiting += [other for other in _free(statement) if other in self.bindings]
        return found

    def take(
        self, names: set[str], values: Mapping[str, str], missing: Sequence[str]
    ) -> tuple[list[ast.stmt | str], str | None]:
        """What binds the names: statements, or a name alone where its value is to be written; or why that cannot be."""
        found: list[ast.stmt | str] = []
        for name in sorted(names):
            statements = self.bindings[name]
            only = statements[0] if len(statements) == 1 else None
            if isinstance(only, (ast.FunctionDef, ast.ClassDef)):
                found.append(only)
            elif all(isinstance(item, (ast.Import, ast.ImportFrom, ast.Try)) for item in statements):
                lacking = next((path for path in _imported(statements[0], name) if path in missing), None)
                if lacking:
                    return [], f"it needs {lacking}, which is not installed here"
                found += statements
            elif name in values:
                found.append(name)
            elif isinstance(only, _ASSIGNS) and not self._made_while_running(only, name):
                found.append(only)
            else:
                return [], f"it uses {name}, whose value the script makes as it runs (line {statements[0].lineno})"
        return found, None

    def _made_while_running(self, statement: ast.stmt, name: str) -> bool:
        """Whether an object is another one when the statement alone runs again: from arguments, or changed later."""
        asks = ("parse_args", "parse_known_args", "input", "argv")
        if any(getattr(node, "attr", getattr(node, "id", "")) in asks for node in ast.walk(statement)):
            return True
        return any(
            isinstance(node, (ast.Attribute, ast.Subscript))
            and isinstance(node.ctx, (ast.Store, ast.Del))
            and isinstance(node.value, ast.Name)
            and node.value.id == name
            for node in ast.walk(self.tree)
        )

    def text(self, node: ast.stmt) -> str:
        """The source of a statement, with its decorators and the comments right above it."""
        decorators = getattr(node, "decorator_list", ())
        first = min([node.lineno, *(item.lineno for item in decorators)]) - 1
        while first and self.lines[first - 1].startswith("#") and not self.lines[first - 1].startswith("#!"):
            first -= 1
        return "".join(self.lines[first : node.end_lineno]).rstrip() + "\n"


def _written(module: _Module, function: ast.FunctionDef | ast.Lambda, item: Wanted) -> str:
    """A nested function or a lambda as a function of the module; its closure is what a function around it is given."""
    if isinstance(function, ast.Lambda):
        inner = f"def {item.name}({ast.unparse(function.args)}):\n    return {ast.unparse(function.body)}\n"
    elif _has_long_text(function):  # which would be another one, moved to the left
        inner = ast.unparse(ast.FunctionDef(**{**vars(function), "decorator_list": []}))
    else:
        lines = module.lines[function.lineno - 1 : function.end_lineno]
        inner = "".join(
            line[function.col_offset :] if line[: function.col_offset].isspace() else line for line in lines
        )
    inner = re.sub(r"\Adef\s+\w+", f"def {item.name}", inner).rstrip() + "\n"
    if not item.closure:
        return inner
    parameters = ", ".join(name for name, _ in item.closure)
    given = ", ".join(f"{name}={value}" for name, value in item.closure)
    body = "".join(f"    {line}" if line.strip() else line for line in inner.splitlines(keepends=True))
    return f"def _{item.name}({parameters}):\n{body}\n    return {item.name}\n\n\n{item.name} = _{item.name}({given})\n"


def _has_long_text(function: ast.FunctionDef) -> bool:
    """Whether a text of several lines, other than its docstring, is in a function."""
    body = function.body if ast.get_docstring(function) is None else function.body[1:]
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and node.end_lineno != node.lineno
        for statement in body
        for node in ast.walk(statement)
    )


def _module_text(
    module: _Module,
    body: list[tuple[int, str]],
    pieces: list[tuple[int, str]],
    constants: Mapping[str, str],
    typing_only: Sequence[str],
    taken: Mapping[int, ast.stmt],
) -> str:
    imports = [text for line, text in sorted(body) if isinstance(taken[line], (ast.Import, ast.ImportFrom, ast.Try))]
    others = [(line, text) for line, text in body if text not in imports]
    parts = ["from __future__ import annotations\n"]
    if typing_only:
        parts.append("from typing import TYPE_CHECKING\n")
    imports = [text for text in imports if "__future__" not in text]
    if any(value.startswith("argparse.") for value in constants.values()) and "import argparse\n" not in imports:
        imports.append("import argparse\n")
    if imports:
        parts.append("".join(imports))
    if typing_only:
        indented = "".join(f"    {line}" for text in typing_only for line in text.splitlines(keepends=True))
        parts.append(f"if TYPE_CHECKING:\n{indented}")
    if constants:
        parts.append("".join(f"{name} = {value}\n" for name, value in sorted(constants.items())))
    simple = [text for line, text in sorted(others) if not isinstance(taken[line], (ast.FunctionDef, ast.ClassDef))]
    if simple:
        parts.append("".join(simple))
    blocks = [(line, text) for line, text in others if isinstance(taken[line], (ast.FunctionDef, ast.ClassDef))]
    head = "\n".join(parts)
    return "\n\n".join([head, *("\n" * 0 + text for _, text in sorted([*blocks, *pieces]))]).rstrip() + "\n"


def _for_annotations(
    module: _Module, taken: Sequence[ast.stmt], constants: Mapping[str, str], missing: Sequence[str]
) -> list[str]:
    """The imports that only annotations of the extracted functions name."""
    names: set[str] = set()
    for statement in taken:
        for node in ast.walk(statement):
            for note in _annotations(node):
                names |= {item.id for item in ast.walk(note) if isinstance(item, ast.Name)}
    present = {name for statement in taken for name in _binds(statement)} | constants.keys()
    found = []
    for name in sorted(names - present):
        statements = module.bindings.get(name, [])
        usable = statements and all(isinstance(item, (ast.Import, ast.ImportFrom)) for item in statements)
        if usable and not any(path in missing for path in _imported(statements[0], name)):
            found += [module.text(item) for item in statements]
    return list(dict.fromkeys(found))


def _target(statement: ast.stmt) -> str | None:
    """The name that an assignment binds, where it is one."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None


def _is_guard(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and "__name__" in ast.unparse(test) and "__main__" in ast.unparse(test)


def _binds(statement: ast.stmt) -> set[str]:
    """The names of the module that a statement binds, at any depth but inside functions and classes."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    found: set[str] = set()
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {item.asname or item.name.partition(".")[0] for item in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        waiting += ast.iter_child_nodes(node)
    return found


def _imported(statement: ast.stmt, name: str) -> list[str]:
    """The dotted names behind a name that an import binds."""
    found = []
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            found += [item.name for item in node.names if (item.asname or item.name.partition(".")[0]) == name]
        elif isinstance(node, ast.ImportFrom):
            paths = [(item.asname or item.name, f"{node.module}.{item.name}") for item in node.names]
            found += [path for bound, path in paths if bound == name]
            found += [str(node.module)] if any(bound == name for bound, _ in paths) else []
    return found


def _annotations(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.returns] if node.returns else []
    if isinstance(node, (ast.arg, ast.AnnAssign)):
        return [node.annotation] if node.annotation else []
    return []


def _loads(node: ast.AST) -> set[str]:
    """The names that code reads, without those in annotations."""
    skipped = {id(item) for part in ast.walk(node) for note in _annotations(part) for item in ast.walk(note)}
    names = {
        item.id
        for item in ast.walk(node)
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load) and id(item) not in skipped
    }
    told = {name for item in ast.walk(node) if isinstance(item, ast.Global) for name in item.names}
    return (names | told) - vars(builtins).keys()


def _free(node: ast.AST) -> set[str]:
    """The names that a function or a statement takes from around it; those of defaults are looked up there, too."""
    names = _loads(node) - _locals_of(node)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        names |= {name for value in (*node.args.defaults, *node.args.kw_defaults) if value for name in _loads(value)}
    return names


def _locals_of(node: ast.AST) -> set[str]:
    """Names that a function binds itself, so that they are not the module's."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return set()
    arguments = {item.arg for item in ast.walk(node) if isinstance(item, ast.arg)}
    declared = {name for item in ast.walk(node) if isinstance(item, ast.Global) for name in item.names}
    body = node.body if isinstance(node.body, list) else []
    return (arguments | {name for statement in body for name in _binds(statement)}) - declared
