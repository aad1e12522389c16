"""Entries of settings files for nodes: called otherwise now, gone, or of another file. No FINN needed.

What layers were called by other versions is the one thing that the installed FINN cannot be asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from finnyaml.text import did_you_mean

LAYERS: Mapping[str, str] = {
    "StreamingFCLayer_Batch": "MVAU",
    "MatrixVectorActivation": "MVAU",
    "MVA": "MVAU",
    "Vector_Vector_Activate_Batch": "VVAU",
    "VectorVectorActivation": "VVAU",
    "StreamingMaxPool_Batch": "Pool",
    "StreamingMaxPool": "Pool",
    "Pool_Batch": "Pool",
    "Thresholding_Batch": "Thresholding",
    "FMPadding_Batch": "FMPadding",
    "LabelSelect_Batch": "LabelSelect",
    "ChannelwiseOp_Batch": "ChannelwiseOp",
    "GlobalAccPool_Batch": "GlobalAccPool",
    "DuplicateStreams_Batch": "DuplicateStreams",
    "AddStreams_Batch": "AddStreams",
    "UpsampleNearestNeighbour_Batch": "UpsampleNearestNeighbour",
    "StreamingDataWidthConverter_Batch": "StreamingDataWidthConverter",
}
"""Old types of layers, and what they are called now."""

DEPTHS: Mapping[str, str] = {"inFIFODepth": "inFIFODepths", "outFIFODepth": "outFIFODepths"}
"""Attributes that were a number and are a list now, one number for each stream."""

VALUES: Mapping[tuple[str, str], str] = {
    ("mem_mode", "const"): "internal_embedded",
    ("mem_mode", "decoupled"): "internal_decoupled",
}
"""Old values of attributes, and what they are called now."""

_NAME = re.compile(r"(?P<kind>\w+?)(?P<style>_(?:hls|rtl))?_(?P<number>\d+)")
DEFAULTS = "Defaults"


def kind_of(name: str) -> str | None:
    """The type in the name of a node, without its style: `MVAU` of `MVAU_hls_0`."""
    match = _NAME.fullmatch(name)
    return match["kind"] if match else None


def is_fifo(name: str) -> bool:
    """Whether an entry is for a FIFO."""
    return (kind_of(name) or "").startswith("StreamingFIFO")


def is_converter(name: str) -> bool:
    """Whether an entry is for a converter of stream widths, which FINN inserts behind folding."""
    return (kind_of(name) or "").startswith("StreamingDataWidthConverter")


def renamed(name: str, nodes: Iterable[str] | None = None) -> str | None:
    """What a node is called now, if its type had another name; with `nodes`, only one of them."""
    match = _NAME.fullmatch(name)
    if match is None or match["kind"] not in LAYERS:
        return None
    new = LAYERS[match["kind"]]
    styles = dict.fromkeys((match["style"] or "", "_hls", "_rtl"))
    candidates = [f"{new}{style}_{match['number']}" for style in styles]
    if nodes is None:
        return candidates[0]
    known = set(nodes)
    return next((candidate for candidate in candidates if candidate in known), None)


def renewed(attribute: str, value: Any) -> tuple[str, Any]:
    """An attribute of a layer and its value as they are written now."""
    if attribute in DEPTHS:
        return DEPTHS[attribute], value if isinstance(value, list) else [value]
    return attribute, VALUES.get((attribute, value), value) if isinstance(value, str) else value


def advice(section: str, name: str, nodes: Iterable[str]) -> str:
    """What to write where `name` is not among the nodes: the rename, or that the entry is left out."""
    known = list(nodes)
    near = did_you_mean(name, known, 1)
    new = renamed(name, known) or (near.split("'")[1] if near and near.startswith("did you mean") else None)
    if new is None:
        return f"`{section}: {{rename: {{{name}: null}}}}` leaves the entry out"
    return f"did you mean '{new}'? `{section}: {{rename: {{{name}: {new}}}}}` says so; null leaves the entry out"


def apply_renames(entries: Mapping[str, Any], renames: Mapping[str, str | None]) -> tuple[dict[str, Any], list[str]]:
    """The entries under their new names (None: left out), and the renames that match none.

    A name without a number at its end is a type, and means all layers of it: `StreamingMaxPool: Pool`.
    """
    used: set[str] = set()

    def now(name: str) -> str | None:
        if name in renames:
            used.add(name)
            return renames[name]
        match = _NAME.fullmatch(name)
        if match is not None and match["kind"] in renames:
            used.add(match["kind"])
            new = renames[match["kind"]]
            return None if new is None else f"{new}{match['style'] or ''}_{match['number']}"
        return name

    found: dict[str, Any] = {}
    for name, value in entries.items():
        new = name if name == DEFAULTS else now(name)
        if new is not None:
            found[new] = value
    return found, [name for name in renames if name not in used]


def split(entries: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """A folding file as three parts: for layers, for FIFOs, and the names of converters."""
    fifos = {name: value for name, value in entries.items() if is_fifo(name)}
    converters = [name for name in entries if is_converter(name)]
    layers = {name: value for name, value in entries.items() if name not in fifos and name not in converters}
    return layers, fifos, converters


def fifo_file(fifos: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Entries of FIFOs as the file that FINN takes for them."""
    found: dict[str, dict[str, Any]] = {"fifo_depths": {}, "impl_style": {}, "ram_style": {}}
    for name, attributes in _numbered(fifos):
        depth = attributes.get("depth")
        if isinstance(depth, int):
            found["fifo_depths"][name] = depth
            found["impl_style"][name] = attributes.get("impl_style", "rtl")
            found["ram_style"][name] = attributes.get("ram_style", "auto")
    return found


def _numbered(fifos: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """FIFOs under the names that they have now: there is one type of them, StreamingFIFO_rtl."""
    for name, attributes in fifos.items():
        match = _NAME.fullmatch(name)
        if match is not None and isinstance(attributes, Mapping):
            yield f"StreamingFIFO_rtl_{match['number']}", attributes
