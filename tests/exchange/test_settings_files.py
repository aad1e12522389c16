"""Folding and specialize files of other versions, cleaned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finnyaml.exchange.importing import import_recipes
from finnyaml.finn.entries import advice, renamed
from tests.plan.catalog import CATALOG

OLD = {
    "Defaults": {
        "ram_style": ["block", ["MatrixVectorActivation", "MVAU"]],
        "mem_mode": ["const", ["MVAU"], "external", ["VVAU"]],
    },
    "MatrixVectorActivation_0": {"PE": 2, "mem_mode": "decoupled", "inFIFODepth": 32},
    "first": {"PE": 1},
    "StreamingMaxPool_hls_1": {"PE": 1},
    "StreamingFIFO_12": {"depth": 32, "impl_style": "rtl"},
    "StreamingFIFO_13": {"impl_style": "rtl"},
    "StreamingDataWidthConverter_hls_0": {},
}


def test_a_cleaned_file_has_present_names_and_fifos_of_their_own(tmp_path: Path) -> None:
    source = tmp_path / "folding.json"
    source.write_text(json.dumps(OLD))
    result = import_recipes(source, (), None, None, CATALOG)
    layers, fifos = (json.loads(path.read_text()) for path in result.files)
    assert layers == {
        "Defaults": {
            "ram_style": ["block", ["MVAU"]],
            "mem_mode": ["internal_embedded", ["MVAU"], "external", ["VVAU"]],
        },
        "MVAU_0": {"PE": 2, "mem_mode": "internal_decoupled", "inFIFODepths": [32]},
        "first": {"PE": 1},
        "Pool_hls_1": {"PE": 1},
    }
    assert fifos["fifo_depths"] == {"StreamingFIFO_rtl_12": 32}
    assert "StreamingMaxPool_hls_1 is Pool_hls_1 now" in result.notes
    assert "inFIFODepth: 32 is inFIFODepths: [32] now" in result.notes
    assert any(note.startswith("first is not called as FINN calls its layers") for note in result.notes)
    assert any("entries for 1 width converter" in note for note in result.notes)
    assert any("entries for 1 FIFO have no depth" in note for note in result.notes)
    assert json.loads(source.read_text()) == OLD


@pytest.mark.parametrize(
    ("name", "nodes", "now"),
    [
        ("StreamingMaxPool_hls_2", ["Pool_hls_2"], "Pool_hls_2"),
        ("MatrixVectorActivation_2", ["MVAU_rtl_2"], "MVAU_rtl_2"),
        ("StreamingMaxPool_hls_2", ["Pool_hls_1"], None),
        ("MVAU_hls_0", ["MVAU_rtl_0"], None),
    ],
)
def test_only_what_is_there_is_offered(name: str, nodes: list[str], now: str | None) -> None:
    assert renamed(name, nodes) == now


def test_where_nothing_is_near_the_entry_can_be_left_out() -> None:
    assert advice("folding", "Checksum_hls_0", ["MVAU_hls_0"]) == (
        "`folding: {rename: {Checksum_hls_0: null}}` leaves the entry out"
    )
