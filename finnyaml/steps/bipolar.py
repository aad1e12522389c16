"""Exact repairs that let values of -1 and +1 have two bits. Runs in workers.

`represent_bipolar` does so everywhere, because FINN's RTL takes no operands of one bit; `represent_padding` (in
`repairs`) only where a 0 meets them. What both do to one threshold layer is here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

import numpy as np
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_datatypes import InferDataTypes

from finnyaml.errors import StepFailed
from finnyaml.graph.operators import PASSING
from finnyaml.graph.surgery import Node, Repaired, free_name, set_attributes, store_constant
from finnyaml.graph.view import View, attributes, is_hardware, name

PRODUCTS = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
"""Operators whose constant operand is their weights."""


def represent_bipolar(model: ModelWrapper) -> Repaired:
    """Let all activations and weights of -1 and +1 be INT2, which FINN's RTL layers can compute with.

    A bipolar MultiThreshold yields INT2: with its one threshold doubled, out_scale 1 and out_bias -1, it gives -1 or
    +1 as before. Weights keep their values, annotated INT2. So streamlining makes no XNOR arithmetic of them, and
    matrix layers have signed operands of two bits. Belongs after `tidy_up`, before `streamline`.

    A bipolar input or output of the network stays what it is, and so do weights that meet such an input: they are
    named in the notes.

    Raises:
        StepFailed: it is too early (BipolarQuant) or too late (XNOR arithmetic, hardware layers), bipolar values do
            not come from a MultiThreshold that is a sign (2 * [x >= t] - 1), or they are joined with values that stay
            bipolar.
    """
    model = copy.deepcopy(model)
    view = View(model)
    _refuse_late(view)
    ends = [node for node in _sources(view) if _is_only_output(view, node)]
    nodes = [node for node in _sources(view) if node not in ends]
    for node in nodes:
        refuse_source("represent_bipolar", view, node, "one bit each, and RTL takes two")
    kept = _reach(view, (tensor for tensor in view.inputs if _bipolar(view, tensor)))
    weights = [(node, tensor) for node, tensor in _weights(view) if not _meets(view, tensor, kept)]
    changes = [f"{name(node)} yields INT2 (-1 or +1) instead of BIPOLAR" for node in nodes]
    changes += [f"the weights of {name(node)} are INT2 (-1 or +1) instead of BIPOLAR" for node, _ in weights]
    notes = [
        f"the network's input {tensor} stays BIPOLAR (one bit), and so do weights that it meets: no RTL there; "
        "model: {input: {datatype: INT2}} gives it two"
        for tensor in view.inputs
        if _bipolar(view, tensor)
    ]
    notes += [f"the network's output {node.output[0]} stays BIPOLAR (one bit)" for node in ends]
    if not changes:
        return Repaired(model, (), (*notes, "nothing else is bipolar" if notes else "nothing is bipolar"))
    yield_int2(model, view, nodes)
    for _, tensor in weights:
        model.set_tensor_datatype(tensor, DataType["INT2"])
    model = model.transform(InferDataTypes())
    _refuse_mixtures(View(model))
    return Repaired(model, tuple(changes), tuple(notes))


def yield_int2(model: ModelWrapper, view: View, nodes: Iterable[Node]) -> None:
    """Let signs (`refuse_source` found nothing) yield INT2: their threshold doubled, out_scale 1 and out_bias -1.

    Thresholds that another node uses too stay as they are, and the doubled ones get a name of their own.
    """
    nodes = list(nodes)
    changed = {id(node) for node in nodes}
    taken = set(model.get_all_tensor_names())
    renamed: dict[str, str] = {}
    for node in nodes:
        old = str(node.input[1])
        if old not in renamed:
            values = view.constant(old)
            assert values is not None
            shared = any(id(user) not in changed for user in view.consumers(old))
            renamed[old] = free_name(f"{old}_doubled", taken) if shared else old
            store_constant(model, renamed[old], np.repeat(values, 2, axis=1), like=old)
    for node in nodes:
        node.input[1] = renamed[node.input[1]]
        set_attributes(node, out_dtype="INT2", out_scale=1.0, out_bias=-1.0)
        model.set_tensor_datatype(node.output[0], DataType["INT2"])


def refuse_source(step: str, view: View, node: Node, why: str) -> None:
    """Raise StepFailed unless `node` is 2 * [x >= t] - 1, with consumers that take any integer.

    step: the repair that wants to change it. why: what is wrong with the bipolar values that it makes.
    """
    if node.op_type in ("BipolarQuant", "Quant"):
        raise StepFailed(
            f"{step}: {name(node)} is a {node.op_type}, not a MultiThreshold yet",
            hint="run it later: after qonnx_to_finn and tidy_up",
        )
    written = attributes(node)
    thresholds = view.constant(node.input[1]) if node.op_type == "MultiThreshold" else None
    exact = thresholds is not None and thresholds.ndim == 2 and thresholds.shape[1] == 1
    if not exact or (written.get("out_scale", 1.0), written.get("out_bias", 0.0)) != (2.0, -1.0):
        details = f"out_scale {written.get('out_scale', 1.0):g}, out_bias {written.get('out_bias', 0.0):g}"
        if node.op_type != "MultiThreshold":
            details = "no MultiThreshold"
        elif thresholds is None:
            details = "computed thresholds"
        elif not exact:
            details = f"thresholds of the shape {list(thresholds.shape)}"
        raise StepFailed(
            f"{step}: the bipolar values that {name(node)} ({node.op_type}) makes are {why}, and it "
            f"is not a sign (2 * [x >= t] - 1) but has {details}: there is no exact repair",
            hint="use 2-bit activations there, or no padding" if step == "represent_padding" else "use 2 bits there",
        )
    if outputs := sorted(_reach(view, node.output[:1]) & set(view.outputs)):
        raise StepFailed(
            f"{step}: {name(node)} also makes the graph output {outputs[0]}, whose data type would change "
            "from BIPOLAR to INT2",
            hint="give the output a quantizer of its own",
        )
    for consumer in view.below(node.output[:1], PASSING):
        if consumer.op_type == "XnorPopcountMatMul":
            raise StepFailed(
                f"{step}: {name(consumer)} needs the output of {name(node)} as bits",
                hint="run it earlier: after tidy_up, before streamline",
            )


def _refuse_late(view: View) -> None:
    for node in view.nodes:
        if node.op_type == "XnorPopcountMatMul" or is_hardware(node):
            what = "computes with XNOR on bits" if node.op_type == "XnorPopcountMatMul" else "is a hardware layer"
            raise StepFailed(
                f"represent_bipolar: {name(node)} {what} already",
                hint="run it earlier: after tidy_up, before streamline",
            )


def _bipolar(view: View, tensor: str) -> bool:
    return bool(view.datatype(tensor).name == "BIPOLAR")


def _sources(view: View) -> Iterator[Node]:
    """The nodes that make bipolar values of other values, in graph order."""
    for node in view.nodes:
        bits = node.op_type == "BipolarQuant" or any(_bipolar(view, tensor) for tensor in node.output)
        if bits and node.op_type not in PASSING and view.dynamic_inputs(node):
            yield node


def _is_only_output(view: View, node: Node) -> bool:
    return node.output[0] in view.outputs and not view.consumers(node.output[0])


def _weights(view: View) -> Iterator[tuple[Node, str]]:
    """Every bipolar constant that a product takes, with the first node that does."""
    seen = set()
    for node in view.nodes:
        for tensor in node.input[:2] if node.op_type in PRODUCTS else ():
            if view.is_constant(tensor) and _bipolar(view, tensor) and tensor not in seen:
                seen.add(tensor)
                yield node, tensor


def _meets(view: View, weights: str, tensors: set[str]) -> bool:
    return any(tensor in tensors for node in view.consumers(weights) for tensor in node.input)


def _reach(view: View, tensors: Iterable[str]) -> set[str]:
    """`tensors`, and those whose values are among theirs."""
    first = set(tensors)
    return first.union(*(node.output for node in view.below(first, PASSING) if node.op_type in PASSING))


def _refuse_mixtures(view: View) -> None:
    """QONNX takes the data type of a Concat from its first input: with mixed inputs it is right by chance only."""
    for node in view.nodes:
        if node.op_type == "Concat" and len({_bipolar(view, tensor) for tensor in node.input}) > 1:
            raise StepFailed(
                f"represent_bipolar: {name(node)} joins values that stay BIPOLAR with others",
                hint="say model: {input: {datatype: INT2}}",
            )
