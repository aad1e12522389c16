"""What other packages add to finnyaml: plug-ins, found by their entry points and imported when they are used.

An entry point of the group `finnyaml.steps`, say, has the name that recipes use and the function that it stands for.
This module imports next to nothing before it has to: the quick path asks it for `stamp`.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

DOORS: Mapping[str, str | None] = {
    "steps": None,
    "repairs": None,
    "metrics": None,
    "data_sources": None,
    "lint_rules": "finnyaml.lint.graph",
    "causes": "finnyaml.verify.bisect.causes",
    "lowerings": "finnyaml.verify.executor.registry",
    "kernels": "finnyaml.finn.kernels.register",
}
"""The groups, and of those that no recipe names the module that takes all plug-ins of its group.

Whatever imports that module may run any of them, so their code is in its keys (`finnyaml.kinds.code`).
"""

OP_TYPES = ("lowerings", "kernels")
"""Groups in which a name is that of an ONNX operator or of FINN's layer."""

TOGETHER = ("steps", "repairs")
"""Groups whose names stand in one place of a recipe."""

_NAME = re.compile(r"(?!rtl\.)[A-Za-z]\w*\.[A-Za-z][\w-]*")


class Plugin(NamedTuple):
    """`target` is `module:object`, `distribution` the name and version of what was installed."""

    group: str
    name: str
    target: str
    distribution: str

    def __str__(self) -> str:
        return f"the plug-in {self.name!r} of {self.distribution} (finnyaml.{self.group}, {self.target})"


def installed(group: str, own: Collection[str] = ()) -> Mapping[str, Plugin]:
    """The plug-ins of a group by name. None is imported. `own` are the names that finnyaml itself has there.

    Raises:
        FinnyamlError: two of one name, one of a name in `own`, or a name without its package.
    """
    found: dict[str, Plugin] = {}
    for plugin in _look()[1]:
        if plugin.group not in (TOGETHER if group in TOGETHER else (group,)):
            continue
        if group not in OP_TYPES and not _NAME.fullmatch(plugin.name):
            raise _refused(plugin, "its name has to be `package.name`, so that it can never be one of finnyaml or FINN")
        if plugin.name in own:
            raise _refused(plugin, "finnyaml itself has one of this name")
        if plugin.name in found:
            raise _refused(plugin, f"{found[plugin.name].distribution} has one of this name")
        found[plugin.name] = plugin
    return {name: plugin for name, plugin in found.items() if plugin.group == group}


def load(group: str, name: str) -> Any:
    """What a plug-in's entry point names. Imports its module.

    Raises:
        FinnyamlError: it is not installed (any more), its module fails to import or has no such function.
    """
    from finnyaml.errors import FinnyamlError

    plugin = installed(group).get(name)
    if plugin is None:
        raise FinnyamlError(f"no installed package has the plug-in {name!r} (finnyaml.{group})")
    module, _, attribute = plugin.target.partition(":")
    try:
        found = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
        if not callable(found):
            raise TypeError(f"{attribute} is of type {type(found).__name__}, not a function or class")
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        hint = f"fix {plugin.distribution.partition(' ')[0]}, install what it needs, or remove it"
        raise FinnyamlError(f"{plugin} cannot be loaded: {reason}", hint=hint) from error
    return found


def packages() -> frozenset[str]:
    """The packages (or single modules) that plug-ins are in."""
    return frozenset(re.split("[.:]", plugin.target)[0] for plugin in _look()[1])


def folders_of(package: str) -> tuple[Path, ...]:
    """The folder of an installed package (several, of a namespace), or its one file; nothing where there is none."""
    import importlib.util
    from pathlib import Path

    spec = importlib.util.find_spec(package)
    if spec is None:
        return ()
    places = spec.submodule_search_locations or ([spec.origin] if spec.origin else [])
    return tuple(Path(place).resolve() for place in places)


def stamp() -> list[list[Any]]:
    """What the list of plug-ins depends on: all `entry_points.txt` on Python's search path, with size and time."""
    found: list[list[Any]] = []
    for folder in sys.path:
        try:
            names = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                path = os.path.join(folder, name, "entry_points.txt")
                try:
                    stat = os.stat(path)
                except OSError:
                    continue
                found.append([path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino])
    return found


def seen() -> list[list[Any]]:
    """The `stamp` when this process listed the plug-ins."""
    return _look()[0]


def look_again() -> None:
    """Forget the list: in a process that lives on, other plug-ins may be installed by now."""
    _look.cache_clear()


@functools.cache
def _look() -> tuple[list[list[Any]], tuple[Plugin, ...]]:
    """All plug-ins, group by group in the order of their names, and the stamp that goes with them."""
    from importlib.metadata import entry_points

    before, found = stamp(), entry_points()
    return before, tuple(
        Plugin(group, entry.name, f"{entry.module}:{entry.attr}", f"{entry.dist.name} {entry.dist.version}")
        for group in DOORS
        for entry in sorted(found.select(group=f"finnyaml.{group}"), key=lambda entry: entry.name)
        if entry.dist is not None
    )


def _refused(plugin: Plugin, reason: str) -> Exception:
    from finnyaml.errors import FinnyamlError

    return FinnyamlError(f"{plugin} is refused: {reason}", hint="remove one of the packages, or ask for another name")
