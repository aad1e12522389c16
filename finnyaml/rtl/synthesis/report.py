"""What a synthesis found, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finnyaml.rtl.design import Design
from finnyaml.rtl.synthesis.cells import RESOURCES
from finnyaml.rtl.synthesis.script import Family

FINN = {"LUT": "LUT", "BRAM18": "BRAM_18K", "URAM": "URAM", "DSP": "DSP"}
"""What FINN estimates, too, by our name for it."""

Counts = Mapping[str, int]


def report(
    design: Design,
    family: Family,
    version: str,
    total: Counts,
    layers: Mapping[str, Counts],
    same: Mapping[str, str],
    notes: Mapping[str, str],
) -> dict[str, Any]:
    """The report of a synthesis.

    total: of the whole design; layers: of each node, empty if that was not asked for; same: each node to the one that
    was synthesised for it; notes: by the source that they are about.

    Returns {"what", "part", "family", "tools", "device", "resources", "total", "layers", "sum", "notes"}. "device" is
    the part's capacity where FINN knows it. "total" has {"yosys", "finn", "percent"}: counts by Yosys and by FINN
    (only what it estimates), and Yosys' in per cent of the device. Each entry of "layers", in the order of the nodes,
    has the same and {"node", "op_type"}, and "same_as" if it is the same hardware as that node. "sum" is that of the
    layers; the whole is a little smaller where Yosys simplifies across their borders.
    """
    finn = {node.name: {ours: node.estimate.get(theirs, 0) for ours, theirs in FINN.items()} for node in design.nodes}
    found: dict[str, Any] = {
        "what": "estimates by Yosys, out of context; not compared with Vivado",
        "part": design.part,
        "family": family.title,
        "tools": {"yosys": version, "finn": design.finn},
        "device": dict(design.device),
        "resources": list(RESOURCES),
        "total": _entry(total, {name: sum(each[name] for each in finn.values()) for name in FINN}, design),
        "layers": [],
        "notes": [f"{source}: {note}" for source, note in sorted(notes.items())],
    }
    if layers:
        found["sum"] = {name: sum(counts[name] for counts in layers.values()) for name in RESOURCES}
    for node in design.nodes:
        if node.name in layers:
            entry = {"node": node.name, "op_type": node.op_type, **_entry(layers[node.name], finn[node.name], design)}
            if same[node.name] != node.name:
                entry["same_as"] = same[node.name]
            found["layers"].append(entry)
    return found


def _entry(yosys: Counts, finn: Mapping[str, float], design: Design) -> dict[str, Any]:
    percent = {
        name: round(100 * yosys[name] / size, 2) for name, size in design.device.items() if size and name in yosys
    }
    return {"yosys": dict(yosys), "finn": dict(finn), "percent": percent}
