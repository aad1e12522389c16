"""Cycles of FINN's sliding windows: what finnyaml says, what FINN estimates, and what the RTL takes in Verilator."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tests.finn.two_layers import build_folder
from tests.finn.window_shapes import intervals, shapes

SHAPES, AT_ONCE = 300, 20


def run(folder: Path) -> None:
    """Print how many shapes of each style FINN's and our figure hold for."""
    with build_folder(folder):
        _compare(folder)


def _compare(folder: Path) -> None:
    from finnyaml.finn.cycles import exact_cycles

    layers = shapes(SHAPES, seed=19)
    counted: dict[str, Counter[str]] = {}
    off = []
    for at in range(0, SHAPES, AT_ONCE):
        batch = layers[at : at + AT_ONCE]
        for layer, found in zip(batch, intervals(batch, folder / str(at), folder / "programs"), strict=True):
            operator = layer.hardware()
            one = counted.setdefault(_style(operator), Counter())
            one["shapes"] += 1
            one["ours"] += set(found) == {exact_cycles(operator)}
            estimate = int(operator.get_exp_cycles())
            one["estimate"] += set(found) == {estimate}
            off.append(estimate / found[0] - 1)
            if set(found) != {exact_cycles(operator)}:
                print(f"not {exact_cycles(operator)} but {found}: {layer.attributes}")
    print("| windows | shapes | ours is exact | FINN's is exact |\n| --- | -: | -: | -: |")
    for style, one in sorted(counted.items()):
        print(f"| {style} | {one['shapes']} | {one['ours']} | {one['estimate']} |")
    print(f"\nFINN's estimate is {min(off):+.0%} to {max(off):+.0%} off.")


def _style(operator: Any) -> str:
    style = operator.select_impl_style()
    size = operator.get_nodeattr("IFMDim")
    depthwise = "depthwise" if operator.get_nodeattr("depthwise") else "dense"
    return f"{style}, {'1-D' if 1 in size else '2-D'}, {depthwise}"
