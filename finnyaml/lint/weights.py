"""How weights are stored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto

from finnyaml.graph.view import View, attributes, kind
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.folding import configured
from finnyaml.lint.rules import Stage, checks, finding

WRITEABLE = "internal_decoupled"
"""The memory mode in which FINN gives a layer the bus port through which its weights are written."""


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
