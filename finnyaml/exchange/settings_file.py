"""Settings files of other versions, cleaned: layers under their present names, FIFOs in a file of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnyaml.finn.entries import DEFAULTS, LAYERS, fifo_file, kind_of, renamed, split


def is_settings(data: Any) -> bool:
    """Whether this is a folding or specialize file of FINN: entries by node."""
    if not isinstance(data, dict) or not data or not all(isinstance(value, dict) for value in data.values()):
        return False
    return all(name == DEFAULTS or kind_of(name) is not None for name in data)


def cleaned(data: Mapping[str, Any], path: Path, folder: Path) -> tuple[dict[Path, str], list[str]]:
    """The files to write, and what was changed, in words."""
    said = []
    layers, fifos, converters = split(data)
    found: dict[str, Any] = {}
    for name, attributes in layers.items():
        new = renamed(name) or name
        if new != name:
            said.append(f"{name} is {new} now")
        if new in found:
            said.append(f"{new} has two entries: that of {name} holds")
        found[new] = attributes
    if DEFAULTS in found:
        found[DEFAULTS] = _of_types(found[DEFAULTS], said)
    files = {folder / f"{path.stem}.cleaned.json": json.dumps({DEFAULTS: {}, **found}, indent=2) + "\n"}
    if fifos:
        target = folder / f"{path.stem}.fifo.json"
        files[target] = json.dumps(fifo_file(fifos), indent=2) + "\n"
        said.append(f"{len(fifos)} entries are for FIFOs: `fifo: {{file: {target.name}}}` takes them")
    if converters:
        said.append(f"{len(converters)} entries are for width converters, which FINN chooses itself: left out")
    return files, said


def _of_types(defaults: Mapping[str, Any], said: list[str]) -> dict[str, Any]:
    """`Defaults` with the present names of types."""
    found = {}
    for attribute, pairs in defaults.items():
        listed = list(pairs) if isinstance(pairs, list) else pairs
        for index, kinds in enumerate(listed if isinstance(listed, list) else ()):
            if index % 2 and isinstance(kinds, list):
                listed[index] = list(dict.fromkeys(LAYERS.get(str(kind), kind) for kind in kinds))
                said += [f"{kind} is {LAYERS[kind]} now" for kind in kinds if kind in LAYERS]
        found[attribute] = listed
    return found
