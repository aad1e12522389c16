"""Threshold layers that FINN cannot convert, or cannot minimise, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.datatype import DataType

from finnyaml.graph.view import View, attributes, is_hardware, kind, name
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.rules import Stage, checks, finding

INVARIANT = frozenset(
    ("Expand", "Flatten", "GlobalAveragePool", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
)
"""The operators that MoveScalarLinearPastInvariants moves a scalar Add behind."""


def mislabelled(view: View, node: NodeProto) -> tuple[int, int, Any] | None:
    """Of a MultiThreshold whose output type is false: the lowest and highest value that it gives, and the right type.

    False is a type that cannot hold what the node gives, or a signed one for values that are never negative: FINN takes
    the sign for a negative bias and refuses the layer ("Signed output requires actval < 0"). None for any other node.
    """
    thresholds = view.constant(node.input[1]) if node.op_type == "MultiThreshold" else None
    if thresholds is None:
        return None
    written = attributes(node)
    scale, bias = written.get("out_scale", 1.0), written.get("out_bias", 0.0)
    ends = sorted((bias, bias + scale * thresholds.shape[-1]))
    low, high = (int(end) for end in ends)
    claimed = DataType[written["out_dtype"]]
    honest = not claimed.is_integer() or (claimed.allowed(low) and claimed.allowed(high))
    if [low, high] != ends or (honest and not (claimed.is_integer() and claimed.signed() and low >= 0)):
        return None
    # At least two bits: FINN's matrix layers take a one-bit 0/1 input for a bipolar one.
    return low, high, DataType.get_smallest_possible(max(high, 2) if low >= 0 else min(low, -high - 1))


def _bias_elsewhere(view: View, node: NodeProto) -> NodeProto | None:
    """The Add that holds the bias of a MultiThreshold but stands too far behind it to be absorbed."""
    seen: NodeProto = node
    while len(consumers := view.consumers(seen.output[0])) == 1:
        consumer = consumers[0]
        if consumer.op_type == "Add" and any(view.is_constant(tensor) for tensor in consumer.input):
            return None if seen is node else consumer
        if consumer.op_type not in INVARIANT and kind(consumer) not in ("MatMul", "Im2Col", "MaxPoolNHWC", "MaxPool"):
            return None
        seen = consumer
    return None


def _absorbable(view: View, node: NodeProto) -> bool:
    """Whether AbsorbScalarBiasIntoMultiThreshold will still find the bias: an Add of one number directly behind."""
    consumers = view.consumers(node.output[0])
    if len(consumers) != 1 or consumers[0].op_type != "Add":
        return False
    biases = [view.constant(tensor) for tensor in consumers[0].input]
    return any(bias is not None and bias.size == 1 for bias in biases)


@checks("signed-output-never-negative")
def _signed(view: View, stage: Stage) -> Iterator[Finding]:
    for node in view.nodes:
        found = mislabelled(view, node)
        if found is None or (_absorbable(view, node) and not stage.past("step_streamline")):
            continue
        (low, high, right), claimed = found, attributes(node)["out_dtype"]
        message = f"{node.name} gives {low} to {high}, but its output is annotated {claimed}"
        if DataType[claimed].signed() and low >= 0:
            message += ": FINN will refuse it (Signed output requires actval < 0)"
        moved = _bias_elsewhere(view, node)
        if moved is not None:
            message += f". Its bias is in the Add {moved.name}, too far behind it to be absorbed"
        if moved is not None or low == 0:
            message += (
                "; so it becomes where MoveScalarLinearPastInvariants (or the like) moves the bias of a signed "
                "quantizer before AbsorbScalarBiasIntoMultiThreshold can absorb it"
            )
        yield finding(
            "signed-output-never-negative",
            message,
            node=node.name,
            hint=f"insert the step correct_annotations after streamline: it makes {right.name} of it, exactly; or run "
            "AbsorbScalarBiasIntoMultiThreshold first. Do not set out_bias to -1: that changes what is computed",
        )


def negative_on_unsigned(view: View, node: NodeProto) -> bool:
    """Whether a threshold layer compares unsigned integers with negative numbers."""
    if kind(node) not in ("MultiThreshold", "Thresholding"):
        return False
    datatype = view.datatype(node.input[0])
    if not datatype.is_integer() or datatype.signed():
        return False
    thresholds = view.constant(node.input[1])
    return thresholds is not None and bool((thresholds < 0).any())


@checks("negative-threshold-on-unsigned-input")
def _negative(view: View, stage: Stage) -> Iterator[Finding]:
    """FINN asserts this when it minimises threshold widths, before it clips them to the input's range."""
    if not stage.past("step_streamline"):  # before it, the input of a threshold is not yet what the hardware sees
        return
    for node in view.nodes:
        if negative_on_unsigned(view, node):
            thresholds = view.constant(node.input[1])
            assert thresholds is not None
            count = int(np.count_nonzero((thresholds < 0).any(axis=0)))
            yield finding(
                "negative-threshold-on-unsigned-input",
                f"{node.name} compares {view.datatype(node.input[0]).name} values with negative thresholds (down to "
                f"{thresholds.min():g}; {count} of {thresholds.shape[-1]} steps): step_minimize_bit_width_initial "
                "stops on it with a bare AssertionError. The quantizer covers a range that its data never has",
                node=node.name,
                hint="insert the step clip_thresholds after streamline (exact); better, let the quantizer use its "
                "range: centre the data (normalize: {mean: [0.5], std: [0.5]}) or make it unsigned, and train so",
            )


