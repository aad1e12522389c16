"""Prices of RTL layers: how far they are from what was synthesised, how they grow, and where there are none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.folding import prices
from finnyaml.folding.prices import price
from finnyaml.folding.terms import blocks

DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "folding.md"
MATRIX = {"MW": 72, "MH": 16, "PE": 4, "SIMD": 4, "weight": 3, "in": 3, "out": 11, "ram": "distributed"}
WIDTHS = {
    "StreamingDataWidthConverter_rtl": (("in", "out"),),
    "MVAU_rtl": (("weight",), ("in",), ("out",)),
    "Thresholding_rtl": (("in",),),
    "ConvolutionInputGenerator_rtl": (("bits",),),
    "FMPadding_rtl": (("bits",),),
    "StreamingFIFO_rtl": (("bits",),),
    "Pool_rtl": (("in", "out"),),
    "DuplicateStreams_rtl": (("bits",),),
    "IntegerAdd_rtl": (("left", "right", "out"),),
    "GlobalAccPool_rtl": (("in", "out"),),
    "LabelSelect_rtl": (("in",),),
}


def test_the_docs_state_the_errors_that_the_data_gives() -> None:
    """Each layer by a fit without it. The table is what `python -m benchmarks layers` prints at its end."""
    stated = re.findall(
        r"^\| `(\w+_rtl)`([\w ]*) \| (\d+) \| ([\d.]+) % \| ([\d.]+) % \|$", DOCS.read_text(), re.MULTILINE
    )
    found = [
        (*each.kind.partition(" ")[::2], str(each.layers), f"{100 * each.median:.1f}", f"{100 * each.most:.1f}")
        for each in prices.errors()
    ]
    assert [(name, kind.strip(), *figures) for name, kind, *figures in stated] == found


def test_an_error_is_of_a_layer_that_the_fit_has_not_seen() -> None:
    """With itself in the fit every layer is nearer to its price, on the whole."""
    seen = [
        price(layer.op_type, layer.measures).takes["LUT"] / layer.takes["LUT"] - 1
        for layer in prices.data()
        if price(layer.op_type, layer.measures).takes
    ]
    unseen = np.concatenate(list(prices.left_out().values()))
    assert len(seen) == len(unseen)
    assert np.mean(np.abs(seen)) < np.mean(np.abs(unseen))


def test_slices_are_exact_and_block_memories_nearly() -> None:
    for layer in prices.data():
        takes = price(layer.op_type, layer.measures).takes
        if takes:
            assert takes.get("DSP", 0.0) == pytest.approx(layer.takes["DSP"])
            assert takes.get("BRAM18", 0.0) == pytest.approx(layer.takes["BRAM18"], rel=0.25), layer


def test_every_layer_that_was_measured_has_a_price() -> None:
    for layer in prices.data():
        found = price(layer.op_type, layer.measures)
        assert not found.why_not or "none of this form" in found.why_not


@pytest.mark.parametrize("op_type", WIDTHS)
def test_more_bits_never_take_fewer_luts(op_type: str) -> None:
    layers = [layer for layer in prices.data() if layer.op_type == op_type]
    assert layers
    for layer in layers:
        for names in WIDTHS[op_type]:
            wider = {**layer.measures, **{name: 2 * int(layer.measures[name]) for name in names}}
            before, after = (price(op_type, measures).takes for measures in (layer.measures, wider))
            if before and after:
                assert after["LUT"] >= before["LUT"], (layer, names)


def test_what_is_larger_than_all_that_was_measured_has_no_price_but_a_least_one() -> None:
    inside = price("MVAU_rtl", MATRIX)
    assert inside.why_not == ""
    beyond = price("MVAU_rtl", {**MATRIX, "MW": 7200, "MH": 1600, "PE": 400, "SIMD": 40})
    assert re.search(r"weight bits a cycle 48000, measured from \d+ to \d+", beyond.why_not)
    assert all(beyond.takes[name] >= inside.takes[name] for name in prices.PRICED)


def test_many_weights_are_not_cheap_in_luts_because_nobody_measured_so_many() -> None:
    large = {**MATRIX, "MW": 784, "MH": 64, "PE": 1, "SIMD": 16, "weight": 2, "in": 2, "out": 12}
    in_luts, in_blocks = (price("MVAU_rtl", {**large, "ram": ram}) for ram in ("distributed", "block"))
    assert "LUTs of weights" in in_luts.why_not
    assert in_luts.takes["LUT"] - in_blocks.takes["LUT"] > 0.7 * 784 * 64 * 2 / 64


@pytest.mark.parametrize(
    ("op_type", "measures"),
    [
        ("VVAU_rtl", {"PE": 2}),
        ("MVAU_rtl", None),
        ("ConvolutionInputGenerator_rtl", {"ram": "ultra", "style": "default", "SIMD": 1, "bits": 2}),
    ],
)
def test_what_was_never_measured_has_no_price(op_type: str, measures: Any) -> None:
    assert price(op_type, measures) == prices.Price({}, "none of this form was measured")


def test_the_file_says_who_measured() -> None:
    assert prices.made_by() == {
        "part": "xczu9eg-ffvb1156-2-e",
        "finn": "finn-plus 1.6.1",
        "yosys": "Yosys 0.70 (git sha1 28ba3cb92)",
    }


def test_block_memories_take_the_shape_that_needs_the_fewest() -> None:
    assert [blocks(36, 512), blocks(37, 512), blocks(9, 2048), blocks(3, 4096), blocks(1, 16385)] == [1, 2, 1, 1, 2]
