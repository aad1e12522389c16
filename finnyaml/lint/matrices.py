"""Matrix layers: how their weights are stored, and whether their data types hold the sums that they can reach."""

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
from finnyaml.lint.folding import MATRIX, configured
from finnyaml.lint.rules import Stage, checks, finding

WRITEABLE = "internal_decoupled"
"""The memory mode in which FINN gives a layer the bus port through which its weights are written."""

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


@checks("runtime-weights-ignored")
def _runtime(view: View, stage: Stage) -> Iterator[Finding]:
    for node in configured(view, stage):
        written = attributes(node)
        if written.get("runtime_writeable_weights") and written.get("mem_mode", WRITEABLE) != WRITEABLE:
            yield finding(
                "runtime-weights-ignored",
                f"{node.name} has runtime_writeable_weights, but its mem_mode is {written['mem_mode']}: FINN gives it "
                "no port to write them through, and only loses the narrower weights and accumulators",
                node=node.name,
                hint="set mem_mode: internal_decoupled, or leave runtime_writeable_weights out",
            )


def widened(view: View, node: NodeProto) -> bool:
    """Whether a layer stores weights of -1 and +1 in two bits and can take them in one.

    FINN's HLS matrix layer multiplies an integer by a bipolar weight (it adds or subtracts). With a bipolar or binary
    input it would count XNOR matches instead, which is another number; the RTL layer takes no one-bit weights; and
    weights that come from outside or can be overwritten need not stay -1 and +1.
    """
    written = attributes(node)
    if node.op_type != "MVAU_hls" or written.get("weightDataType") != "INT2" or written.get("binaryXnorMode"):
        return False
    if written.get("inputDataType") in ("BIPOLAR", "BINARY") or written.get("runtime_writeable_weights"):
        return False
    if written.get("mem_mode", "internal_decoupled") not in ("internal_decoupled", "internal_embedded"):
        return False
    values = view.constant(node.input[1])
    return values is not None and bool((np.abs(values) == 1).all())


@checks("bipolar-weights-widened")
def _widened(view: View, stage: Stage) -> Iterator[Finding]:
    if not stage.past("step_minimize_bit_width"):
        return
    for node in view.nodes:
        if kind(node) == "MVAU" and widened(view, node):
            yield finding(
                "bipolar-weights-widened",
                f"{node.name} has weights of -1 and +1, which FINN's bit-width minimisation stores as INT2: twice the "
                "memory, and multipliers where an adder would do",
                node=node.name,
                hint="insert the step keep_bipolar_weights after minimize_bit_width: exact",
            )
