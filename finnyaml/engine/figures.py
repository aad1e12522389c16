"""What the reports of a build say, for people and for comparing variants: the one place that reads them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finnyaml.engine.refusals import measurement
from finnyaml.recipe.objectives import SOURCES
from finnyaml.store import Artifact, Entry, ObjectDamaged, Store

if TYPE_CHECKING:
    from finnyaml.plan.graph import Plan
    from finnyaml.plan.status import Built

REPORTS: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "folding.json": (
        (),
        {"cycles": "cycles", "fps": "fps", "lut": "LUT", "bram": "BRAM_18K", "dsp": "DSP", "converters": "converters"},
    ),
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
    "rtl_simulation.json": ((), {"interval": "interval", "latency": "latency", "fps": "fps", "slowest": "slowest"}),
    "rtl_synthesis.json": (
        ("total", "yosys"),
        {"LUT": "LUT", "FF": "FF", "BRAM18": "BRAM18", "URAM": "URAM", "DSP": "DSP"},
    ),
    "rtlsim_performance.json": ((), {"cycles": "cycles", "throughput[images/s]": "fps"}),
}
"""Report file to the object inside it (by its keys) and its figures under the names shown."""


def key_figures(artifact: Artifact, store: Store) -> dict[str, Any]:
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


_BRAM18 = {"BRAM_18K": 1, "BRAM_36K": 2}
_OF_SOURCE: Mapping[str, tuple[str, tuple[str, ...], Mapping[str, Mapping[str, float]]]] = {
    "estimate": (
        "estimate_network_performance.json",
        (),
        {"fps": {"estimated_throughput_fps": 1}, "latency": {"estimated_latency_ns": 1}},
    ),
    "resources": (
        "estimate_layer_resources.json",
        ("total",),
        {"lut": {"LUT": 1}, "bram": {"BRAM_18K": 1}, "uram": {"URAM": 1}, "dsp": {"DSP": 1}},
    ),
    "prices": ("folding.json", (), {"fps": {"fps": 1}, "lut": {"lut": 1}, "bram": {"bram": 1}, "dsp": {"dsp": 1}}),
    "rtl.size_fifos": ("rtl_fifo_sizing.json", (), {"fifo_bits": {"bits": 1}}),
    "yosys": (
        "rtl_synthesis.json",
        ("total", "yosys"),
        {"lut": {"LUT": 1}, "ff": {"FF": 1}, "bram": {"BRAM18": 1}, "uram": {"URAM": 1}, "dsp": {"DSP": 1}},
    ),
    "vivado": (
        "ooc_synth_and_timing.json",
        (),
        {
            "lut": {"LUT": 1},
            "ff": {"FF": 1},
            "bram": _BRAM18,
            "uram": {"URAM": 1},
            "dsp": {"DSP": 1},
            "power": {"total_power_W": 1},
        },
    ),
    "bitfile": (
        "post_synth_resources.json",
        ("(top)",),
        {"lut": {"LUT": 1}, "ff": {"FF": 1}, "bram": _BRAM18, "uram": {"URAM": 1}, "dsp": {"DSP": 1}},
    ),
}
"""Report file, the object inside it, and for each figure the entries whose sum it is, with what each counts."""

_SIMULATION = "out/report/rtl_simulation"


@dataclass(frozen=True)
class Figure:
    """A figure of a build. `source` says whose it is, as `from` in a recipe; `told`: the same in words."""

    value: float
    source: str
    told: str


def figures(plan: Plan, built: Mapping[str, Built], store: Store) -> dict[str, list[Figure]]:
    """The figures of what is built, by the name of their objective, each list with the most real one first.

    They are read at the ends of what is built. Where two ends say different things, neither is given.
    """
    steps = [name for name, task in plan.tasks.items() if task.is_step and name in built]
    needed = {need for name in steps for need in plan.tasks[name].needs}
    trees = [built[name].tree for name in steps if name not in needed]
    found = {}
    for name, sources in SOURCES.items():
        said = ((source, {*_values(name, source, trees, store)}) for source in sources)
        found[name] = [Figure(values.pop(), source, source) for source, values in said if len(values) == 1]
    found["accuracy"] = [*_accuracies(plan, built)]
    return found


def _values(name: str, source: str, trees: list[Mapping[str, Entry]], store: Store) -> Iterator[float]:
    """What a source says of a figure, at every end that has it."""
    for tree in trees:
        if source == "rtlsim":
            said = _by_finn(_report(tree, "out/report/rtlsim_performance.json", store))
        elif source == "rtl.simulate":
            # A simulation with stalls shows that the design is right, not how fast it is.
            reports = (_report(tree, path, store) for path in tree if path.startswith(_SIMULATION))
            runs = [run for run in reports if isinstance(run, Mapping) and not run.get("stalls")]
            said = [_simulated(name, run) for run in runs]
        else:
            key = "resources" if source == "estimate" and name not in ("fps", "latency") else source
            file, inside, wanted = _OF_SOURCE[key]
            data = _report(tree, f"out/report/{file}", store)
            for part in inside:
                data = data.get(part) if isinstance(data, Mapping) else None
            said = [_sum(data, wanted[name])] if isinstance(data, Mapping) and name in wanted else []
        yield from (float(value) for value in said if value is not None and math.isfinite(value))


def _by_finn(runs: Any) -> list[float | None]:
    """Frames per second of FINN's simulation; newer ones have an entry for each output, and the slowest counts."""
    if isinstance(runs, list):
        rates = [run.get("throughput_fps") for run in runs if isinstance(run, Mapping)]
        found = [rate for rate in rates if isinstance(rate, int | float)]
        return [min(found)] if found and len(found) == len(runs) else []
    rate = runs.get("throughput[images/s]") if isinstance(runs, Mapping) else None
    return [rate] if isinstance(rate, int | float) else []


def _simulated(name: str, run: Mapping[str, Any]) -> float | None:
    value = run.get("fps") if name == "fps" else _product(run.get("latency"), run.get("clock_ns"))
    return value if isinstance(value, int | float) else None


def _product(one: Any, other: Any) -> float | None:
    return one * other if isinstance(one, int | float) and isinstance(other, int | float) else None


def _sum(data: Mapping[str, Any], parts: Mapping[str, float]) -> float | None:
    there = [data[key] * times for key, times in parts.items() if isinstance(data.get(key), int | float)]
    return sum(there) if there else None


def _report(tree: Mapping[str, Entry], path: str, store: Store) -> Any:
    """A report as data; None where there is none that can be read."""
    if path not in tree or not path.endswith(".json"):
        return None
    try:
        return json.loads(store.read(tree[path].blob))
    except (ValueError, ObjectDamaged):
        return None


def _accuracies(plan: Plan, built: Mapping[str, Built]) -> Iterator[Figure]:
    """What verification points measured, the last one first."""
    for name, task in reversed([*plan.tasks.items()]):
        measured = measurement(built[name]) if name in built and task.checks else None
        value = measured.get("value") if measured is not None and measured["state"] == "measured" else None
        if measured is not None and isinstance(value, int | float) and math.isfinite(value):
            told = f"{measured['metric']} of {measured['samples']} after {task.checks}"
            yield Figure(float(value), str(task.checks), told)
