"""What a layer or a stream costs, and who says so: the fitted prices where there is one, else FINN's estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onnx import helper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.finn.identity import distribution_of_finn
from finnyaml.folding import prices
from finnyaml.folding.measures import measures
from finnyaml.folding.program import NOTHING, Costs
from finnyaml.graph.operators import HARDWARE
from finnyaml.rtl.synthesis.script import family_of

SHORTEST = 2
"""The depth of the FIFO that FINN puts on every stream at least."""


@dataclass(frozen=True)
class Cost:
    """Amounts of resources. by_finn: why some of them are FINN's estimate; "" where all are fitted prices."""

    amounts: Costs
    by_finn: str = ""

    def __add__(self, other: Cost) -> Cost:
        both = dict.fromkeys(filter(None, (self.by_finn, other.by_finn)))
        lut, bram, uram, dsp = (a + b for a, b in zip(self.amounts, other.amounts, strict=True))
        return Cost((lut, bram, uram, dsp), "; ".join(both))


FREE = Cost(NOTHING)


class Pricing:
    """Costs of layers and streams on a part."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._unlike = _unlike(part)

    def layer(self, layer: Any) -> Cost:
        """What FINN's layer costs as it is set.

        Beyond what was measured it is FINN's estimate, but never less than the largest layer that was measured and is
        nowhere larger: FINN counts nothing at all for some layers, and what is not known must not look cheap.
        """
        price = self._price(layer.onnx_node.op_type, None if self._unlike else measures(layer))
        lut, bram, dsp = (price.takes.get(name, 0.0) for name in prices.PRICED)
        if not price.why_not:
            return Cost((lut, bram, 0.0, dsp))
        found = layer.node_res_estimation(self._part)
        finn = (float(found["LUT"]), float(found["BRAM_18K"]), float(found["URAM"]), float(found["DSP"]))
        return Cost((max(lut, finn[0]), max(bram, finn[1]), finn[2], max(dsp, finn[3])), price.why_not)

    def knows(self, layer: Any) -> bool:
        """Whether layers of this form have prices, if not of this size."""
        return bool(self._price(layer.onnx_node.op_type, None if self._unlike else measures(layer)).takes)

    def stream(self, shape: Sequence[int], datatype: Any, sent: int, read: int) -> Cost:
        """What stands between two layers at least, one of which sends so many values at once and the other reads so
        many: a FIFO; where the two differ, a converter with a FIFO before and after."""
        if sent == read:
            return self.fifo(datatype, sent)
        bits = datatype.bitwidth()
        converter = _inserted(
            "StreamingDataWidthConverter_rtl",
            inShape=list(shape),
            outShape=list(shape),
            inWidth=sent * bits,
            outWidth=read * bits,
            dataType=datatype.name,
        )
        return self.fifo(datatype, sent) + self.layer(converter) + self.fifo(datatype, read)

    def fifo(self, datatype: Any, values: int) -> Cost:
        """What the shortest FIFO of so many values at once costs."""
        shapes = {"folded_shape": [1, 1, values], "normal_shape": [1, values]}
        return self.layer(_inserted("StreamingFIFO_rtl", depth=SHORTEST, dataType=datatype.name, **shapes))

    def _price(self, op_type: str, seen: Any) -> prices.Price:
        return prices.Price({}, self._unlike) if self._unlike else prices.price(op_type, seen)


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
