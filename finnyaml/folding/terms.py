"""What an RTL layer is made of, as far as it decides how much it takes: the terms that prices are fitted on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Amounts = dict[str, float]


@dataclass(frozen=True)
class Terms:
    """kind: layers that have coefficients in common. of: for each resource the terms that it is a sum of."""

    kind: str
    lut: Amounts
    bram: Amounts = field(default_factory=dict)
    dsp: Amounts = field(default_factory=dict)

    @property
    def of(self) -> Mapping[str, Amounts]:
        """By the resource's name."""
        return {"LUT": self.lut, "BRAM18": self.bram, "DSP": self.dsp}

    def all(self) -> Amounts:
        """The terms of all resources."""
        return {**self.lut, **self.bram, **self.dsp}


def terms(op_type: str, measures: Mapping[str, Any]) -> Terms | None:
    """The terms of a layer; None where it is built in a way that no term stands for."""
    read = _READ.get(op_type)
    return None if read is None else read(op_type, measures)


ONE = "layer"
"""The term of what every layer of a kind has: handshakes and the like."""


def _converter(op_type: str, m: Mapping[str, Any]) -> Terms:
    """A buffer of what comes in and goes out at once. Any value that comes in may have to go to any place in it, by a
    shifter with a stage for each bit of the place."""
    bits = math.gcd(m["in"], m["out"])
    taken, given = m["in"] // bits, m["out"] // bits
    buffer: Amounts = {ONE: 1, "buffer bits": bits * (taken + given), "places": taken + given}
    if min(m["in"], m["out"]) == 1:
        return Terms(f"{op_type} of single bits", buffer)
    if taken == 1:
        return Terms(f"{op_type} up", buffer)
    kind = "down" if given == 1 else "uneven"
    return Terms(f"{op_type} {kind}", {**buffer, "shifted bits": bits * taken * math.log2(taken)})


