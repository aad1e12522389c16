"""What more frames per second cost: for each network the best foldings from slow to fast, beside FINN's SetFolding.

By prices (`finnyaml.folding.prices`), or by FINN's estimate where they do not hold: nothing is synthesised. What was
found is written to `docs/how-to/folding-curves.csv`, and the pictures beside it are drawn from that file.
`FINNYAML_DATA`: as `benchmarks published` says; without it the keyword-spotting network is left as it is in the file.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import ROOT, table

DATA = ROOT / "docs" / "how-to" / "folding-curves.csv"
HEADER = ("network", "asked", "by", "cycles", "fps", "lut", "bram", "dsp", "share_by_finn", "loses_results")
POINTS = 10
"""Frame rates that are asked for, for each network."""
WEIGHTS = {"lut": 1.0, "bram": 80.0}
SPAN: Mapping[str, tuple[int, int]] = {
    "digits-rtl": (2_000, 60_000),
    "TFC_2W2A": (2_000, 500_000),
    "depthwise CNN": (2_000, 60_000),
    "small ResNet": (1_000, 60_000),
    "KWS MLP": (1_000, 200_000),
    "CNV_2W2A": (50, 3_000),
}
"""The fewest and the most frames per second."""


def run(folder: Path) -> None:
    """Find the foldings of all networks, write them down and draw them."""
    warnings.filterwarnings("ignore")
    os.environ["FINN_BUILD_DIR"] = str(folder / "finn")  # FINN looks once per process
    (folder / "finn").mkdir()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SPAN}
    for row in read():
        rows.setdefault(row["network"], []).append(row)
    for name, make in models().items():
        started = time.perf_counter()
        with quietly():
            made = make(folder / name.replace(" ", "-"))
        rows[name] = list(curve(name, made.model, made.part))
        write(row for each in rows.values() for row in each)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    draw()
    compare()


def models() -> dict[str, Callable[[Path], Any]]:
    """The networks that can be made here: from a folder for FINN to specialised layers."""
    from benchmarks.published import data
    from benchmarks.rtl_networks import CASES, keyword_spotting, specialised

    def of_case(name: str) -> Callable[[Path], Any]:
        return lambda output: specialised(CASES[name], output)

    found = {name: of_case(name) for name in SPAN if name in CASES}
    files = data()
    if files is None:
        print("KWS MLP: NOT RUN, its data is not here (FINNYAML_DATA)", file=sys.stderr)
        return found
    return found | {"KWS MLP": lambda output: keyword_spotting(files / "kws" / "kwsmlp_w3a3.onnx", output)}


def curve(name: str, model: Any, part: str) -> Iterator[dict[str, Any]]:
    """Both foldings for rates from the fewest to the most that the network reaches."""
    from benchmarks.rtl_networks import CLOCK_NS
    from finnyaml.finn.folding import set_folding
    from finnyaml.folding.choose import LITTLE
    from finnyaml.folding.costs import Pricing
    from finnyaml.folding.options import Layers
    from finnyaml.folding.program import Goal, NoSolution, Program
    from finnyaml.lint.rtl import loses_results

    pricing = Pricing(part)
    weights = (WEIGHTS["lut"], WEIGHTS["bram"], LITTLE, LITTLE)
    layers = Layers(model, part, pricing, {}, (), clock_ns=CLOCK_NS, rtl_only=True)
    program = Program(layers.units, layers.edges, seconds=30)

    def row(rate: int, by: str, layers: Layers, found: Any, lossy: int) -> dict[str, Any]:
        lut, bram, _, dsp = map(round, found.costs)
        streams = [layers.stream(at, *found.widths(edge)) for at, edge in enumerate(layers.edges)]
        by_finn = [bool(each.by_finn) for each in (*found.options, *streams)]
        own = {"network": name, "asked": rate, "by": by, "cycles": found.cycles}
        own |= {"fps": round(1e9 / CLOCK_NS / found.cycles), "lut": lut, "bram": bram, "dsp": dsp}
        return {**own, "share_by_finn": f"{np.mean(by_finn):.2f}", "loses_results": lossy}

    for rate in rates(*SPAN[name]):
        cycles = int(1e9 / CLOCK_NS / rate)
        try:
            yield row(rate, "optimize", layers, program.best(Goal(weights, cycles=cycles)), 0)
        except NoSolution:
            print(f"{name}: {rate:,} fps are out of reach", file=sys.stderr, flush=True)
            return
        with quietly():
            folded = set_folding(model, cycles)
        if folded is None:
            continue
        names = [node.name for node in folded.graph.node]
        finns = Layers(folded, part, pricing, {}, names, clock_ns=CLOCK_NS, rtl_only=False)
        found = Program(finns.units, finns.edges).best(Goal((1.0, 1.0, 1.0, 1.0)))
        if found.cycles <= cycles:
            lossy = [node for node in folded.graph.node if loses_results(node, folded, part, CLOCK_NS)]
            yield row(rate, "SetFolding", finns, found, len(lossy))


def rates(least: int, most: int) -> list[int]:
    """Evenly spread, as a logarithm is, with two digits that say something."""
    steps = [least * (most / least) ** (at / (POINTS - 1)) for at in range(POINTS)]
    return [int(float(f"{step:.1e}")) for step in steps]


def read() -> list[dict[str, Any]]:
    """What was found before."""
    if not DATA.exists():
        return []
    with DATA.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(rows: Iterator[Mapping[str, Any]]) -> None:
    """Put all that was found into the file."""
    with DATA.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw() -> None:
    """One picture for each network of the file: frames per second, and LUTs with block RAMs in LUTs."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "finnyaml", "svg.fonttype": "none", "font.size": 9}
    from matplotlib import pyplot

    by_network: dict[str, list[dict[str, Any]]] = {}
    for row in read():
        by_network.setdefault(row["network"], []).append(row)
    figure, places = pyplot.subplots(2, 3, figsize=(10, 6), layout="constrained")
    for place, (name, rows) in zip(places.flat, by_network.items(), strict=False):
        for by, mark, colour in (("SetFolding", "s--", "#b0603a"), ("optimize", "o-", "#2a6f9e")):
            points = sorted({(int(row["fps"]), cost(row)) for row in rows if row["by"] == by})
            if points:
                place.plot(*zip(*points, strict=True), mark, color=colour, markersize=4, linewidth=1.2, label=by)
        place.set(xscale="log", title=name)
        place.set_ylim(bottom=0)
        place.xaxis.set_major_formatter("{x:,.0f}")
        place.xaxis.set_minor_formatter("")
        place.yaxis.set_major_formatter("{x:,.0f}")
        place.grid(visible=True, which="both", linewidth=0.3)
    for place in list(places.flat)[len(by_network) :]:
        place.set_visible(False)
    places.flat[0].legend()
    figure.supxlabel("frames a second")
    figure.supylabel("LUT + 80 for each BRAM18")
    figure.savefig(DATA.with_suffix(".svg"), metadata={"Date": None})


