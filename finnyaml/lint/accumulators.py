"""Whether a matrix layer's data types hold the sums that it can reach."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.datatype import DataType

from finnyaml.graph.view import View, attributes, kind
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.folding import MATRIX
from finnyaml.lint.rules import Stage, checks, finding

SETTLED = ("step_minimize_bit_width", "step_generate_estimate_reports", "step_hw_codegen", "step_generate_hardware")
"""Once one of these has run, FINN sets no accumulator type any more; before, its last minimisation will."""


@dataclass(frozen=True)
class Overflow:
    """A matrix layer whose sums, `low` to `high`, are not all values of the QONNX data type `claimed` that it has.

    `right` is the narrowest integer type that has them all.
    """

    low: int
    high: int
    claimed: Any
    right: Any


def sums(view: View, node: NodeProto) -> tuple[int, int] | None:
    """The lowest and highest sum that an MVAU or VVAU can reach, over all its outputs and all data its input may be.

    In XNOR mode it counts matches: 0 to K, the number of inputs of one sum. Weights that can change, because they are
    streamed in or writeable, may be any value of their data type. None where a type is not integer.
    """
    written = attributes(node)
    data, weight = (DataType[written[name]] for name in ("inputDataType", "weightDataType"))
    channels = kind(node) == "VVAU"
    length = int(np.prod(written["Kernel"])) if channels else int(written["MW"])
    if written.get("binaryXnorMode"):
        return 0, length
    if not (data.is_integer() and weight.is_integer()):
        return None
    values = view.constant(node.input[1])
    inside = written.get("mem_mode", "internal_decoupled") in ("internal_decoupled", "internal_embedded")
    if values is None or not inside or written.get("runtime_writeable_weights"):
        columns = np.array([[weight.min(), weight.max()]] * length)
    else:
        columns = values.reshape(len(values), -1).T if channels else values
    above = np.maximum(columns, 0).sum(axis=0, dtype=np.float64)
    below = np.minimum(columns, 0).sum(axis=0, dtype=np.float64)
    low, high = above * data.min() + below * data.max(), above * data.max() + below * data.min()
    return int(low.min()), int(high.max())


def overflow(view: View, node: NodeProto) -> Overflow | None:
    """What is wrong with the types of a matrix layer; None for one that holds its sums, and for any other node.

    Without thresholds of its own a layer yields its sums, so that the type of its output must hold them as well.
    """
    if kind(node) not in MATRIX:
        return None
    reached = sums(view, node)
    if reached is None:
        return None
    low, high = reached
    written = attributes(node)
    types = [DataType[written.get("accDataType", "INT32")]]
    if written.get("noActivation"):
        types.append(DataType[written["outputDataType"]])
    for claimed in types:
        if claimed.is_integer() and not (claimed.min() <= low and high <= claimed.max()):
            last = bool(written.get("noActivation")) and not view.consumers(node.output[0])
            return Overflow(low, high, claimed, _narrowest(low, high, whole_bytes=last))
    return None


def _narrowest(low: int, high: int, *, whole_bytes: bool) -> Any:
    """The narrowest integer type from `low` to `high`; in `whole_bytes` where FINN wants that: at the graph's end."""
    bits = max(high.bit_length(), 2) if low >= 0 else max((-low - 1).bit_length(), high.bit_length()) + 1
    if whole_bytes:
        bits = 8 * math.ceil(bits / 8)
    return DataType[f"{'UINT' if low >= 0 else 'INT'}{bits}"]


@checks("accumulator-too-narrow")
def _too_narrow(view: View, stage: Stage) -> Iterator[Finding]:
    if not any(stage.past(step) for step in SETTLED):
        return
    for node in view.nodes:
        wrong = overflow(view, node)
        if wrong is not None:
            xnor = "XNOR matches" if attributes(node).get("binaryXnorMode") else "sums"
            yield finding(
                "accumulator-too-narrow",
                f"{node.name} can reach {xnor} from {wrong.low} to {wrong.high}, but its type {wrong.claimed.name} "
                f"holds only {wrong.claimed.min():g} to {wrong.claimed.max():g}: the hardware overflows there, "
                "FINN's simulation in Python does not",
                node=node.name,
                hint=f"insert the step widen_accumulators after minimize_bit_width: exact ({wrong.right.name})",
            )