@checks("threshold-not-convertible")
def _convertible(view: View, stage: Stage) -> Iterator[Finding]:
    """What FINN's convert_to_hw refuses a MultiThreshold for, in the order in which it asks."""
    if not stage.past("step_streamline"):
        return
    for node in view.nodes:
        if node.op_type != "MultiThreshold" or is_hardware(node):
            continue
        reason = _refusal(view, node, bool(stage.config.get("standalone_thresholds")))
        if reason is not None:
            message = f"FINN will not convert {node.name}: {reason[0]}"
            yield finding("threshold-not-convertible", message, node=node.name, hint=reason[1])


def _refusal(view: View, node: NodeProto, standalone: bool) -> tuple[str, str] | None:
    """Why convert_to_hw will stop at this node, and what to do."""
    written = attributes(node)
    scale, bias = written.get("out_scale", 1.0), written.get("out_bias", 0.0)
    bipolar = written["out_dtype"] == "BIPOLAR"
    thresholds = view.constant(node.input[1])
    if thresholds is None:
        return "its thresholds are computed, not stored", "give the quantizer a constant scale and zero point"
    if bias != int(bias) and not _even(thresholds):  # with even steps it becomes a (float) Requant
        return f"its out_bias {bias:g} is not an integer", "use a quantizer with an integer zero point"
    producer = view.producer(node.input[0])
    products = ("MatMul", "XnorPopcountMatMul")
    fused = producer is not None and producer.op_type in products and not standalone
    fused = fused and len(view.consumers(node.input[0])) == 1
    if scale != 1 and not (bipolar and scale == 2 and bias == -1 and fused):
        if bipolar and standalone and producer is not None and producer.op_type in products:
            inside = bool(view.consumers(node.output[0]))
            return (
                f"its output is BIPOLAR (out_scale {scale:g}), which FINN takes as a part of {name(producer)} only, "
                "and the recipe says `finn: {standalone_thresholds: true}`",
                "say `finn: {standalone_thresholds: false}`"
                + ("; or insert the step represent_bipolar after tidy_up: exact" if inside else ""),
            )
        if bipolar:
            return (
                f"its output is BIPOLAR (out_scale {scale:g}), and it stands alone: FINN takes bipolar thresholds "
                "only behind a matrix product of their own, or where XNOR arithmetic follows",
                "insert the step represent_padding where a padded convolution follows, or use 2-bit activations",
            )
        return (
            f"its out_scale is {scale:g}, not 1",
            "run ExtractMultiThresholdScaleBias of FINN after streamline, or export with a separate scale",
        )
    return None


def _even(thresholds: np.ndarray) -> bool:
    """Whether each channel's thresholds are evenly spaced."""
    steps = np.diff(np.sort(thresholds, axis=1))
    return thresholds.shape[1] < 2 or bool(np.allclose(steps, steps[:, :1]))
