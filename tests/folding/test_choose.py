"""The best folding of real FINN layers beside every folding there is, each set, converted and priced by FINN itself."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.finn import estimates
from finnyaml.finn.invalid_settings import InvalidSettings
from finnyaml.folding import costs
from finnyaml.folding.choose import Wanted, choose, summary
from finnyaml.folding.costs import Pricing
from finnyaml.folding.options import fits
from finnyaml.folding.program import RESOURCES
from finnyaml.graph.surgery import set_attributes
from finnyaml.lint.rtl import loses_results
from finnyaml.worker.runners import folding
from tests.finn.two_layers import PART, dense, network, thresholds
from tests.folding.drawn import branches

CLOCK_NS = 10.0
WEIGHTS = {"lut": 1.0, "bram": 80.0, "dsp": 5.0}


@cache
def layers() -> ModelWrapper:
    """Three vectors of 8 values, a dense layer of 6, thresholds, all in RTL."""
    return network([dense(), thresholds()])


def priced(model: ModelWrapper) -> tuple[int, dict[str, float]]:
    """Cycles and costs with the width converters and the shortest FIFOs that FINN inserts."""
    folded = [getCustomOp(node) for node in model.graph.node]
    foldings = tuple(
        layer.get_nodeattr(name) for layer, name in zip((*folded, folded[0]), ("PE", "PE", "SIMD"), strict=True)
    )
    layers = [PRICING.layer(layer).amounts for layer in folded]
    cycles = max(int(layer.get_exp_cycles()) for layer in folded)
    return cycles, dict(zip(RESOURCES, np.sum([*layers, streams(*foldings)], axis=0).tolist(), strict=True))


PRICING = Pricing(PART)


def streams(pe: int, further: int, simd: int) -> np.ndarray:
    """Of the nodes that FINN inserts: SIMD decides the one in front, both PE the others."""
    return inserted(pe, further, 1) + inserted(1, 1, simd) - inserted(1, 1, 1)


@cache
def inserted(pe: int, further: int, simd: int) -> np.ndarray:
    """Costs of the nodes that FINN inserts between and around the two layers."""
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers

    model = copy.deepcopy(layers())
    for node, values in zip(model.graph.node, ({"PE": pe, "SIMD": simd}, {"PE": further}), strict=True):
        set_attributes(node, **values)
    made = model.transform(InsertDWC()).transform(InsertFIFO(create_shallow_fifos=True))
    made = made.transform(SpecializeLayers(PART))
    nodes = [node for node in made.graph.node if node.op_type.startswith("Streaming")]
    assert len(nodes) == (3 if pe == further else 5) and all(node.op_type.endswith("_rtl") for node in nodes)
    return np.sum([PRICING.layer(getCustomOp(node)).amounts for node in nodes], axis=0)


@cache
def every() -> list[tuple[int, dict[str, float]]]:
    return list(_every())


def _every() -> Iterator[tuple[int, dict[str, float]]]:
    for pe, simd, further in itertools.product((1, 2, 3, 6), (1, 2, 4, 8), (1, 2, 3, 6)):
        for memory in ("auto", "block", "distributed"):
            model = copy.deepcopy(layers())
            for node, values in zip(
                model.graph.node, ({"PE": pe, "SIMD": simd, "ram_style": memory}, {"PE": further}), strict=True
            ):
                set_attributes(node, **values)
            matrix, levels = (getCustomOp(node) for node in model.graph.node)
            if fits(matrix) and fits(levels) and not loses_results(matrix.onnx_node, model, PART, CLOCK_NS):
                yield priced(model)


def weighted(amounts: dict[str, float]) -> float:
    return sum(weight * amounts[name] for name, weight in WEIGHTS.items())


def chosen(**wanted: Any) -> tuple[ModelWrapper, dict[str, Any]]:
    found = choose(layers(), Wanted(**wanted), PART, CLOCK_NS, {}, rtl_only=False)
    return found.model, found.report


@pytest.mark.parametrize("fps", [400_000, 1_000_000, 3_000_000, 12_000_000])
def test_the_cheapest_folding_for_a_rate(fps: int) -> None:
    model, report = chosen(minimize=WEIGHTS, fps=fps)
    limit = 1e9 / CLOCK_NS / fps
    least = min(weighted(amounts) for cycles, amounts in every() if cycles <= limit)
    cycles, amounts = priced(model)
    assert report["proven"] and cycles <= limit
    assert weighted(amounts) == pytest.approx(least) == pytest.approx(weighted(report), abs=0.1)  # the report rounds
    assert (report["cycles"], report["fps"]) == (cycles, pytest.approx(1e9 / CLOCK_NS / cycles, rel=1e-3))


@pytest.mark.parametrize("budget", [{"lut": 420}, {"lut": 700, "dsp": 4}, {"lut": "0.5%", "bram": 2}])
def test_the_fastest_folding_within_a_budget(budget: dict[str, Any]) -> None:
    model, report = chosen(budget=budget)
    capacity = estimates.capacity(PART)
    most = {**budget, **({"lut": 0.005 * capacity["LUT"]} if budget["lut"] == "0.5%" else {})}
    allowed = [cycles for cycles, amounts in every() if all(amounts[name] <= least for name, least in most.items())]
    cycles, amounts = priced(model)
    assert cycles == min(allowed) == report["cycles"]
    assert all(amounts[name] <= least for name, least in most.items())


def test_the_report_says_what_limits_what_more_would_cost_and_what_finn_chooses() -> None:
    _, report = chosen(minimize="lut", fps=1_000_000)
    assert report["limits"] and set(report["limits"]) <= {layer["name"] for layer in report["layers"]}
    assert report["next"]["cycles"] < report["cycles"] and report["next"]["lut"] >= report["lut"]
    assert report["set_folding"]["lut"] >= report["lut"]
    first, limits, faster, finn = summary(report)
    assert "proven to be the best" in first and limits.startswith("limited by ")
    assert faster.startswith("the next faster folding: ") and finn.startswith("FINN's own SetFolding: ")


def test_where_finns_own_folding_loses_results_is_told() -> None:
    """It takes whole rows at once, which the search leaves out: so the two do not quite compare."""
    _, report = chosen(minimize="lut", fps=3_000_000)
    assert report["set_folding"]["loses_results"] == ["MVAU_rtl_0"]
    assert list(summary(report))[-1].endswith("; loses results where the next layer waits: MVAU_rtl_0")
    assert chosen(minimize="lut", fps=400_000)[1]["set_folding"]["loses_results"] == []


def test_whose_figures_they_are_is_told() -> None:
    _, report = chosen(minimize="lut", fps=1_000_000)
    assert report["by_finn"] == [] and not any(each["finn"] for each in (*report["layers"], *report["streams"]))
    assert "by a model fitted on synthesis (median error " in next(summary(report))

    half = choose(
        network([dense("hls"), thresholds()]), Wanted("lut", 1_000_000), PART, CLOCK_NS, {}, rtl_only=False
    ).report
    assert half["by_finn"] == ["MVAU_hls_0"]
    assert half["layers"][0]["finn"] == "none of this form was measured" and not half["layers"][1]["finn"]
    assert ", and FINN's estimate of MVAU_hls_0: proven" in next(summary(half))


def test_prices_hold_for_the_family_and_the_finn_that_they_were_measured_with(monkeypatch: pytest.MonkeyPatch) -> None:
    other = choose(layers(), Wanted("lut", 1_000_000), "xc7z020clg400-1", CLOCK_NS, {}, rtl_only=False).report
    assert {each["finn"] for each in (*other["layers"], *other["streams"])} == {
        f"prices were measured for {PART}, and xc7z020clg400-1 is of another family"
    }
    assert " by FINN's estimate: proven" in next(summary(other))
    monkeypatch.setattr(costs, "distribution_of_finn", lambda: ("finn-plus", "9.9"))
    _, newer = chosen(minimize="lut", fps=1_000_000)
    assert newer["layers"][0]["finn"] == "prices were measured with finn-plus 1.6.1, and this is finn-plus 9.9"


def test_what_the_user_has_chosen_stays() -> None:
    name = layers().graph.node[0].name
    pinned = {name: {"PE": 3, "SIMD": 2}}
    found = choose(layers(), Wanted("lut", 300_000), PART, CLOCK_NS, pinned, rtl_only=False)
    matrix = getCustomOp(found.model.graph.node[0])
    assert (matrix.get_nodeattr("PE"), matrix.get_nodeattr("SIMD")) == (3, 2)
    kept = choose(layers(), Wanted("lut", 300_000, exclude=(name,)), PART, CLOCK_NS, {}, rtl_only=False)
    matrix = getCustomOp(kept.model.graph.node[0])
    assert (matrix.get_nodeattr("PE"), matrix.get_nodeattr("SIMD")) == (2, 4), "as it came"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            {"minimize": "lut", "fps": 90_000_000},
            r"no folding reaches 90,000,000 frames a second: \S+ needs \d+ cycles",
        ),
        (
            {"minimize": "lut", "fps": 12_000_000, "budget": {"lut": 420}},
            "within these limits reaches .* the fastest has",
        ),
        ({"budget": {"lut": 10}}, "no folding at all keeps these limits"),
        ({"minimize": "lut", "fps": 1_000, "exclude": ("MVA",)}, "MVA is not a node of the model"),
    ],
)
def test_what_cannot_be_is_told(wanted: dict[str, Any], words: str) -> None:
    with pytest.raises(StepFailed, match=words) as caught:
        chosen(**wanted)
    assert "\n" not in caught.value.message


def test_a_pinned_folding_that_no_layer_can_have() -> None:
    name = layers().graph.node[0].name
    with pytest.raises(StepFailed, match=f"{name}: no folding of this layer agrees with") as caught:
        choose(layers(), Wanted("lut", 1_000), PART, CLOCK_NS, {name: {"PE": 4}}, rtl_only=False)
    assert "divides the layer" in str(caught.value.hint)


def test_a_layer_that_can_only_be_folded_so_that_it_loses_results() -> None:
    name = layers().graph.node[0].name
    with pytest.raises(StepFailed, match=f"{name}: in every folding that it may have, FINN's RTL loses") as caught:
        choose(layers(), Wanted("lut", 1_000), PART, CLOCK_NS, {name: {"SIMD": 8}}, rtl_only=False)
    assert f"exclude: [{name}]" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"MVAU_rtl_7": {"PE": 2}}, "MVAU_rtl_7 is not a node of the model at this step"),
        ({"MVAU_rtl_0": {"PEs": 2}}, "has no attribute PEs"),
    ],
)
def test_pinned_nodes_that_are_not_there(entries: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Before the search, and not only where FINN applies the file."""
    file = tmp_path / "folding_config_file.json"
    file.write_text(json.dumps(entries))
    with pytest.raises(InvalidSettings, match=words):
        folding._fixed(layers(), str(file))
    lenient = tmp_path / "folding_config_file.lenient.json"
    lenient.write_text(json.dumps({"MVAU_rtl_7": {"PE": 2}, "MVAU_rtl_0": {"PE": 3}}))
    assert folding._fixed(layers(), str(lenient)) == {"MVAU_rtl_0": {"PE": 3}}


