"""The few numbers that people compare, read from the reports that FINN's steps wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from finnyaml.store import Artifact, Store

REPORTS: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "estimate_network_performance.json": (
        (),
        {"max_cycles": "max_cycles", "estimated_throughput_fps": "fps", "estimated_latency_ns": "latency_ns"},
    ),
    "estimate_layer_resources.json": (
        ("total",),
        {"LUT": "LUT", "BRAM_18K": "BRAM_18K", "URAM": "URAM", "DSP": "DSP"},
    ),
    "ooc_synth_and_timing.json": ((), {"LUT": "LUT", "FF": "FF", "DSP": "DSP", "WNS": "WNS", "fmax_mhz": "fmax_mhz"}),
    "rtl_fifo_sizing.json": ((), {"interval": "interval", "bits": "FIFO bits"}),
    "rtl_simulation.json": ((), {"interval": "interval", "latency": "latency", "fps": "fps"}),
    "rtl_synthesis.json": (
        ("total", "yosys"),
        {"LUT": "LUT", "FF": "FF", "BRAM18": "BRAM18", "URAM": "URAM", "DSP": "DSP"},
    ),
    "rtlsim_performance.json": ((), {"cycles": "cycles", "throughput[images/s]": "fps"}),
}
"""Report file to the object inside it (by its keys) and its figures under the names shown."""


def of_artifact(artifact: Artifact, store: Store) -> dict[str, Any]:
    """The key figures in the reports that one task wrote; empty where it wrote none. An unreadable report has none."""
    found: dict[str, Any] = {}
    for name, (inside, wanted) in REPORTS.items():
        entry = artifact.files.get(f"out/report/{name}")
        if entry is None:
            continue
        try:
            data = json.loads(store.read(entry.blob))
            for key in inside:
                data = data[key]
        except (ValueError, KeyError):
            continue
        found.update({label: data[key] for key, label in wanted.items() if key in data})
    return found
