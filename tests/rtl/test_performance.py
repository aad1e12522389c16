"""Figures of runs whose times are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finnyaml.rtl.design import Design, Fifo
from finnyaml.rtl.performance import metrics
from finnyaml.rtl.simulation import Run, Simulator
from tests.rtl import stand_in
from tests.rtl.two_layers import TwoLayers


@pytest.fixture
def design(tmp_path: Path) -> Design:
    fifo = Fifo("StreamingFIFO_rtl_0", 8, 12, "auto", None, None)
    made = stand_in.write(tmp_path / "design", stand_in.Fault.NONE)
    return replace(made, fifos=(fifo,), max_cycles=100, latency_cycles=400)


def run(last_out: list[int], chunks: tuple[int, ...]) -> Run:
    return Run(
        outputs=np.zeros((len(last_out), 1), np.uint8),
        finished=True,
        cycles=10_000,
        seconds=0.5,
        first_in=np.full(len(last_out), 7),
        last_out=np.array(last_out, np.int64),
        chunks=chunks,
        period=0,
        swing={},
        fill={"StreamingFIFO_rtl_0": 5},
        stuck={},
        edges={},
    )


def test_the_interval_is_that_of_the_full_pipeline(design: Design) -> None:
    found = metrics(design, run([206, 216, 230, 340, 450, 562], (6,)))
    assert (found["interval"], found["interval_least"], found["interval_most"]) == (110.0, 110, 112)
    assert found["latency"] == 200
    assert found["ratio"] == 1.1
    assert found["fps"] == pytest.approx(1e9 / (110 * 5.0))
    assert found["estimate"] == {"interval": 100, "latency": 400}
    assert found["cycles_per_second"] == 20_000
    assert found["fifos"] == {"StreamingFIFO_rtl_0": {"most": 5, "depth": 8, "width": 12}}


def test_processes_are_apart(design: Design) -> None:
    assert metrics(design, run([206, 306, 406, 200, 290, 380], (3, 3)))["interval"] == 95.0


@pytest.mark.parametrize(("last_out", "chunks"), [([206], (1,)), ([206, 206], (1, 1)), ([], (1,)), ([206], (1, 2))])
def test_single_frames_have_no_interval(design: Design, last_out: list[int], chunks: tuple[int, ...]) -> None:
    found = metrics(design, run(last_out, chunks))
    assert found["interval"] is None and found["fps"] is None and found["ratio"] is None
    assert found["latency"] == (200 if last_out else None)


def test_a_real_design_is_as_fast_as_its_slowest_layer(simulator: Simulator, two_layers: TwoLayers) -> None:
    found = metrics(simulator.design, simulator.run(np.concatenate([two_layers.inputs] * 4)))
    assert found["interval"] == found["interval_most"] == simulator.design.max_cycles
    assert found["latency"] > found["interval"]