def test_a_budget_of_nothing_is_a_limit_like_any_other() -> None:
    _, report = chosen(budget={"bram": 0, "dsp": 4})
    assert report["bram"] == 0 and 0 < report["dsp"] <= 4
    with pytest.raises(StepFailed, match="no folding at all keeps these limits"):
        chosen(budget={"lut": 0})


def test_one_layer_alone_and_no_layer() -> None:
    model = network([dense()], "sums")
    report = choose(model, Wanted("lut", 1_000_000), PART, CLOCK_NS, {}, rtl_only=False).report
    assert [layer["name"] for layer in report["layers"]] == ["MVAU_rtl_0"] == report["limits"]
    assert report["streams"] == [] and report["converters"] == 0
    for node in model.graph.node:
        node.domain = node.domain.removesuffix(".rtl")
    with pytest.raises(StepFailed, match="no layer of the model is specialised yet") as caught:
        choose(model, Wanted("lut", 1_000_000), PART, CLOCK_NS, {}, rtl_only=False)
    assert "behind `specialize_layers`" in str(caught.value.hint)


def test_branches_are_folded_together() -> None:
    """Both streams of the fork are as wide, and both of the join; the converters of each branch are its own."""
    model = branches()
    report = choose(model, Wanted("lut", 600_000), PART, CLOCK_NS, {}, rtl_only=True).report
    widths = {each["name"]: each["widths"] for each in report["streams"]}
    left, right = widths["DuplicateStreams_rtl_0 to MVAU_rtl_0"], widths["DuplicateStreams_rtl_0 to IntegerAdd_rtl_0"]
    assert len(widths) == 5 and left[0] == right[0] and right[1] == widths["MVAU_rtl_0 to IntegerAdd_rtl_0"][1]
    assert report["proven"] and report["converters"] == sum(sent != read for sent, read in widths.values())


def test_a_part_that_nobody_knows() -> None:
    """Numbers need no knowledge of the part; neither prices nor synthesis hold for it."""
    report = choose(layers(), Wanted("lut", 1_000_000), "xq9made-up-1", CLOCK_NS, {}, rtl_only=False).report
    assert len(report["by_finn"]) == report["of"] and "another family" in report["layers"][0]["finn"]


def test_per_cent_of_a_part_that_finn_does_not_know() -> None:
    with pytest.raises(StepFailed, match="FINN has no board with the part xc7k325t") as caught:
        choose(layers(), Wanted(budget={"lut": "10%"}), "xc7k325t-ffg900-2", CLOCK_NS, {}, rtl_only=False)
    assert "give numbers" in str(caught.value.hint)
