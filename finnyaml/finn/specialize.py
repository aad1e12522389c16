"""RTL or HLS for each hardware layer: what is asked for, what FINN makes of it, and why. Runs in workers."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import GiveUniqueNodeNames

from finnyaml.finn.identity import distribution_of_finn
from finnyaml.finn.invalid_settings import attributes_for
from finnyaml.graph.operators import HARDWARE, PARTITION
from finnyaml.graph.surgery import set_attributes
from finnyaml.graph.view import attributes, kind, style

STYLES = ("hls", "rtl")
ASKED = "preferred_impl_style"
"""FINN's attribute for what is asked for; `specialize_layers` reads it and takes it away."""


@dataclass(frozen=True)
class Settled:
    """A specialised model, and what became of each hardware layer.

    styles: in graph order, plain data: `node` and `op_type` as they are now ("MVAU_rtl"), `style` ("rtl", "hls"), and
    `why`, a sentence for an HLS layer and "" for others.
    """

    model: ModelWrapper
    styles: list[dict[str, str]]


def prefer(model: ModelWrapper, wanted: str) -> ModelWrapper:
    """A model in which every hardware layer for which nothing is asked yet is asked for in the style `wanted`.

    Belongs before FINN's `specialize_layers`. That lays the user's file over it, so the file wins; and where the
    style is not possible it takes the other one.

    model: with hardware layers whose variants are not chosen; not changed. Raises ValueError where there is no such
    style ("rtl", "hls").
    """
    if wanted not in STYLES:
        raise ValueError(f"no implementation style {wanted!r}: there is {', '.join(STYLES)}")
    model = copy.deepcopy(model)
    for node in model.graph.node:
        if node.domain == HARDWARE and node.op_type != PARTITION and not asked_for(node, {}):
            set_attributes(node, **{ASKED: wanted})
    return model


def settle(model: ModelWrapper, part: str, hls: Collection[str] = ()) -> Settled:
    """Give layers that FINN left in HLS our RTL where there is one, and say why the rest is HLS.

    Belongs after FINN's `specialize_layers`. model: not changed. part: the FPGA part. hls: the layers that shall stay
    HLS (`wanted_in_hls`).
    """
    from finnyaml.finn.kernels.conversion import use_kernels

    original = {node.output[0]: node for node in model.graph.node if node.output[0] in hls and style(node) == "hls"}
    model, refused = use_kernels(copy.deepcopy(model))
    outputs = {node.name: node.output[0] for node in model.graph.node}
    uncovered = {outputs[name]: why for name, why in refused}
    model = _restored(model, original)
    styles = []
    for node in filter(style, model.graph.node):
        why = ""
        if style(node) == "hls" and node.output[0] in hls:
            why = "the recipe asks for HLS"
        elif style(node) == "hls":
            why = uncovered.get(node.output[0]) or "; ".join(why_hls(model, node, part))
        styles.append({"node": node.name, "op_type": node.op_type, "style": style(node), "why": why})
    return Settled(model, styles)


def asked_for(node: NodeProto, entries: Mapping[str, Any]) -> str:
    """The style that is asked for a layer before specialisation: "rtl", "hls" or "".

    entries: what the user's file says, in FINN's format; it wins over the layer's own attribute.
    """
    written = {**attributes(node), **attributes_for(node, entries)}
    return str(written.get(ASKED, ""))


def wanted_in_hls(model: ModelWrapper, file: str | Path | None) -> frozenset[str]:
    """The layers that are asked for in HLS, by their first outputs: specialisation renames layers, but no tensors.

    model: before `specialize_layers`, after `prefer`. file: the user's, in FINN's format, if there is one.
    """
    entries = {} if file is None else json.loads(Path(file).read_text())
    named = model if file is None else copy.deepcopy(model).transform(GiveUniqueNodeNames())  # as FINN does for a file
    layers = [node for node in named.graph.node if node.domain == HARDWARE]
    return frozenset(node.output[0] for node in layers if asked_for(node, entries) == "hls")


