"""What code of the recipe's author imports: which modules it finds where, and which installed packages.

A module that a worker has imported already is found without a search. So the imports that stand in the author's code
count, beside those that are seen to be made.
"""

from __future__ import annotations

import dis
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from finnyaml.finn import identity
from finnyaml.steps.imports import distributions, module_at
from finnyaml.worker.askers import INSTALLED, OWN, USER, Askers

if TYPE_CHECKING:
    from finnyaml.worker.recorder import Reads

IN_KEY = frozenset(("finnyaml", "brevitas_examples", "finn_xsi", *identity.SOURCE_PACKAGES, *identity.LIBRARIES))
"""Packages on which every key depends, by content or version."""

_BUILT_IN = frozenset(("built-in", "frozen"))


class Imports:
    """Notes the imports of the step that runs. It sits in front of Python's finders, and never finds anything."""

    def __init__(self, askers: Askers, plugins: Sequence[Path]) -> None:
        self._reads: Reads | None = None
        self._names: set[str] = set()
        self._askers = askers
        self._plugins = frozenset(map(str, plugins))
        self._by_file: dict[str, set[str]] = {}
        self._import_module = importlib.import_module
        sys.meta_path.insert(0, self)
        importlib.import_module = self._asked_by_name

    def begin(self, reads: Reads | None) -> None:
        """From now on a step runs whose reads are noted there; with None, none runs."""
        self._reads, self._names = reads, set()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Python is about to search for a module."""
        if self._reads is not None:
            asker = self._askers.of(sys._getframe(1))
            if asker.who == USER and not asker.library:
                if path is None:
                    self._names.add(name)
                self._search(name, path)

    def executed(self, code: CodeType) -> None:
        """Code of somebody is about to run."""
        if self._reads is None:
            return
        if code.co_filename.startswith("<"):  # made from a text
            asker = self._askers.of(sys._getframe(2))
            users = asker.who == USER and not asker.library
        else:
            users = self._askers.is_users(code)
        if users:
            names = self._by_file[code.co_filename] = set(_imported(code))
            self._names |= names

    def packages(self) -> set[str]:
        """The distributions, or the places of packages, that the step imports. Notes modules that were there before."""
        assert self._reads is not None
        found: set[str] = set()
        waiting, done = set(self._names), set[str]()
        while waiting:
            name = waiting.pop()
            done.add(name)
            module = sys.modules.get(name)
            if getattr(getattr(module, "__spec__", None), "origin", None) not in _BUILT_IN:
                self._search(name, None)
            if module is None or name in IN_KEY:
                continue
            place = _place(module)
            if place is None:
                continue
            if os.path.realpath(place) not in self._plugins:
                found |= _packages(name, place)
            if self._askers.kind(place) == USER:  # it may have stayed imported since another task
                inside = (names for file, names in self._by_file.items() if Path(file).is_relative_to(place))
                waiting |= set().union(*inside) - done
        return found

    def _asked_by_name(self, name: str, package: str | None = None) -> ModuleType:
        """Stands for `importlib.import_module`, which does not say when a module is imported already."""
        if self._reads is not None and not name.startswith("."):
            frame = sys._getframe(1)
            asker = self._askers.of(frame)
            if (asker.who == USER and not asker.library) or frame.f_code.co_filename in _DOORS:
                self._names.add(name.partition(".")[0])
        return self._import_module(name, package)

    def _search(self, name: str, path: Sequence[str] | None) -> None:
        """Note where a module is looked for, up to where it is."""
        assert self._reads is not None
        for folder in map(os.path.abspath, sys.path if path is None else path):
            place = os.path.join(folder, name.rpartition(".")[2])
            form = module_at(place)
            if self._askers.kind(folder) == USER or (path is None and folder in INSTALLED):
                self._reads.modules.setdefault(place, form)
            if form is not None:
                break


_DOORS = (f"{OWN}plugins.py", f"{OWN}steps/code.py")
"""Our own code that imports what a recipe names."""


def _imported(code: CodeType) -> Iterator[str]:
    """The top-level modules that the import statements in code name, functions in it included."""
    level: Any = 0
    before: Any = 0
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME" and level == 0:
            yield instruction.argval.partition(".")[0]
        if instruction.opname != "EXTENDED_ARG":  # `IMPORT_NAME` comes after the level and the list of names
            level, before = before, instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imported(constant)
        elif isinstance(constant, str) and "__import__" in code.co_names and constant.isidentifier():
            yield constant


def _place(module: ModuleType) -> str | None:
    """The folder of a package, the file of a module; None where it has neither."""
    file = getattr(module, "__file__", None)
    if not hasattr(module, "__path__"):
        return file
    return os.path.dirname(file) if file else next(iter(module.__path__), None)


def _packages(name: str, place: str) -> set[str]:
    """By which names an imported package counts: those of what was installed, else its place.

    None where its sources count one by one, as the author's.
    """
    folder = os.path.dirname(place)
    if folder in INSTALLED and name in distributions():
        return set(distributions()[name])
    return {place} if "site-packages" in Path(place).parts or folder in INSTALLED else set()
