"""What a layer or a stream costs, and who says so: synthesis of this very layer where it was asked for, else the fitted
prices where there is one, else FINN's estimate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.finn.alone import Constants, content
from finnyaml.finn.identity import distribution_of_finn
from finnyaml.folding import prices
from finnyaml.folding.measures import measures
from finnyaml.folding.program import NOTHING, Costs
from finnyaml.graph.operators import HARDWARE
from finnyaml.rtl.synthesis.script import family_of

SHORTEST = 2
"""The depth of the FIFO that FINN puts on every stream at least."""

ESTIMATE, MODEL, SYNTHESIS = "estimate", "model", "synthesis"
"""Whose costs a recipe may ask for: FINN's, those of the prices, or those of synthesis where the choice falls."""


@dataclass(frozen=True)
class Cost:
    """Amounts of resources. by_finn: why some of them are FINN's estimate; "" where none is. synthesised: whether all
    were measured on these very layers."""

    amounts: Costs
    by_finn: str = ""
    synthesised: bool = False

    @classmethod
    def sum(cls, costs: Iterable[Cost]) -> Cost:
        """Of several things together."""
        each = list(costs)
        lut, bram, uram, dsp = np.sum([NOTHING, *(cost.amounts for cost in each)], axis=0).tolist()
        why = dict.fromkeys(cost.by_finn for cost in each if cost.by_finn)
        return cls((lut, bram, uram, dsp), "; ".join(why), all(cost.synthesised for cost in each))


class Pricing:
    """Costs of layers and streams on a part.

    constants: of the model. source: `ESTIMATE`, `MODEL` or `SYNTHESIS`.
    """

    def __init__(self, part: str, constants: Constants | None = None, source: str = MODEL) -> None:
        self._part, self.constants = part, constants or Constants({})
        self._unlike = f"FINN's estimate was asked for (`costs: {ESTIMATE}`)" if source == ESTIMATE else _unlike(part)
        self._synthesised: dict[str, Cost] = {}

    def learn(self, found: Mapping[str, Mapping[str, int]]) -> None:
        """What layers take by synthesis, by their `content`, is their cost from now on."""
        for key, takes in found.items():
            lut, bram, uram, dsp = (float(takes[name]) for name in ("LUT", "BRAM18", "URAM", "DSP"))
            self._synthesised[key] = Cost((lut, bram, uram, dsp), synthesised=True)

    def layer(self, layer: Any) -> Cost:
        """What FINN's layer costs as it is set.

        Beyond what was measured it is FINN's estimate, but never less than what the terms of the price give there: FINN
        counts nothing at all for some layers, and what is not known must not look cheap.
        """
        known = self._synthesised.get(content(layer, self.constants)) if self._synthesised else None
        if known is not None:
            return known
        price = self._price(layer.onnx_node.op_type, None if self._unlike else measures(layer))
        lut, bram, dsp = (price.takes.get(name, 0.0) for name in prices.PRICED)
        if not price.why_not:
            return Cost((lut, bram, 0.0, dsp))
        found = layer.node_res_estimation(self._part)
        finn = (float(found["LUT"]), float(found["BRAM_18K"]), float(found["URAM"]), float(found["DSP"]))
        return Cost((max(lut, finn[0]), max(bram, finn[1]), finn[2], max(dsp, finn[3])), price.why_not)

    def layers(self, layers: Iterable[Any]) -> Cost:
        """What several layers cost."""
        return Cost.sum(map(self.layer, layers))

    def knows(self, layer: Any) -> bool:
        """Whether layers of this form have prices, if not of this size."""
        return bool(self._price(layer.onnx_node.op_type, None if self._unlike else measures(layer)).takes)

    def _price(self, op_type: str, seen: Any) -> prices.Price:
        return prices.Price({}, self._unlike) if self._unlike else prices.price(op_type, seen)


def between(datatype: Any, sent: int, read: int) -> list[Any]:
    """What stands between two layers at least, one of which sends so many values at once and the other reads so many:
    a FIFO; where the two differ, a converter with a FIFO before and after."""
    if sent == read:
        return [fifo(datatype, sent)]
    bits, shape = datatype.bitwidth(), [1, math.lcm(sent, read)]
    converter = _inserted(
        "StreamingDataWidthConverter_rtl",
        inShape=shape,
        outShape=shape,
        inWidth=sent * bits,
        outWidth=read * bits,
        dataType=datatype.name,
    )
    return [fifo(datatype, sent), converter, fifo(datatype, read)]


def fifo(datatype: Any, values: int) -> Any:
    """The shortest FIFO of so many values at once."""
    shapes = {"folded_shape": [1, 1, values], "normal_shape": [1, values]}
    return _inserted("StreamingFIFO_rtl", depth=SHORTEST, dataType=datatype.name, **shapes)


def _inserted(op_type: str, **attributes: Any) -> Any:
    """A layer as FINN inserts it between others."""
    domain = f"{HARDWARE}.rtl"
    return getCustomOp(helper.make_node(op_type, ["in"], ["out"], domain=domain, backend="fpgadataflow", **attributes))


def _unlike(part: str) -> str:
    """Why no price holds for this part or this FINN; "" where they do."""
    made_by = prices.made_by()
    try:
        same = family_of(part) == family_of(made_by["part"])
    except StepFailed:
        same = False
    if not same:
        return f"prices were measured for {made_by['part']}, and {part} is of another family"
    finn = " ".join(distribution_of_finn())
    return "" if finn == made_by["finn"] else f"prices were measured with {made_by['finn']}, and this is {finn}"
