"""The foldings that `folding.optimize` chooses beside those of FINN's SetFolding, both synthesised by Yosys.

`costs: synthesis` is asked for, so what is compared are sums of layers, converters and FIFOs that were synthesised by
themselves; where `WHOLE` says so, whole designs too. Counts of layers are kept in the store's cache, so a run that was
stopped goes on. Streams have FIFOs of the least depth, as they have before `rtl.size_fifos`.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import table, verdict
from benchmarks.curves import models, quietly

RATES: Mapping[str, Sequence[int]] = {
    "digits-rtl": (5_000, 20_000, 60_000),
    "TFC_2W2A": (10_000, 50_000, 200_000),
    "KWS MLP": (2_000, 20_000, 100_000),
    "small ResNet": (4_000, 16_000, 40_000),
    "CNV_2W2A": (100, 500, 1_500),
}
"""Frames per second that are asked for. The depthwise network is for Versal, of which Yosys knows no cells."""
WHOLE = ("digits-rtl",)
BRAM_IN_LUTS = 80
"""What a block RAM of 18 kbit counts."""
RATIO_BAR = 0.8


@dataclass(frozen=True)
class Found:
    """cycles: for a frame. layers: what all layers take, each by itself. whole: the whole design, where it was made."""

    cycles: int
    layers: Mapping[str, float]
    whole: Mapping[str, float] | None

    @property
    def luts(self) -> float:
        """LUTs and block RAMs in LUTs."""
        return self.layers["LUT"] + BRAM_IN_LUTS * self.layers["BRAM18"]


def run(folder: Path) -> None:
    """Print a table for each network as soon as it is there, and whether the bars are met. `FINNYAML_NETWORKS` names
    those that are wanted, with commas."""
    from finnyaml.finn.kernels.register import register

    warnings.filterwarnings("ignore")
    os.environ["FINN_BUILD_DIR"] = str(folder / "finn")  # FINN looks once per process
    (folder / "finn").mkdir()
    register()
    wanted, ratios = os.environ.get("FINNYAML_NETWORKS"), []
    for name, make in models().items():
        if name not in (wanted.split(",") if wanted else RATES):
            continue
        with quietly():
            made = make(folder / name.replace(" ", "-"))
        rows = []
        for rate in RATES[name]:
            started = time.perf_counter()
            place = folder / f"{name.replace(' ', '-')}-{rate}"
            finn, ours = compare(made.model, made.part, rate, place, whole=name in WHOLE)
            print(f"{name}, {rate:,} fps: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
            ratio = "" if finn is None else f"{ours.luts / finn.luts:.2f}x"
            rows += [[f"{rate:,}", "SetFolding", *_cells(finn), ""], ["", "optimize", *_cells(ours), ratio]]
            ratios += [] if finn is None else [ours.luts / finn.luts]
        print(f"\n{name}", flush=True)
        table(["fps", "by", "cycles", "LUT", "BRAM18", "DSP", "whole: LUT", "BRAM18", "LUT + 80 BRAM18"], rows)
    verdict("LUT + BRAM, on average", sum(ratios) / len(ratios), RATIO_BAR)
    verdict("the worst of them", max(ratios), 1.0)


def compare(model: Any, part: str, rate: int, folder: Path, *, whole: bool) -> tuple[Found | None, Found]:
    """FINN's folding of a specialised model (None where it does not get there) and ours."""
    from benchmarks.rtl_networks import CLOCK_NS
    from finnyaml.engine.session import store_root
    from finnyaml.finn.folding import set_folding
    from finnyaml.folding.choose import Wanted, choose
    from finnyaml.folding.costs import SYNTHESIS
    from finnyaml.folding.synthesis import Synthesis
    from finnyaml.store.model import CACHE

    folder.mkdir()
    synthesis = Synthesis(part, CLOCK_NS, folder / "work", store_root(None) / CACHE / "layers")
    wanted = Wanted(minimize={"lut": 1, "bram": BRAM_IN_LUTS}, fps=rate, costs=SYNTHESIS)
    with quietly():
        chosen = choose(model, wanted, part, CLOCK_NS, {}, rtl_only=True, synthesis=synthesis)
    ours = _found(chosen.model, chosen.report, part, CLOCK_NS, folder / "ours", whole=whole)
    report, cycles = chosen.report["set_folding"], int(1e9 / CLOCK_NS / rate)
    if report is None or report["cycles"] > cycles:
        return None, ours
    with quietly():
        folded = set_folding(model, cycles)
    return _found(folded, report, part, CLOCK_NS, folder / "finn", whole=whole), ours


def _found(model: Any, report: Mapping[str, Any], part: str, clock_ns: float, folder: Path, *, whole: bool) -> Found:
    layers = {"LUT": report["lut"], "BRAM18": report["bram"], "DSP": report["dsp"]}
    return Found(report["cycles"], layers, _whole(model, part, clock_ns, folder) if whole else None)


def _whole(model: Any, part: str, clock_ns: float, folder: Path) -> dict[str, int]:
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames

    from finnyaml.finn.stitched import stitch
    from finnyaml.rtl.synthesis.flow import synthesize

    steps = (InsertDWC(), InsertFIFO(create_shallow_fifos=True), SpecializeLayers(part), GiveUniqueNodeNames())
    with quietly():
        for step in (*steps, GiveReadableTensorNames(), PrepareIP(part, clock_ns)):
            model = model.transform(step)
        stitch(model, part, clock_ns, folder)
    takes: dict[str, int] = synthesize(folder, folder.with_name(f"{folder.name}-work"), layers=False)["total"]["yosys"]
    return takes


def _cells(found: Found | None) -> list[str]:
    if found is None:
        return ["not reached", *[""] * 5]
    layers = (f"{found.layers[name]:,.0f}" for name in ("LUT", "BRAM18", "DSP"))
    whole = ("", "") if found.whole is None else (f"{found.whole[name]:,}" for name in ("LUT", "BRAM18"))
    return [f"{found.cycles:,}", *layers, *whole]
