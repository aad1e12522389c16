"""Where the installed FINN has what a script imports from another place, as FINN's modules move between versions."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

from finnyaml.finn.identity import package_root

_CLASS = re.compile(r"^class (\w+)\b", re.MULTILINE)


def told(missing: Iterable[str]) -> str:
    """Where classes are that are not where they are looked for (dotted names); empty where none is found."""
    known = _places()
    names = dict.fromkeys(name.rpartition(".")[2] for name in missing)
    return ", ".join(f"{name} is in {known[name]}" for name in names if name in known)


@functools.cache
def _places() -> Mapping[str, str]:
    """The modules of FINN's and qonnx's transformations, by the class that is in them. Nothing is imported."""
    found: dict[str, str] = {}
    for package in ("finn", "qonnx"):
        root = package_root(package)
        if root is None:
            continue
        for file in sorted(root.glob("transformation/**/*.py")):
            module = ".".join((package, *file.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
            for name in _CLASS.findall(file.read_text("utf-8", "replace")):
                found.setdefault(name, module)
    return found