def _matrix(op_type: str, m: Mapping[str, Any]) -> Terms:
    folds, rows = m["MW"] // m["SIMD"], m["MH"] // m["PE"]
    width, depth, products = m["PE"] * m["SIMD"] * m["weight"], folds * rows, m["PE"] * m["SIMD"]
    in_luts = m["ram"] == "distributed" or (m["ram"] == "auto" and width * depth <= ROM_IN_LUTS)
    lanes = 1 + (A_WIDTH - m["weight"]) // (m["weight"] + m["in"] - 1)
    return Terms(
        op_type,
        {
            ONE: 1,
            "weight bits a cycle": width,
            "LUTs of weights": width * _constant_words(depth) if in_luts else 0,
            "LUTs of repeated inputs": m["SIMD"] * m["in"] * _words(folds) if rows > 1 else 0,
            "sum bits": m["PE"] * m["out"],
            "products": products,
            "product bits": products * m["weight"] * m["in"],
            "counter bits": (folds - 1).bit_length() + (rows - 1).bit_length(),
        },
        {"blocks of weights": 0 if in_luts else blocks(width, depth)},
        {"slices": m["SIMD"] * -(-m["PE"] // lanes)},
    )


A_WIDTH = 27
"""Bits of a DSP48E2's wide input, which takes the weights of several rows at once."""
ROM_IN_LUTS = 129 * 64
"""Bits up to which Yosys puts constants into LUTs by itself."""


def _thresholds(op_type: str, m: Mapping[str, Any]) -> Terms | None:
    """A binary search, one stage for each bit of the result, with a memory of its own for each stage and PE."""
    stages, folds, bits = m["numSteps"].bit_length(), m["NumChannels"] // m["PE"], m["in"]
    if bits * folds * 2 ** (stages - 1) > ROM_IN_LUTS:
        return None
    stored = sum(bits * _constant_words(folds * 2**stage) for stage in range(stages))
    return Terms(
        op_type,
        {
            ONE: 1,
            "LUTs of thresholds": m["PE"] * stored,
            "compared bits": m["PE"] * stages * bits,
            "stages": m["PE"] * stages,
            "counter bits": (folds - 1).bit_length(),
        },
    )


def _window(op_type: str, m: Mapping[str, Any]) -> Terms | None:
    word = m["SIMD"] * m["bits"]
    if m["ram"] not in ("distributed", "block"):
        return None
    in_luts = m["ram"] == "distributed"
    if m["style"] == "parallel":
        if not in_luts:
            return None
        return Terms(
            f"{op_type} parallel",
            {ONE: 1, "window bits": m["kernel"] * word, "LUTs of lines": word * _words(m["depth"])},
        )
    places = m["image"] * m["channels"] // m["SIMD"]
    return Terms(
        op_type,
        {
            ONE: 1,
            "LUTs of buffer": word * _words(m["depth"]) if in_luts else 0,
            "word bits": word,
            "counter bits": places.bit_length(),
        },
        {"blocks of buffer": 0 if in_luts else blocks(word, m["depth"])},
    )


def _padding(op_type: str, m: Mapping[str, Any]) -> Terms:
    counters = sum((m[name] - 1).bit_length() for name in ("height", "width", "folds"))
    return Terms(op_type, {ONE: 1, "counter bits": counters, "word bits": m["bits"]})


def _fifo(op_type: str, m: Mapping[str, Any]) -> Terms:
    """It keeps whole bytes, as they are on the stream."""
    word = -(-m["bits"] // 8) * 8
    return Terms(op_type, {ONE: 1, "word bits": word, "depth bits": (m["depth"] - 1).bit_length()})


def _pool(op_type: str, m: Mapping[str, Any]) -> Terms:
    kind = "maximum" if m["function"] == "MaxPool" else "sum"
    return Terms(f"{op_type} {kind}", {ONE: 1, "values": m["PE"], "result bits": m["PE"] * max(m["in"], m["out"])})


def _copies(op_type: str, m: Mapping[str, Any]) -> Terms:
    return Terms(op_type, {ONE: 1, "copied bits": m["bits"] * m["outputs"]})


def _sum(op_type: str, m: Mapping[str, Any]) -> Terms:
    return Terms(op_type, {ONE: 1, "sum bits": m["PE"] * m["out"]})


def _average(op_type: str, m: Mapping[str, Any]) -> Terms:
    folds, word = m["NumChannels"] // m["PE"], m["PE"] * m["out"]
    return Terms(op_type, {ONE: 1, "sum bits": word, "LUTs of sums": word * _words(folds) if folds > 1 else 0})


def _labels(op_type: str, m: Mapping[str, Any]) -> Terms:
    """For each of the best: a tree finds the best of what comes at once, which is compared with the best so far."""
    key = 1 + m["in"] + (m["Labels"] - 1).bit_length()
    compared, before = m["K"] * key * (m["PE"] - 1), m["K"] * key * int(m["Labels"] > m["PE"])
    passed = (m["K"] - 1) * m["PE"] * key
    return Terms(op_type, {ONE: 1, "compared bits": compared, "bits of the best": before, "bits passed on": passed})


_READ: Mapping[str, Callable[[str, Mapping[str, Any]], Terms | None]] = {
    "StreamingDataWidthConverter_rtl": _converter,
    "MVAU_rtl": _matrix,
    "Thresholding_rtl": _thresholds,
    "ConvolutionInputGenerator_rtl": _window,
    "FMPadding_rtl": _padding,
    "StreamingFIFO_rtl": _fifo,
    "Pool_rtl": _pool,
    "DuplicateStreams_rtl": _copies,
    "IntegerAdd_rtl": _sum,
    "GlobalAccPool_rtl": _average,
    "LabelSelect_rtl": _labels,
}

SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
"""Width and depth that a block RAM of 18 kbit can have."""


def blocks(width: int, depth: int) -> int:
    """The least number of block RAMs that hold a memory of one width and depth."""
    return min(-(-width // wide) * -(-depth // deep) for wide, deep in SHAPES)


def _words(depth: int) -> int:
    """LUTs for each bit of a memory: 64 words in each."""
    return -(-depth // 64)


def _constant_words(depth: int) -> float:
    """LUTs for each bit of a memory that is never written: a few words go into the LUTs of what reads them."""
    return min(1.0, depth / 16) if depth <= 64 else _words(depth)
