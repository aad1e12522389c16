"""design.json: what is saved is what is loaded, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from finnyaml.errors import StepFailed
from finnyaml.rtl.design import FILE, FORMAT, Design, Fifo, Node, Stream

INPUT = Stream("s_axis_0", "global_in", "UINT8", (1, 4, 4, 6), (1, 4, 4, 3, 2), 16, None, "Fifo_0")
DESIGN = Design(
    format=FORMAT,
    top="finn_design",
    finn="finn-plus 1.6.1",
    part="xczu9eg-ffvb1156-2-e",
    clock_ns=5.0,
    sources=("src/p.sv", "src/a.v", "top.sv"),
    data=("data/MVAU_0__memblock.dat",),
    input=INPUT,
    output=replace(INPUT, name="m_axis_0", producer="MVAU_0", consumer=None),
    edges=(replace(INPUT, name="Fifo_0_out0", producer="Fifo_0", consumer="MVAU_0"),),
    nodes=(
        Node("Fifo_0", "StreamingFIFO_rtl", 0, ({"module": "Fifo_0", "parameters": {}},), {"LUT": 16.0}),
        Node("MVAU_0", "MVAU_rtl", 12, ({"module": "a", "parameters": {"N": "3"}},), {"LUT": 1.5, "DSP": 2.0}),
    ),
    fifos=(Fifo("Fifo_0", 2, 16, "auto", None, "MVAU_0"),),
    max_cycles=48,
    latency_cycles=60,
    device={"LUT": 274080, "FF": 548160, "BRAM18": 1824, "URAM": 0, "DSP": 2520},
)


def test_a_design_survives_its_file(tmp_path: Path) -> None:
    DESIGN.save(tmp_path)
    assert Design.load(tmp_path) == DESIGN


def test_a_frame_is_as_many_beats_as_its_folded_shape_says() -> None:
    assert INPUT.beats == 4 * 4 * 3


def test_another_format_is_refused(tmp_path: Path) -> None:
    replace(DESIGN, format=FORMAT + 1).save(tmp_path)
    with pytest.raises(StepFailed, match=f"format {FORMAT + 1}.*reads format {FORMAT}"):
        Design.load(tmp_path)


@pytest.mark.parametrize("missing", ["input", "nodes", "device"])
def test_an_incomplete_design_is_refused(tmp_path: Path, missing: str) -> None:
    DESIGN.save(tmp_path)
    data = json.loads((tmp_path / FILE).read_text())
    del data[missing]
    (tmp_path / FILE).write_text(json.dumps(data))
    with pytest.raises(StepFailed, match="is damaged"):
        Design.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_a_file_that_is_no_design_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(StepFailed):
        Design.load(tmp_path)


def test_a_folder_without_design_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="stitched design") as refused:
        Design.load(tmp_path)
    assert refused.value.hint == "rtl.stitch makes it"
