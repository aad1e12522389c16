"""A measured frame rate below the one that was asked for is said, once."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from finnyaml.engine.speed import below_target


def told(target: int | None, **reports: dict[str, Any]) -> list[str]:
    """What is told where each task of a chain wrote the report `rtl_<task>.json`; `estimate` is FINN's estimates."""
    config = {"target_fps": target, "synth_clk_period_ns": 10.0} if target else {}
    places = {"target_fps": ("folding", "target_fps")}
    task = SimpleNamespace(config=config, defaults={}, setting_pointers=places, pointer=())
    files = {name: "estimate_network_performance" if name == "estimate" else f"rtl_{name}" for name in reports}
    names = list(reports)
    plan: Any = SimpleNamespace(
        tasks=dict.fromkeys([*names, "later"], task),
        targets={"one": "later", "two": names[-1]},
        ancestors=lambda ends: set(names) - set(ends),
        recipe=SimpleNamespace(at=lambda pointer: pointer),
    )
    artifacts = {
        name: SimpleNamespace(files={f"out/report/{file}.json": SimpleNamespace(blob=name)})
        for name, file in files.items()
    }
    built = {name: SimpleNamespace(artifact=artifact) for name, artifact in artifacts.items()}
    store: Any = SimpleNamespace(read=lambda blob: json.dumps(reports[blob]).encode())
    problems = list(below_target(plan, built, store))
    assert all((item.severity, item.where) == ("warning", ("folding", "target_fps")) for item in problems)
    return [item.message for item in problems]


@pytest.mark.parametrize("target", [100_000, None])
def test_fast_enough_or_nothing_asked(target: int | None) -> None:
    assert told(target, fifo_sizing={"interval": 1000, "bits": 8}) == []
    assert told(target, simulation={"interval": 1000, "fps": 100_000.0}) == []


def test_too_slow_after_sizing_and_in_the_simulation() -> None:
    (message,) = told(100_000, fifo_sizing={"interval": 1250, "bits": 8})
    assert message == "fifo_sizing measured 80,000 frames a second, less than the target_fps of 100,000"
    (message,) = told(100_000, fifo_sizing={"interval": 1250}, simulation={"interval": 2000, "fps": 50_000.0})
    assert message.startswith("simulation measured 50,000"), "what was measured last"
    assert told(100_000, fifo_sizing={"interval": 1250}, simulation={"fps": 100_000.0}) == []


def test_estimates_are_not_measured() -> None:
    assert told(100_000, estimate={"max_cycles": 5000, "estimated_throughput_fps": 20_000.0}) == []
