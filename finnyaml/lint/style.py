"""RTL where it is asked for, and why not where FINN cannot."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from onnx import NodeProto, helper

from finnyaml.lint.finding import Finding
from finnyaml.lint.rules import checks, finding
from finnyaml.lint.stage import Stage
from finnyaml.lint.view import HARDWARE, View, attributes

DECIDES = "step_create_dataflow_partition"
"""From here on the layers have the names and widths with which specialize_layers decides."""


@checks("rtl-not-possible")
def _rtl(view: View, stage: Stage) -> Iterator[Finding]:
    """FINN's own decision for each layer, asked before it makes it; it only logs a warning itself."""
    if not stage.past(DECIDES):
        return
    undecided = [
        node for node in view.nodes if node.domain == HARDWARE and node.op_type != "StreamingDataflowPartition"
    ]
    wanted = [node for node in undecided if _wants(node, stage)]
    part = _part(stage) if wanted else None
    if part is None:
        return
    for node in wanted:
        asked = copy.deepcopy(node)
        kept = [attribute for attribute in node.attribute if attribute.name != "preferred_impl_style"]
        del asked.attribute[:]
        asked.attribute.extend([*kept, helper.make_attribute("preferred_impl_style", "rtl")])
        if _decision(asked, part, view) == "hls":
            reasons = _reasons(view, asked, part) or [f"FINN has no RTL variant of {node.op_type} for this case"]
            yield finding(
                "rtl-not-possible",
                f"{node.name} ({node.op_type}) is wanted in RTL, but FINN will make it in HLS: {'; '.join(reasons)}",
                node=node.name,
                hint="see docs/lints/rtl-not-possible.md for what each reason asks for; or let FINN choose",
                pointer=("specialize", "nodes", node.name),
            )


def _wants(node: NodeProto, stage: Stage) -> bool:
    entries = stage.config.get("specialize") or {}
    asked = attributes(node).get("preferred_impl_style", "")
    pairs = (entries.get("Defaults") or {}).get("preferred_impl_style", ())
    for value, kinds in zip(pairs[::2], pairs[1::2], strict=False):
        if kinds == "all" or "all" in kinds or node.op_type in kinds:
            asked = value
    return bool((entries.get(node.name) or {}).get("preferred_impl_style", asked) == "rtl")


def _part(stage: Stage) -> str | None:
    from finnyaml.finn.door import open_door

    part = stage.config.get("fpga_part") or open_door().boards.get(str(stage.config.get("board")))
    return str(part) if part else None


def _decision(node: NodeProto, part: str, view: View) -> str:
    import logging

    from finn.transformation.fpgadataflow import specialize_layers

    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # what FINN would warn of is what the finding says
    try:
        return str(specialize_layers._determine_impl_style(node, part, view.model))
    except Exception:  # FINN's plain way to say that there is no variant at all
        return "hls"
    finally:
        logging.disable(level)


def _reasons(view: View, node: NodeProto, part: str) -> list[str]:
    """Which of FINN's conditions a matrix layer breaks. FINN itself only says yes or no."""
    from finn.util import basic

    if node.op_type not in ("MVAU", "VVAU"):
        return []
    layer: Any = view.layer(node)
    if node.op_type == "MVAU" and layer.get_nodeattr("binaryXnorMode"):
        return ["it computes with XNOR on bits, since its activations are bipolar (2-bit activations would not)"]
    data, weights, result = layer.get_input_datatype(0), layer.get_input_datatype(1), layer.get_output_datatype()
    found = []
    if not layer.get_nodeattr("noActivation"):
        found.append("its thresholds are merged into it (set finn: {standalone_thresholds: true})")
    if node.op_type == "VVAU" and not basic.is_versal(part):
        found.append("RTL vector products exist for Versal parts only")
    if not weights.signed():
        found.append(f"its weights are {weights.name}, not signed")
    if weights.bitwidth() < 2:
        found.append(f"its weights have {weights.bitwidth()} bit, RTL takes 2 or more")
    if data.bitwidth() < 2:
        found.append(f"its activations have {data.bitwidth()} bit, RTL takes 2 or more")
    if node.op_type == "MVAU":
        block = basic.get_dsp_block(part)
        most = basic.get_dsp_datapath_limits(block)
        names = ("activations", "weights", "accumulator")
        given = (data.bitwidth() + (not data.signed()), weights.bitwidth(), result.bitwidth())
        for name, bits, limit in zip(names, given, most, strict=True):
            if bits > limit:
                found.append(f"its {name} need {bits} bits, a {block} has {limit}")
        values = view.constant(node.input[1])
        if block == "DSP48E1" and (values is None or values.min() == weights.min()):
            found.append("its weights use the lowest value of their type, which a DSP48E1 cannot multiply")
    return found
