"""What RTL layers cost: fitted on single layers that Yosys has synthesised (`python -m benchmarks layers`).

Pure numbers: what a layer is, `measures` reads from FINN. Each amount is a sum of terms that grow with the hardware
that they stand for (bits of a register, LUTs of a memory, inputs of a multiplexer). Their coefficients are zero or
more, so more bits never cost less, and make the relative errors smallest. What lies outside of what was measured has no
price.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from finnyaml.folding.terms import Terms, terms

DATA = Path(__file__).with_name("layers.csv")
COUNTED = ("LUT", "LUTRAM", "FF", "BRAM18", "URAM", "DSP")
PRICED = ("LUT", "BRAM18", "DSP")
HEADER = ("op_type", "measures", *COUNTED)
FEW = 10.0
"""LUTs below which an error is not counted relative to the layer but to this."""
LEAST = 5
"""Layers of a kind that have to be measured before it has a price."""


@dataclass(frozen=True)
class Layer:
    """A layer that was synthesised: what decides its size, and what it takes."""

    op_type: str
    measures: Mapping[str, int | str]
    takes: Mapping[str, int]


@dataclass(frozen=True)
class Price:
    """What a layer takes of each of `PRICED`. why_not: why that is not to be believed, "" where it is. Then the
    amounts are a least one: what is larger than all that was measured takes at least as much as its terms say."""

    takes: Mapping[str, float]
    why_not: str = ""


@dataclass(frozen=True)
class Error:
    """How far prices of layers are from LUTs by synthesis when each layer is left out of the fit, as a share of it.

    kind: as `Terms.kind`. median and most (90 % of the layers have less): of the error without its sign.
    """

    kind: str
    layers: int
    median: float
    most: float


def price(op_type: str, measures: Mapping[str, int | str] | None) -> Price:
    """The price of a layer; `measures` as `finnyaml.folding.measures` reads them."""
    found = None if measures is None else terms(op_type, measures)
    fit = None if found is None else _fits().get(found.kind)
    if found is None or fit is None:
        return Price({}, "none of this form was measured")
    beyond = [
        f"{name} {value:g}, measured from {fit.low[name]:g} to {fit.high[name]:g}"
        for name, value in found.all().items()
        if not fit.low[name] <= value <= fit.high[name]
    ]
    amounts = fit.amounts({name: max(value, fit.low[name]) for name, value in found.all().items()})
    whole = {name: float(round(amounts[name])) for name in ("BRAM18", "DSP")}
    return Price({**amounts, **whole}, ", ".join(beyond))


def errors() -> tuple[Error, ...]:
    """Of LUTs, for each kind of layer."""
    return tuple(Error(kind, len(found), *_summary(found)) for kind, found in left_out().items())


@functools.cache
def left_out() -> dict[str, np.ndarray]:
    """For each kind, for each of its layers: price over synthesis, less 1, by a fit without that layer."""
    found: dict[str, np.ndarray] = {}
    for kind, rows in _by_kind(data()).items():
        ratios = []
        for at, (seen, takes) in enumerate(rows):
            amount = _Fit.of([*rows[:at], *rows[at + 1 :]]).amounts(seen.all())["LUT"]
            ratios.append((amount - takes["LUT"]) / max(takes["LUT"], FEW))
        found[kind] = np.array(ratios)
    return found


def typical_error() -> float:
    """The median error of all layers that were measured."""
    return float(np.median(np.abs(np.concatenate(list(left_out().values())))))


def data() -> list[Layer]:
    """All layers that were synthesised."""
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return [
            Layer(row["op_type"], _read(row["measures"]), {name: int(row[name]) for name in COUNTED}) for row in rows
        ]


def made_by() -> dict[str, str]:
    """Who measured: "part", "finn", "yosys", from the first lines of the file."""
    with DATA.open(encoding="utf-8") as file:
        heads = (line[1:].partition(":") for line in file if line.startswith("#"))
        return {name.strip(): value.strip() for name, _, value in heads}


def add(layers: Iterable[Layer], made_by: Mapping[str, str]) -> None:
    """Add layers to the file. made_by: as the function of this name says; for a new file."""
    with DATA.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not file.tell():
            file.writelines(f"# {name}: {value}\n" for name, value in made_by.items())
            writer.writerow(HEADER)
        for layer in layers:
            writer.writerow([layer.op_type, written(layer.measures), *(layer.takes[name] for name in COUNTED)])


def written(measures: Mapping[str, int | str]) -> str:
    """Measures as the file has them: "in=16 out=2"."""
    return " ".join(f"{name}={value}" for name, value in measures.items())


def _read(text: str) -> dict[str, int | str]:
    pairs = (each.partition("=") for each in text.split())
    return {name: int(value) if value.isdigit() else value for name, _, value in pairs}


_Row = tuple[Terms, Mapping[str, int]]


@dataclass(frozen=True)
class _Fit:
    """Coefficients by resource and term, and between which values each term was measured."""

    factors: Mapping[str, Mapping[str, float]]
    low: Mapping[str, float]
    high: Mapping[str, float]

    @classmethod
    def of(cls, rows: Sequence[_Row]) -> _Fit:
        seen = [found.all() for found, _ in rows]
        factors = {name: cls._factors(rows, name) for name in PRICED}
        low, high = ({name: pick(each[name] for each in seen) for name in seen[0]} for pick in (min, max))
        return cls(factors, low, high)

    @staticmethod
    def _factors(rows: Sequence[_Row], resource: str) -> dict[str, float]:
        names = list(rows[0][0].of[resource])
        if not names:
            return {}
        amounts = np.array([takes[resource] for _, takes in rows], float)
        matrix = np.array([[found.of[resource][name] for name in names] for found, _ in rows], float)
        weights = 1 / np.maximum(amounts, FEW if resource == "LUT" else 1.0)
        factors, _ = nnls(matrix * weights[:, None], amounts * weights)
        return dict(zip(names, factors.tolist(), strict=True))

    def amounts(self, found: Mapping[str, float]) -> dict[str, float]:
        return {
            resource: sum(factor * found[name] for name, factor in factors.items())
            for resource, factors in self.factors.items()
        }


@functools.cache
def _fits() -> Mapping[str, _Fit]:
    return {kind: _Fit.of(rows) for kind, rows in _by_kind(data()).items()}


def _by_kind(layers: Iterable[Layer]) -> dict[str, list[_Row]]:
    found: dict[str, list[_Row]] = {}
    for layer in layers:
        seen = terms(layer.op_type, layer.measures)
        if seen is not None:
            found.setdefault(seen.kind, []).append((seen, layer.takes))
    return {kind: rows for kind, rows in found.items() if len(rows) >= LEAST}


def _summary(ratios: np.ndarray) -> Iterator[float]:
    yield float(np.median(np.abs(ratios)))
    yield float(np.quantile(np.abs(ratios), 0.9))
