"""The foldings that `folding.optimize` chooses beside those of FINN's SetFolding: both synthesised by Yosys, whole.

Streams have FIFOs of the least depth, as they have before `rtl.size_fifos`.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import table, verdict

NETWORKS = {"digits-rtl": (5_000, 20_000, 60_000)}
"""Frames per second that are asked for."""
BRAM_IN_LUTS = 80
"""What a block RAM of 18 kbit counts."""
RATIO_BAR = 0.8


@dataclass(frozen=True)
class Found:
    """cycles: for a frame, by FINN's formula. expected: LUTs that the fitted prices give. takes: by Yosys."""

    cycles: int
    expected: float
    takes: dict[str, int]

    @property
    def luts(self) -> int:
        """LUTs and block RAMs in LUTs."""
        return self.takes["LUT"] + BRAM_IN_LUTS * self.takes["BRAM18"]


def run(folder: Path) -> None:
    """Print the table, and whether the bars are met."""
    from benchmarks.rtl_networks import CASES, CLOCK_NS, specialised

    warnings.filterwarnings("ignore")
    os.environ["FINN_BUILD_DIR"] = str(folder / "finn")  # FINN looks once per process
    (folder / "finn").mkdir()
    rows, ratios = [], []
    for name, rates in NETWORKS.items():
        with _quietly():
            started = specialised(CASES[name], folder / name)
        for rate in rates:
            finn, ours = compare(started.model, started.part, CLOCK_NS, rate, folder / f"{name}-{rate}")
            rows += [[f"{name}, {rate:,} fps", "SetFolding", *_cells(finn)], ["", "optimize", *_cells(ours)]]
            if finn is not None and ours is not None:
                ratios.append(ours.luts / finn.luts)
    table(["network", "by", "cycles", "LUT expected", "LUT", "BRAM18", "DSP", "FF"], rows)
    verdict("LUT + BRAM, on average", sum(ratios) / len(ratios), RATIO_BAR)
    verdict("the worst of them", max(ratios), 1.0)


def compare(model: Any, part: str, clock_ns: float, rate: int, folder: Path) -> tuple[Found | None, Found]:
    """FINN's folding of a specialised model (None where it does not get there) and ours."""
    from finnyaml.finn.folding import set_folding
    from finnyaml.folding.choose import Wanted, choose

    wanted = Wanted(minimize={"lut": 1, "bram": BRAM_IN_LUTS}, fps=rate)
    with _quietly():
        chosen = choose(model, wanted, part, clock_ns, {}, rtl_only=True)
    folder.mkdir()
    ours = _found(chosen.model, chosen.report, part, clock_ns, folder / "ours")
    report, cycles = chosen.report["set_folding"], int(1e9 / clock_ns / rate)
    if report is None or report["cycles"] > cycles:
        return None, ours
    with _quietly():
        folded = set_folding(model, cycles)
    return _found(folded, report, part, clock_ns, folder / "finn"), ours


def _found(model: Any, report: dict[str, Any], part: str, clock_ns: float, folder: Path) -> Found:
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
    from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames

    from finnyaml.finn.stitched import stitch
    from finnyaml.rtl.synthesis.flow import synthesize

    steps = (InsertDWC(), InsertFIFO(create_shallow_fifos=True), SpecializeLayers(part), GiveUniqueNodeNames())
    with _quietly():
        for step in (*steps, GiveReadableTensorNames(), PrepareIP(part, clock_ns)):
            model = model.transform(step)
        stitch(model, part, clock_ns, folder)
    takes = synthesize(folder, folder.with_name(f"{folder.name}-work"), layers=False)["total"]["yosys"]
    return Found(report["cycles"], report["lut"], takes)


def _cells(found: Found | None) -> list[str]:
    if found is None:
        return ["not reached", *[""] * 5]
    takes = (f"{found.takes[name]:,}" for name in ("LUT", "BRAM18", "DSP", "FF"))
    return [f"{found.cycles:,}", f"{found.expected:,.0f}", *takes]


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """FINN talks; what went wrong comes as an exception."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
