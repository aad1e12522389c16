"""Packing and unpacking 1,000 images, beside `finn.util.data_packing` as FINN's drivers call it.

Both do the same arrays in one process, in turn, and must agree. FINN takes and returns float32; where its
documentation names a quicker way (values that are int8 or uint8 already), that is measured too. Ours returns the
smallest integers that hold the values; "as float32" is the time with the conversion to what FINN returns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.bench import in_turn, table
from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.accelerator.numbers.packing import pack, unpack

IMAGES = 1_000
ROUNDS = 7
BAR = 20

CASES = [
    ("UINT8", (32, 32, 1, 3), "float32"),
    ("UINT8", (32, 32, 1, 3), "uint8"),
    ("INT8", (32, 32, 1, 3), "float32"),
    ("INT8", (32, 32, 1, 3), "int8"),
    ("UINT8", (28, 28, 1, 1), "float32"),
    ("UINT4", (32, 32, 1, 3), "float32"),
    ("INT4", (32, 32, 1, 16), "float32"),
    ("UINT2", (32, 32, 1, 16), "float32"),
    ("TERNARY", (32, 32, 1, 3), "float32"),
    ("BINARY", (28, 28, 1, 1), "float32"),
    ("BIPOLAR", (16, 49), "float32"),
    ("BIPOLAR", (16, 16, 1, 64), "float32"),
    ("INT3", (32, 32, 1, 3), "float32"),
    ("INT3", (16, 16, 1, 16), "float32"),
    ("INT5", (32, 32, 1, 3), "float32"),
    ("UINT6", (32, 32, 1, 3), "float32"),
    ("INT12", (16, 16, 1, 16), "float32"),
    ("FIXED<12,4>", (32, 32, 1, 3), "float32"),
    ("INT16", (32, 32, 1, 3), "float32"),
    ("FLOAT32", (32, 32, 1, 3), "float32"),
    ("INT20", (10, 1), "float32"),
    ("INT20", (1, 10), "float32"),
]
"""Datatype, folded shape of one image, container: images, activations between layers, at last the scores of ten
classes."""

WORKS = ("FINN pack", "pack", "FINN unpack", "unpack", "as float32")


def run(folder: Path) -> None:
    """Print the table and what keeps to the bar; `folder` is not used."""
    rows, slow, total = [], [], dict.fromkeys(WORKS, 0.0)
    for name, image, container in CASES:
        case = f"{name} {list(image)} in {container}"
        best = {what: min(times) for what, times in in_turn(_works(name, (IMAGES, *image), container), ROUNDS).items()}
        total = {what: total[what] + seconds for what, seconds in best.items()}
        rows.append(_row(case, best))
        slow += [
            f"{case}: {what} {best[f'FINN {what}'] / best[what]:.1f}x"
            for what in ("pack", "unpack")
            if best[f"FINN {what}"] < BAR * best[what]
        ]
    rows.append(_row("all together", total))
    table(["1,000 of", "FINN pack", "ours", "faster", "FINN unpack", "ours", "faster", "as float32"], rows)
    for what in ("pack", "unpack"):
        ratio = total[f"FINN {what}"] / total[what]
        print(f"{what}, all together: {ratio:.0f}x faster, bar {BAR}x: {'met' if ratio >= BAR else 'NOT met'}")
    print(f"below {BAR}x on their own, {len(slow)} of {2 * len(CASES)}: {'; '.join(slow)}")


def _works(name: str, shape: tuple[int, ...], container: str) -> dict[str, Callable[[], float]]:
    """What is measured of one case, by the names of `WORKS`; both must come to the same."""
    from finn.util.data_packing import finnpy_to_packed_bytearray, packed_bytearray_to_finnpy
    from qonnx.core.datatype import DataType

    datatype, theirs, n = parse(name), DataType[name], shape[-1]
    values = _random(name, shape).astype(container)
    packed = pack(values, datatype)
    works: list[Callable[[], np.ndarray]] = [
        lambda: finnpy_to_packed_bytearray(values, theirs, reverse_inner=True, reverse_endian=True),
        lambda: pack(values, datatype),
        lambda: packed_bytearray_to_finnpy(packed, theirs, shape, reverse_inner=True, reverse_endian=True),
        lambda: unpack(packed, datatype, n),
        lambda: unpack(packed, datatype, n).astype(np.float32),
    ]
    results = [work() for work in works]
    if not (np.array_equal(results[0], results[1]) and np.array_equal(results[2], results[4])):
        raise SystemExit(f"{name} {shape}: not what FINN makes of it")
    return {what: _timed(work) for what, work in zip(WORKS, works, strict=True)}


def _row(case: str, seconds: dict[str, float]) -> list[str]:
    cells = [case]
    for what in ("pack", "unpack"):
        theirs, ours = seconds[f"FINN {what}"], seconds[what]
        cells += [f"{theirs * 1e3:,.3f} ms", f"{ours * 1e3:.3f} ms", f"{theirs / ours:,.1f}x"]
    return [*cells, f"{seconds['FINN unpack'] / seconds['as float32']:.1f}x"]


def _random(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values of the datatype, evenly distributed; float32."""
    random = np.random.default_rng(0)
    datatype = parse(name)
    if datatype.kind == "float":
        return random.normal(size=shape).astype(np.float32)
    if datatype.kind == "bipolar":
        return random.integers(0, 2, shape).astype(np.float32) * 2 - 1
    low, high = datatype.integers[1:]
    return (random.integers(low, high, shape, endpoint=True) * datatype.step).astype(np.float32)


def _timed(work: Callable[[], np.ndarray]) -> Callable[[], float]:
    def seconds() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return seconds
