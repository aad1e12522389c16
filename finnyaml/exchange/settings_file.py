"""Settings files of other versions, cleaned: layers under their present names, FIFOs in a file of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnyaml.finn.entries import DEFAULTS, LAYERS, fifo_file, kind_of, renamed, renewed, split
from finnyaml.text import counted


def is_settings(data: Any) -> bool:
    """Whether this is a folding or specialize file of FINN: entries by node."""
    if not isinstance(data, dict) or not data or not all(isinstance(value, dict) for value in data.values()):
        return False
    return any(name == DEFAULTS or kind_of(name) is not None for name in data)


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
        if name != DEFAULTS and kind_of(name) is None:
            said.append(f"{name} is not called as FINN calls its layers (MVAU_hls_0): it is kept as it is")
        found[new] = attributes if name == DEFAULTS else _renewed(attributes, said)
    if DEFAULTS in found:
        found[DEFAULTS] = _of_types(found[DEFAULTS], said)
    files = {folder / f"{path.stem}.cleaned.json": json.dumps({DEFAULTS: {}, **found}, indent=2) + "\n"}
    if fifos:
        target = folder / f"{path.stem}.fifo.json"
        depths = fifo_file(fifos)
        files[target] = json.dumps(depths, indent=2) + "\n"
        if lost := len(fifos) - len(depths["fifo_depths"]):
            said.append(
                f"entries for {counted(lost, 'FIFO')} have no depth, or are for the same one as another: left out"
            )
        said.append(f"entries for {counted(len(fifos), 'FIFO')}: `fifo: {{file: {target.name}}}` takes them")
    if converters:
        said.append(f"entries for {counted(len(converters), 'width converter')}, which FINN chooses itself: left out")
    return files, list(dict.fromkeys(said))


def _renewed(attributes: Mapping[str, Any], said: list[str]) -> dict[str, Any]:
    """The attributes of a layer as they are written now."""
    found = {}
    for name, value in attributes.items():
        new, written = renewed(name, value)
        if (new, written) != (name, value):
            said.append(f"{name}: {value} is {new}: {written} now")
        found[new] = written
    return found


def _of_types(defaults: Mapping[str, Any], said: list[str]) -> dict[str, Any]:
    """`Defaults` with the present names of attributes, values and types: a value, its types, the next value, ..."""
    found: dict[str, Any] = {}
    for attribute, pairs in defaults.items():
        if not isinstance(pairs, list):
            found[attribute] = pairs
            continue
        new, listed = attribute, list[Any]()
        for index, item in enumerate(pairs):
            if index % 2 == 0:
                ((new, item),) = _renewed({attribute: item}, said).items()
            elif isinstance(item, list):
                said += [f"{kind} is {LAYERS[kind]} now" for kind in item if kind in LAYERS]
                item = list(dict.fromkeys(LAYERS.get(str(kind), kind) for kind in item))
            listed.append(item)
        found[new] = listed
    return found
