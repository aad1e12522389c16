"""FIFO depths by `rtl.size_fifos`, and by plain bisection as it was before, on the same designs in one run.

Before: all FIFOs at their least depth, then halves of them, then one, and its depth by bisection; each question is a
simulation of a fixed number of frames, of the design with all its data. Both start from the same high-water marks and
have the same target.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import warnings
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import published
from benchmarks.bench import table
from benchmarks.rtl import _quietly, _stitch
from benchmarks.rtl_networks import CASES, Hardware, finished, hardware, keyword_spotting

if TYPE_CHECKING:
    from finnyaml.rtl.depth_search import Depths
    from finnyaml.rtl.design import Fifo
    from finnyaml.rtl.simulation import Simulator
    from finnyaml.rtl.sizing import Sizes

KWS = "KWS MLP"
NETWORKS = ("digits-rtl", "TFC_2W2A", "depthwise CNN", "small ResNet", KWS, "CNV_2W2A")
"""`FINNYAML_FIFO` names some of them, with commas between."""
BAR = 0.1
"""Cycles simulated now, of those before, for the largest."""


def run(folder: Path) -> None:
    """Print the table, network by network."""
    from finnyaml.rtl import sizing

    rows = []
    for name in filter(None, os.environ.get("FINNYAML_FIFO", ",".join(NETWORKS)).split(",")):
        own = folder / name.replace(" ", "-")
        if name == KWS and published.data() is None:
            print(f"{name}: NOT RUN, its data is not here: see `python -m benchmarks published`")
            continue
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # FINN reads its settings once per process
            inputs = pool.apply(_make, (name, own))
        clock = [_processor()]
        bare = _compiled(own, folder, data=False)
        clock.append(_processor())
        sizes = sizing.size(bare, inputs, target=None, slack=0.0)
        clock.append(_processor())
        print(f"{name}: {sizes.chosen.bits} bits after {clock[-1] - clock[0]:.1f} s", file=sys.stderr, flush=True)
        whole = _compiled(own, folder, data=True)
        clock.append(_processor())
        found = _before(whole, inputs, sizes)
        clock.append(_processor())
        compiled, searched, compiled_before, searched_before = np.diff(clock)
        rows.append([*_row(name, sizes, searched, found, searched_before), f"{compiled_before:.1f}"])
        rows[-1].append(_beside(compiled, compiled_before))
    heads = ("bits", "runs", "M cycles", "processor s", "to compile")
    table(("", *(head for name in heads for head in (f"{name} before", "now"))), rows)


def _compiled(own: Path, folder: Path, *, data: bool) -> Simulator:
    from finnyaml.rtl import verilator

    build = verilator.Build(dynamic_fifos=True, data=data)
    return verilator.compile(own / "least", own / "work", folder / "cache", build)


def _beside(now: float, before: float) -> str:
    return f"{now:.1f} ({now / before:.2f}x)"


def _row(name: str, sizes: Sizes, now: float, before: tuple[int, int, int], seconds: float) -> list[str]:
    runs, cycles, bits = before
    return [
        name,
        f"{bits:,}",
        f"{sizes.chosen.bits:,} ({sizes.chosen.bits / bits:.2f}x)",
        str(runs),
        f"{sizes.runs} ({sizes.runs / runs:.2f}x)",
        f"{cycles / 1e6:.2f}",
        f"{sizes.cycles / 1e6:.2f} ({sizes.cycles / cycles:.2f}x)",
        f"{seconds:.1f}",
        _beside(now, seconds),
    ]


def _processor() -> float:
    """Seconds of processor time that simulations took until now."""
    times = os.times()
    return times.children_user + times.children_system


def _make(name: str, folder: Path) -> np.ndarray:
    """Stitch the network with the least FIFOs; some frames for it."""
    from finnyaml.bundle import stream_values

    warnings.filterwarnings("ignore")
    with _quietly():
        made = _keyword_spotting(folder / "finn") if name == KWS else hardware(CASES[name], folder / "finn")
    _stitch(made.model, made.part, folder / "least")
    return stream_values.at_random(made.model, 16).inputs


def _keyword_spotting(folder: Path) -> Hardware:
    """With its published folding, whose layers are HLS there."""
    found = published.data()
    assert found is not None
    os.environ["FINN_BUILD_DIR"] = str(folder / "finn_build")
    (folder / "finn_build").mkdir(parents=True)
    file = found / "finn-configs" / "kws" / "folding_config" / "kws_folding_config.json"
    folding = {
        name.replace("_hls_", "_rtl_"): {key: each[key] for key in ("PE", "SIMD")}
        for name, each in json.loads(file.read_text()).items()
        if name.startswith("MVAU")
    }
    return finished(keyword_spotting(found / "kws" / "kwsmlp_w3a3.onnx", folder / "out"), folding)


def _before(simulator: Simulator, inputs: np.ndarray, sizes: Sizes) -> tuple[int, int, int]:
    """Runs and cycles that the search took, without those that found target and high-water marks, and the bits."""
    from finnyaml.rtl import depth_search

    fifos = simulator.design.fifos
    known: dict[tuple[int, ...], bool] = {}
    cycles = 0

    def do(depths: Depths) -> bool:
        nonlocal cycles
        key = tuple(depth_search.holds(fifo, depths[fifo.node]) for fifo in fifos)
        if key not in known:
            some: Any = inputs[np.arange(sizes.frames - 1) % len(inputs)]
            run = simulator.run(some, depths=depths, patience=(sizes.frames - 2) * sizes.target)
            cycles += run.cycles
            known[key] = run.finished and (run.last_out[-1] - run.last_out[-3]) / 2 <= sizes.target
        return known[key]

    start, more = dict(sizes.gauge.depths), 1
    while not do(start):
        start, more = {name: depth + more for name, depth in sizes.gauge.depths.items()}, 2 * more
    found = _bisected(fifos, start, do)
    return len(known), cycles, depth_search.bits(fifos, found)


def _bisected(fifos: Sequence[Fifo], start: Depths, do: Callable[[Depths], bool]) -> Depths:
    from finnyaml.rtl.depth_search import MINIMUM, bits, holds

    depths = dict(start)

    def settle(group: Sequence[Fifo]) -> None:
        less = {**depths, **{fifo.node: MINIMUM for fifo in group}}
        if not group or do(less):
            depths.update(less)
        elif len(group) == 1:
            node = group[0].node
            steps = [d for d in range(MINIMUM, depths[node] + 1) if holds(group[0], d) > holds(group[0], d - 1)]
            at = bisect_left(steps[:-1], True, key=lambda depth: do({**depths, node: depth}))
            depths[node] = steps[at]
        else:
            half = len(group) // 2
            settle(group[:half])
            settle(group[half:])

    settle(sorted(fifos, key=lambda fifo: bits([fifo], start), reverse=True))
    return depths