def decision(model: ModelWrapper, node: NodeProto, part: str) -> str:
    """What FINN makes of a layer that is asked for in RTL: "rtl" or "hls". `node` may be specialised already."""
    from finn.transformation.fpgadataflow import specialize_layers

    node = _generic(node)
    set_attributes(node, **{ASKED: "rtl"})
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # what FINN would warn of is what the reasons say
    try:
        return str(specialize_layers._determine_impl_style(node, part, model))
    except Exception:  # FINN's plain way to say that there is no variant at all
        return "hls"
    finally:
        logging.disable(level)


def why_hls(model: ModelWrapper, node: NodeProto, part: str) -> list[str]:
    """Why a layer is, or would be, HLS; at least one reason. `node` may be specialised already."""
    from finn.transformation.fpgadataflow import specialize_layers

    if decision(model, node, part) == "rtl":
        return ["FINN chose HLS, and RTL is possible (specialize: {prefer: rtl})"]
    broken = _broken(model, _generic(node), part)
    case = " for this case" if f"{kind(node)}_rtl" in specialize_layers.rtl_variants else ""
    return broken or [f"{' '.join(distribution_of_finn())} has no RTL variant of {kind(node)}{case}"]


def _broken(model: ModelWrapper, node: NodeProto, part: str) -> list[str]:
    """Which of FINN's conditions for RTL a matrix layer breaks. FINN itself only says yes or no."""
    from finn.util import basic

    if node.op_type not in ("MVAU", "VVAU"):
        return []
    layer: Any = getCustomOp(node)
    if node.op_type == "MVAU" and layer.get_nodeattr("binaryXnorMode"):
        return [
            "it computes with XNOR on bits, since its activations are bipolar (2-bit activations would not; the step "
            "represent_bipolar makes them 2 bits wide)"
        ]
    data, weights, result = layer.get_input_datatype(0), layer.get_input_datatype(1), layer.get_output_datatype()
    found = []
    if not layer.get_nodeattr("noActivation"):
        found.append("its thresholds are merged into it (set finn: {standalone_thresholds: true})")
    if node.op_type == "VVAU" and not basic.is_versal(part):
        found.append("RTL vector products exist for Versal parts only")
    if not weights.signed():
        found.append(f"its weights are {weights.name}, not signed")
    if node.op_type == "VVAU":
        if data.bitwidth() > 8 + data.signed():
            found.append(f"its activations are {data.name}, RTL vector products take 8 bits, or 9 with a sign")
        if weights.bitwidth() > 8:
            found.append(f"its weights have {weights.bitwidth()} bits, RTL vector products take 8")
        return found
    if weights.bitwidth() < 2:
        found.append(f"its weights have {weights.bitwidth()} bit, RTL takes 2 or more")
    if data.bitwidth() < 2:
        found.append(f"its activations have {data.bitwidth()} bit, RTL takes 2 or more")
    block = basic.get_dsp_block(part)
    names = ("activations", "weights", "accumulator")
    given = (data.bitwidth() + (not data.signed()), weights.bitwidth(), result.bitwidth())
    for name, bits, limit in zip(names, given, basic.get_dsp_datapath_limits(block), strict=True):
        if bits > limit:
            found.append(f"its {name} need {bits} bits, a {block} has {limit}")
    values = model.get_initializer(node.input[1])
    if block == "DSP48E1" and (values is None or values.min() == weights.min()):
        found.append("its weights use the lowest value of their type, which a DSP48E1 cannot multiply")
    return found


def _restored(model: ModelWrapper, original: Mapping[str, NodeProto]) -> ModelWrapper:
    """The model with these layers, given by their first outputs, as they were before."""
    for index, node in enumerate(list(model.graph.node)):
        if node.output[0] in original:
            model.graph.node.remove(node)
            model.graph.node.insert(index, original[node.output[0]])
    return model.transform(GiveUniqueNodeNames()) if original else model


def _generic(node: NodeProto) -> NodeProto:
    """A copy of the layer as it was before specialisation."""
    made = copy.deepcopy(node)
    made.op_type, made.domain = kind(node), HARDWARE
    return made
