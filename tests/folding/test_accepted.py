"""Whatever folding is found, nothing after it refuses: FINN's own steps, lint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.finn import hwconfig
from finnyaml.finn.invalid_settings import refusal
from finnyaml.folding.choose import Wanted, choose
from finnyaml.lint.graph import Stage, check
from tests.finn.two_layers import PART, dense, network, thresholds
from tests.folding import drawn

CLOCK_NS = 10.0
DONE = Stage(
    "target_fps_parallelization",
    "optimize_folding",
    {"toolchain": "vivado", "fpga_part": PART, "synth_clk_period_ns": CLOCK_NS, "standalone_thresholds": True},
    frozenset(("step_specialize_layers", "step_target_fps_parallelization")),
)
"""Lint is told that Vivado comes next: for the open path the queues that are too short are only worth a remark."""


@cache
def networks() -> dict[str, ModelWrapper]:
    drawings = {f"images {seed}": drawn.images(seed) for seed in range(6)}
    return {"two layers": network([dense(), thresholds()]), "branches": drawn.branches(), **drawings}


def goals(seed: int) -> Iterator[dict[str, Any]]:
    chance = Random(seed)
    for _ in range(2):
        yield {"minimize": chance.choice(("lut", "bram", "dsp", "share")), "fps": 10 ** chance.randint(3, 5)}
    yield {"minimize": {"lut": 1, "bram": 80}, "fps": chance.choice((20_000, 1_500_000))}
    yield {"budget": {"lut": chance.choice((1500, 2500, 6000)), "dsp": chance.choice((6, 20, 60))}}


def found(model: ModelWrapper, seed: int) -> Iterator[tuple[ModelWrapper, dict[str, Any]]]:
    for goal in goals(seed):
        try:
            chosen = choose(model, Wanted(**goal), PART, CLOCK_NS, {}, rtl_only=True)
        except StepFailed as error:
            if "no folding" not in error.message:  # faster than the network can be
                raise
        else:
            yield chosen.model, chosen.report


@pytest.mark.parametrize("name", ["two layers", "branches", *(f"images {seed}" for seed in range(6))])
def test_no_step_and_no_rule_refuses_what_was_found(name: str, tmp_path: Path) -> None:
    model, seen = networks()[name], 0
    for folded, report in found(model, sum(map(ord, name))):
        seen += 1
        layers = [getCustomOp(node) for node in folded.graph.node]
        assert [refusal(layer) for layer in layers] == [None] * len(layers)
        assert [each for each in check(folded, DONE) if each.severity in ("error", "warning")] == []
        assert inserted(folded) == {"StreamingFIFO_rtl"} | (
            {"StreamingDataWidthConverter_rtl"} if report["converters"] else set()
        )
        # FINN's own file says the same, and its own step takes it.
        hwconfig.write(folded, tmp_path / "folding.json")
        assert applied(model, tmp_path / "folding.json") == [written(layer) for layer in layers]
    assert seen >= 2


def inserted(model: ModelWrapper) -> set[str]:
    """The types of what FINN puts between the layers; as many converters as were expected is a test of its own."""
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    made = model.transform(InsertDWC()).transform(InsertFIFO(create_shallow_fifos=True))
    return {node.op_type for node in made.transform(SpecializeLayers(PART)).graph.node if "Streaming" in node.op_type}


def applied(model: ModelWrapper, file: Path) -> list[dict[str, Any]]:
    from finn.transformation.general import ApplyConfig

    entries = {name: value for name, value in json.loads(file.read_text()).items() if name != "Defaults"}
    return [written(getCustomOp(node)) for node in model.transform(ApplyConfig(entries)).graph.node]


def written(layer: Any) -> dict[str, Any]:
    known = layer.get_nodeattr_types()
    names = ("PE", "SIMD", "ram_style", "parallel_window", "resType")
    return {name: layer.get_nodeattr(name) for name in names if name in known}


def test_a_folding_that_would_lose_results_is_seen_by_this_very_check() -> None:
    """The same network with a whole row at once, which the search leaves out."""
    from finnyaml.graph.surgery import set_attributes

    model = network([dense(), thresholds()])
    set_attributes(model.graph.node[0], SIMD=8)
    assert "output-queue-too-short" in {each.rule for each in check(model, DONE) if each.severity == "warning"}
