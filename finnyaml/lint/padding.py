"""Padding with a value that the data type does not have.

A bipolar tensor holds -1 and +1 in one bit, and there is no bit pattern for the 0 that a convolution is padded with.
Between bipolar data and bipolar weights FINN goes on all the same: in XNOR-popcount arithmetic the padding becomes
bit 0, which means -1. Elsewhere its padding layer refuses the data type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onnx import NodeProto

from finnyaml.graph.operators import PASSING
from finnyaml.graph.view import View, attributes, kind, name
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.folding import MATRIX
from finnyaml.lint.rules import Stage, checks, finding

SCALING = frozenset(("Mul", "Div"))
"""A scale that streamlining moves behind the convolution: what stands before it then meets the padding."""


@dataclass(frozen=True)
class Padded:
    """A node that pads, and the nodes (None: the graph input) from which values come that cannot be the padding."""

    node: NodeProto
    tensor: str
    value: float
    sources: tuple[NodeProto | None, ...]


def unrepresentable(view: View) -> Iterator[Padded]:
    """Every padding with a value that the values it is put around cannot have, in graph order."""
    for node in view.nodes:
        value = padding_value(view, node)
        if value is None:
            continue
        tensor = str(node.input[0])
        sources = list(_sources(view, tensor, value, set()))
        if sources or _means_minus_one(view, node):
            yield Padded(node, tensor, value, tuple(sources))


def padding_value(view: View, node: NodeProto) -> float | None:
    """The value that a node puts around its input; None if it puts nothing there.

    Max-pooling is not among them: its padding never wins.
    """
    written = attributes(node)
    if node.op_type == "Conv":
        return 0.0 if _pads(written) else None
    if node.op_type == "ConvTranspose":  # zeros between the pixels, and around them unless `pads` takes those away
        sizes = (*(written.get("kernel_shape") or view.shape(node.input[1])[2:]), *written.get("strides", ()))
        return 0.0 if any(size > 1 for size in sizes) else None
    if node.op_type == "Im2Col":
        pooling = [kind(consumer) for consumer in view.consumers(node.output[0])] == ["Pool"]
        return None if pooling or not any(written.get("pad_amount", ())) else float(written.get("pad_value", 0))
    if node.op_type == "Pad":
        return _pad(view, node)
    if kind(node) == "FMPadding":
        return 0.0 if any(written.get("Padding", ())) else None
    if kind(node) == "FMPadding_Pixel":
        return 0.0
    return None


def _pads(written: object) -> bool:
    assert isinstance(written, dict)
    automatic = written.get("auto_pad", "NOTSET")
    return automatic in ("SAME_UPPER", "SAME_LOWER") or (automatic == "NOTSET" and any(written.get("pads", ())))


def _pad(view: View, node: NodeProto) -> float | None:
    written = attributes(node)
    if written.get("mode", "constant") != "constant":
        return None
    amounts = written.get("pads")
    if amounts is None and len(node.input) > 1:
        amounts = view.constant(node.input[1])
    if amounts is not None and not any(amount > 0 for amount in amounts):
        return None
    value = written.get("value", 0.0)
    if len(node.input) > 2 and node.input[2]:
        given = view.constant(node.input[2])
        value = 0.0 if given is None else given.item()
    return float(value)


def _sources(view: View, tensor: str, value: float, seen: set[str]) -> Iterator[NodeProto | None]:
    """The nodes that make the values of `tensor`, where those cannot be `value`; None for the graph input."""
    if tensor in seen:
        return
    seen.add(tensor)
    node = view.producer(tensor)
    if node is None:
        if tensor in view.inputs and not view.datatype(tensor).allowed(value):
            yield None
    elif kind(node) in PASSING:
        for source in node.input if node.op_type == "Concat" else node.input[:1]:
            yield from _sources(view, source, value, seen)
    elif node.op_type in SCALING and value == 0 and len(view.dynamic_inputs(node)) == 1:
        yield from _sources(view, view.dynamic_inputs(node)[0], value, seen)
    elif value not in (-1.0, 1.0) and (node.op_type == "BipolarQuant" or not view.datatype(tensor).allowed(value)):
        yield node


def _means_minus_one(view: View, node: NodeProto) -> bool:
    """Whether the padding of `node` goes into XNOR arithmetic, where bit 0 stands for -1."""
    behind = view.below(node.output[:1], PASSING | {"Im2Col", "ConvolutionInputGenerator"})
    return any(
        reader.op_type == "XnorPopcountMatMul"
        or (kind(reader) in MATRIX and bool(attributes(reader).get("binaryXnorMode")))
        for reader in behind
    )


@checks("padding-cannot-be-represented")
def _padding(view: View, stage: Stage) -> Iterator[Finding]:
    for padded in unrepresentable(view):
        made = sorted(name(source) for source in padded.sources if source is not None)
        by = f", made by {', '.join(made)}" if made else ""
        message = (
            f"{name(padded.node)} pads with {padded.value:g}, but its input {padded.tensor} is "
            f"{_named(view, padded)}{by}. FINN computes with -1 at the border instead where XNOR arithmetic follows, "
            "and the accuracy falls without a word; elsewhere convert_to_hw stops"
        )
        rule, details = "padding-cannot-be-represented", {"node": name(padded.node)}
        if padded.value == 0 and None not in padded.sources:
            hint = "insert the step represent_padding after tidy_up: exact, no retraining; or train with 2-bit "
            settled = ("represent_bipolar",)
            yield finding(rule, message, hint=f"{hint}activations, or without padding", settled_by=settled, **details)
        else:
            hint = "pad with a value that the data has, or give the data a type that has the padding's"
            yield finding(rule, message, hint=hint, repair=None, **details)


def _named(view: View, padded: Padded) -> str:
    """The data type that is padded, with what it stands for."""
    if not padded.sources:
        return "BINARY (meaning -1 and +1)"
    datatype = str(view.datatype(padded.tensor).name)
    if any(source is not None and source.op_type == "BipolarQuant" for source in padded.sources):
        datatype = "BIPOLAR"
    return "BIPOLAR (-1 and +1)" if datatype == "BIPOLAR" else datatype


@checks("padded-pooling-of-signed-values")
def _pooling(view: View, stage: Stage) -> Iterator[Finding]:
    """FINN pads a maximum with the lowest value of its data type, and its padding layer only knows 0."""
    for node in view.nodes if stage.past("step_streamline") else ():
        if node.op_type not in ("MaxPool", "MaxPoolNHWC") or not _pads(attributes(node)):
            continue
        datatype = view.datatype(node.input[0])
        if datatype.is_integer() and datatype.min() < 0:
            yield finding(
                "padded-pooling-of-signed-values",
                f"{node.name} is padded and its input is {datatype.name}: it has to be padded with {datatype.min():g}, "
                "and FINN's padding layer only knows 0: convert_to_hw stops there",
                node=node.name,
                hint="leave the padding of the pooling out, or pool unsigned values (behind a ReLU)",
            )
