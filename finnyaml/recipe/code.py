"""Custom code that a recipe names: read as text and parsed, never imported."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from finnyaml.errors import Problem, Where
from finnyaml.files import content, kind_of
from finnyaml.recipe.model import CodeRef, Pointer, Recipe
from finnyaml.recipe.paths import located, similar_file
from finnyaml.text import did_you_mean, quoted

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_code(uses: str) -> bool:
    """Whether `uses` names custom code, or a plug-in (`package.name`), rather than something of finnyaml or FINN."""
    return ":" in uses or ("." in uses and not uses.startswith("rtl."))


def code_ref(text: str, folder: Path, plugin: str | None = None) -> CodeRef:
    """Read `path.py:function` (the path relative to `folder`) or `package.module:function`.

    `plugin`: the group of plug-ins that may stand here as well, by name. Text that is none of these gives a reference
    with no file and no module, which `check_code` refuses.
    """
    if plugin and is_code(text) and ":" not in text and not text.endswith(".py"):
        return CodeRef(text, text, plugin=plugin)
    source, _, function = text.rpartition(":")
    if not function.isidentifier():
        return CodeRef(text, function)
    if source.endswith(".py"):
        return CodeRef(text, function, file=located(folder, source))
    return CodeRef(text, function, module=source if _MODULE.fullmatch(source) else None)


def check_code(
    recipe: Recipe, pointer: Pointer, ref: CodeRef | None, positional: Sequence[str], keywords: Mapping[str, Any]
) -> Iterator[Problem]:
    """What is wrong with the code named at `pointer` (None: with none) and called with `positional` and `keywords`.

    Of an installed module only the syntax of the reference is checked: looking further would import it.
    """
    where = recipe.at(pointer)
    if ref is None or where is None:
        return
    if ref.file is None:
        if ref.module is None and ref.plugin is None:
            hint = "write path.py:function or package.module:function"
            yield Problem(f"{quoted(ref.text)} does not name a Python function", where, hint)
        return
    shown = quoted(ref.text.rpartition(":")[0])
    try:
        tree = _parsed(content(ref.file, follow=True), ref.file.name)
    except OSError as error:
        found = kind_of(ref.file)
        if found is None:
            yield Problem(f"the Python file {shown} does not exist", where, similar_file(ref.file))
        elif found != "a file":
            yield Problem(f"{shown} is {found}, not a Python file", where, "put a file there, or name another")
        else:
            yield Problem(f"cannot read the Python file {shown}: {error.strerror}", where)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        yield Problem(f"{shown} is not valid Python", where, f"{ref.file}:{line}: {getattr(error, 'msg', error)}")
    else:
        yield from _check_function(tree, ref, where, positional, keywords)
        yield from _check_imports(tree, ref.file, where)


@lru_cache(maxsize=32)
def _parsed(source: bytes, name: str) -> ast.Module:
    """The syntax of a file: all variants of a recipe ask for it, each for itself."""
    return ast.parse(source, filename=name)


@lru_cache(maxsize=32)
def _says_where_to_look(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path" for node in ast.walk(tree))


def _check_imports(tree: ast.Module, file: Path, where: Where) -> Iterator[Problem]:
    """Packages that the file imports as soon as it is loaded, and that are neither installed nor beside it.

    Imports below `if`, `try` and in functions may never run; who changes where Python looks knows better.
    """
    if _says_where_to_look(tree):
        return
    for statement in tree.body:
        names = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
        if isinstance(statement, ast.ImportFrom) and not statement.level and statement.module:
            names = [statement.module]
        for package in dict.fromkeys(name.partition(".")[0] for name in names):
            if not _is_there(package, tuple(_searched(file))):
                message = f"{file.name} imports {package} (line {statement.lineno}), which is not installed here"
                hint = f"install it into the environment of {sys.executable}, or put it beside the file"
                yield Problem(message, where, hint, "warning")


def _searched(file: Path) -> list[str]:
    """The folders of the user's that are searched first: that of the file, and the one with the package it is in."""
    folder = file.parent
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        folder = folder.parent
    return list(dict.fromkeys((str(file.parent), str(folder))))


def look_again() -> None:
    """Forget which packages are there: they may have been installed since."""
    _is_there.cache_clear()


@lru_cache(maxsize=1024)
def _is_there(package: str, folders: tuple[str, ...]) -> bool:
    if package in sys.stdlib_module_names or package in sys.modules:
        return True
    beside = importlib.machinery.PathFinder.find_spec(package, [*folders])
    return beside is not None or importlib.util.find_spec(package) is not None


def _check_function(
    tree: ast.Module, ref: CodeRef, where: Where, positional: Sequence[str], keywords: Mapping[str, Any]
) -> Iterator[Problem]:
    names = dict(_names(tree.body))
    if ref.function not in names:
        if "*" not in names:  # `from somewhere import *` may well bring it
            functions = [name for name, found in names.items() if isinstance(found, _Function | ast.ClassDef)]
            file = ref.file.name if ref.file else ""
            hint = did_you_mean(ref.function, functions) or f"{file} defines no function"
            yield Problem(f"{quoted(file)} defines no {quoted(ref.function)}", where, hint)
        return
    found = names[ref.function]
    if isinstance(found, _Function) and not found.decorator_list:
        yield from _check_call(found, where, positional, keywords)


def _check_call(
    function: _Function, where: Where, positional: Sequence[str], keywords: Mapping[str, Any]
) -> Iterator[Problem]:
    """Whether the function can be called that way: better now than three hours into a build."""
    taken = function.args
    by_place = [arg.arg for arg in (*taken.posonlyargs, *taken.args)]
    signature = f"{function.name}({ast.unparse(taken)})"
    if len(by_place) < len(positional) and not taken.vararg:
        expected = ", ".join(positional)
        hint = f"define it as `def {function.name}({expected})`" if positional else None
        yield Problem(f"{quoted(signature)} cannot be called with ({expected})", where, hint)
        return
    named = [arg.arg for arg in (*taken.args, *taken.kwonlyargs) if arg.arg not in by_place[: len(positional)]]
    for name in keywords:
        if name not in named and not taken.kwarg:
            hint = did_you_mean(name, named) or "it takes no more arguments"
            yield Problem(f"{quoted(signature)} has no argument {quoted(name)}", where, hint)
    optional = by_place[len(by_place) - len(taken.defaults) :] if taken.defaults else []
    optional += [arg.arg for arg, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if default]
    needed = [name for name in (*by_place[len(positional) :], *named) if name not in optional and name not in keywords]
    for name in dict.fromkeys(needed):
        yield Problem(f"{quoted(signature)} needs the argument {quoted(name)}", where, f"give it a value: {name}: ...")


def _names(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """The names that the statements of a module bind, also in the branches of `if` and `try`."""
    for statement in body:
        if isinstance(statement, _Function | ast.ClassDef):
            yield statement.name, statement
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0], statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                yield from ((node.id, statement) for node in ast.walk(target) if isinstance(node, ast.Name))
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            yield from _names(statement.body)
            yield from _names(getattr(statement, "orelse", []))
            for handler in getattr(statement, "handlers", []):
                yield from _names(handler.body)
