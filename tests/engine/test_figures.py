"""Figures that variants are compared by, read from the reports in the trees of tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from finnyaml.engine.figures import figures


class Build:
    """A build as far as figures see it: tasks, each with the reports that its tree has."""

    def __init__(self) -> None:
        self.tasks: dict[str, Any] = {}
        self.built: dict[str, Any] = {}
        self.blobs: dict[str, bytes] = {}

    def step(self, name: str, *needs: str, **reports: object) -> None:
        """A step that was built: its tree has those of what it needs, and reports of its own (JSON, or text)."""
        tree = {path: entry for need in needs for path, entry in self.built[need].tree.items()}
        for report, data in reports.items():
            blob = f"{name}-{report}"
            self.blobs[blob] = (data if isinstance(data, str) else json.dumps(data)).encode()
            tree[f"out/report/{report}.json"] = SimpleNamespace(blob=blob)
        self.tasks[name] = SimpleNamespace(is_step=True, needs=needs, checks=None)
        self.built[name] = SimpleNamespace(tree=tree, trace=SimpleNamespace(info={}))

    def point(self, step: str, state: str, value: object) -> None:
        """A verification point behind a step."""
        measurement = {"metric": "top1", "samples": 9, "state": state, "value": value}
        self.tasks[f"verify.{step}"] = SimpleNamespace(is_step=False, needs=(step,), checks=step)
        info = {"metrics": {"measurement": measurement}}
        self.built[f"verify.{step}"] = SimpleNamespace(tree={}, trace=SimpleNamespace(info=info))

    def figures(self) -> Mapping[str, dict[str, float]]:
        store: Any = SimpleNamespace(read=self.blobs.__getitem__)
        plan: Any = SimpleNamespace(tasks=self.tasks)
        found = figures(plan, self.built, store)
        return {name: {one.source: one.value for one in said} for name, said in found.items() if said}


def test_each_source_by_itself_the_most_real_one_first() -> None:
    build = Build()
    build.step(
        "estimate",
        estimate_network_performance={"estimated_throughput_fps": 10, "estimated_latency_ns": 70.0},
        estimate_layer_resources={"MVAU_0": {"LUT": 1}, "total": {"LUT": 5, "BRAM_18K": 2, "DSP": 0}},
    )
    build.step("sized", "estimate", rtl_fifo_sizing={"bits": 64})
    # With stalls, a simulation shows that the design is right, not how fast it is.
    build.step("stalled", "sized", rtl_simulation_stalled={"stalls": {"input": 30}, "fps": 1.0, "latency": 99})
    build.step("simulate", "stalled", rtl_simulation={"stalls": {}, "fps": 9.5, "latency": 8, "clock_ns": 10.0})
    build.step("end", "simulate", rtl_synthesis={"total": {"yosys": {"LUT": 7, "BRAM18": 1}, "finn": {"LUT": 5}}})
    build.point("estimate", "measured", 0.5)
    build.point("sized", "measured", 0.25)
    build.point("simulate", "not measured", None)
    found = build.figures()
    assert found == {
        "fps": {"rtl.simulate": 9.5, "estimate": 10.0},
        "latency": {"rtl.simulate": 80.0, "estimate": 70.0},
        "lut": {"yosys": 7.0, "estimate": 5.0},
        "bram": {"yosys": 1.0, "estimate": 2.0},
        "dsp": {"estimate": 0.0},
        "fifo_bits": {"rtl.size_fifos": 64.0},
        "accuracy": {"sized": 0.25, "estimate": 0.5},
    }
    assert [*found["fps"]] == ["rtl.simulate", "estimate"] and [*found["accuracy"]] == ["sized", "estimate"]


def test_vivado_counts_both_sizes_of_block_ram() -> None:
    build = Build()
    build.step("ooc", ooc_synth_and_timing={"LUT": 5.0, "BRAM_18K": 1.0, "BRAM_36K": 2.0, "total_power_W": 0.5})
    assert build.figures() == {"lut": {"vivado": 5.0}, "bram": {"vivado": 5.0}, "power": {"vivado": 0.5}}


def test_what_cannot_be_read_is_not_there() -> None:
    build = Build()
    build.step(
        "all",
        estimate_network_performance={"estimated_throughput_fps": None},
        estimate_layer_resources="[",
        rtl_fifo_sizing={"bits": float("nan")},
        rtl_synthesis=[1],
        rtl_simulation={"stalls": {}, "fps": None, "latency": 3},
        rtlsim_performance=[{"throughput_fps": 5.0}, {}],
    )
    build.point("all", "measured", "nan")
    assert build.figures() == {}


def test_a_later_step_counts_and_ends_that_differ_do_not() -> None:
    def report(fps: float) -> dict[str, float]:
        return {"estimated_throughput_fps": fps}

    build = Build()
    build.step("first", estimate_network_performance=report(1))
    build.step("second", "first", estimate_network_performance=report(2))
    assert build.figures() == {"fps": {"estimate": 2.0}}
    build.step("other", "first")
    assert build.figures() == {}  # one end says 2, the other 1
    build.step("joined", "second", "other", estimate_network_performance=report(3))
    assert build.figures() == {"fps": {"estimate": 3.0}}


def test_of_several_outputs_the_slowest_counts() -> None:
    build = Build()
    build.step("simulated", rtlsim_performance=[{"throughput_fps": 5.0}, {"throughput_fps": 4.0}])
    assert build.figures() == {"fps": {"rtlsim": 4.0}}
