"""One-bit faults in the weights and thresholds of digits-rtl: which of them the golden frames of its export show.

The bits are flipped in the memory images of the stitched design, and Verilator computes what comes out. A bit that
changes no output of any candidate cannot change an answer, as far as this was measured.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import numpy as np

FLIPS, CANDIDATES, MOST = 150, 128, 64


def run(folder: Path) -> None:
    """Print how many of the flips are shown by all candidates, by four of them, and by the frames that are chosen."""
    from benchmarks.rtl_networks import CASES, hardware
    from finnyaml.bundle import stream_values, telling
    from finnyaml.finn import stitched
    from finnyaml.rtl import verilator

    made = hardware(CASES["digits-rtl"], folder / "finn")
    design = folder / "design"
    stitched.stitch(made.model, made.part, 10.0, design)
    candidates = stream_values.at_random(made.model, CANDIDATES)
    started = time.perf_counter()
    frames, told = telling.choose(made.model, candidates, MOST)
    seconds = time.perf_counter() - started
    simulator = verilator.compile(design, folder / "work", folder / "cache")
    four = [place * CANDIDATES // 4 for place in range(4)]
    chosen = frames.index.tolist()
    draw = np.random.default_rng(20)
    images = [design / name for name in simulator.design.data]
    sizes = [4 * len(re.sub(r"\s", "", image.read_text())) for image in images]
    shown = {"any": 0, "four": 0, "chosen": 0}
    for _ in range(FLIPS):
        image = images[draw.choice(len(images), p=np.array(sizes) / sum(sizes))]
        kept = image.read_text()
        image.write_text(_flipped(kept, draw))
        found = simulator.run(candidates.inputs, processes=2)
        differs = (found.outputs != candidates.outputs[: len(found.outputs)]).reshape(len(found.outputs), -1).any(1)
        image.write_text(kept)
        shown["any"] += differs.any()
        shown["four"] += differs[four].any()
        shown["chosen"] += differs[chosen].any()
    shutil.rmtree(design)
    print(f"{FLIPS} bits flipped; {shown['any']} change an output of one of {CANDIDATES} random frames.\n")
    print("| frames | found |\n| --- | -: |")
    print(f"| 4, evenly spread | {shown['four']} ({shown['four'] / shown['any']:.0%}) |")
    print(f"| {len(chosen)}, chosen in {seconds:.0f} s | {shown['chosen']} ({shown['chosen'] / shown['any']:.0%}) |")
    print(f"\nThe README of that export says: {told}")


def _flipped(text: str, draw: np.random.Generator) -> str:
    """A memory image with one of its bits flipped."""
    places = [place for place, letter in enumerate(text) if not letter.isspace()]
    place = int(draw.choice(places))
    return f"{text[:place]}{int(text[place], 16) ^ 1 << int(draw.integers(4)):x}{text[place + 1 :]}"