def compare() -> None:
    """Print for each network what the best foldings cost beside SetFolding's, and how many more frames they give."""
    cells = []
    for name in dict.fromkeys(row["network"] for row in read()):
        best, finns = (
            {int(row["asked"]): row for row in read() if (row["network"], row["by"]) == (name, by)}
            for by in ("optimize", "SetFolding")
        )
        ratios = [cost(best[rate]) / cost(row) for rate, row in finns.items()]
        # Of the foldings that were found, so at least this many.
        frames = [
            max((int(each["fps"]) for each in best.values() if cost(each) <= cost(row)), default=0) / int(row["fps"])
            for row in finns.values()
        ]
        lossy = sum(row["loses_results"] != "0" for row in finns.values())
        shares = [float(row["share_by_finn"]) for row in best.values()]
        both = [
            f"{np.mean(each):.2f}x, {min(each):.2f}x to {max(each):.2f}x" if each else "" for each in (ratios, frames)
        ]
        cells.append([name, str(len(best)), str(len(finns)), str(lossy), *both, f"{100 * max(shares):.0f} %"])
    heads = (
        "found",
        "SetFolding gets there",
        "and loses results",
        "LUT + 80 BRAM18 at the same rate",
        "frames at the same cost",
        "FINN's estimates",
    )
    table(["network", *heads], cells)


def cost(row: Mapping[str, Any]) -> float:
    """LUTs and block RAMs in LUTs."""
    return sum(weight * float(row[resource]) for resource, weight in WEIGHTS.items())


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """FINN talks; what went wrong comes as an exception."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
