"""FINN's matrix unit beside ours, with random stalls: whose output queue loses results.

Half of the shapes take a whole row at once (SIMD = MW), where FINN's queue is always too short. The rest take it in two
to four parts, where it is too short only for the cores of four bits and of wide values on Versal.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.rtl.matrix_bench import Shape
from tests.rtl.matrix_bench import run as simulated

SHAPES, AT_ONCE, CYCLES = 96, 6, 12_000


def run(folder: Path) -> None:
    """Print how many shapes of each sort lose results, with FINN's queue and with ours."""
    shapes = list(_shapes(SHAPES))
    lost: dict[tuple[str, str], Counter[str]] = {}
    results = 0
    for at in range(0, len(shapes), AT_ONCE):
        batch = shapes[at : at + AT_ONCE]
        for shape, (theirs, ours) in zip(
            batch, simulated(batch, folder / str(at), folder / "programs", CYCLES), strict=True
        ):
            parts = shape.mw // shape.simd
            kind = ("SIMD = MW" if parts == 1 else "SIMD < MW", _core(shape))
            counted = lost.setdefault(kind, Counter())
            counted["shapes"] += 1
            counted["theirs"] += bool(theirs.wrong)
            counted["ours"] += bool(ours.wrong) or not ours.given
            results += ours.given
            if ours.wrong or not ours.given:
                print(f"lost by ours: {shape}")
    print("| folding | core | shapes | lose results in FINN's | in ours |\n| --- | --- | -: | -: | -: |")
    for (folding, core), counted in sorted(lost.items(), reverse=True):
        print(f"| {folding} | {core} | {counted['shapes']} | {counted['theirs']} | {counted['ours']} |")
    print(f"\n{results:,} results of ours were compared.")


def _core(shape: Shape) -> str:
    if shape.version < 3:
        return "DSP48"
    lanes = 1 + (27 - (not shape.narrow_weights) - shape.weight_width) // (
        shape.weight_width + shape.activation_width - 1
    )
    narrow = lanes <= 3 and shape.weight_width <= 8 and shape.activation_width <= 9
    return "DSP58, INT8" if narrow or not shape.is_mvu else "DSP58, mvu.sv"


def _shapes(count: int) -> Iterator[Shape]:
    dice = random.Random(18)
    for index in range(count):
        simd, pe = dice.choice((1, 2, 3, 4, 5, 7, 8, 9, 12)), dice.choice((1, 2, 4))
        parts = 1 if index % 2 else dice.choice((2, 2, 3, 4))
        version = dice.choice((1, 2, 3))
        is_mvu = version < 3 or dice.random() < 0.75
        chain = (simd + 2) // 3
        yield Shape(
            mw=simd * parts,
            mh=pe * dice.choice((1, 2, 3)),
            pe=pe,
            simd=simd,
            version=version,
            is_mvu=is_mvu,
            segmentlen=dice.randint(1, chain) if version == 3 else 0,
            activation_width=dice.choice((2, 3, 4, 8)),
            weight_width=dice.choice((2, 3, 4, 8)),
            signed_activations=dice.random() < 0.5,
            narrow_weights=dice.random() < 0.5,
        )
