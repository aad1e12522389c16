"""RTL: where it is asked for and FINN cannot make it, and a layer of FINN's library that loses results."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.finn import output_queue, specialize
from finnyaml.finn.door import open_door, rtl_source
from finnyaml.finn.identity import distribution_of_finn
from finnyaml.finn.kernels import kernels
from finnyaml.graph.operators import HARDWARE, PARTITION
from finnyaml.graph.view import View
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.folding import configured
from finnyaml.lint.rules import Stage, checks, finding
from finnyaml.rtl.overlay import OUTPUT_QUEUE, mends

DECIDES = "step_create_dataflow_partition"
"""From here on the layers have the names and widths with which specialize_layers decides."""

SHORT = "MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH;"
"""How the source of the layer sizes its output queue: too short where results follow each other closely."""


@checks("rtl-not-possible")
def _rtl(view: View, stage: Stage) -> Iterator[Finding]:
    """FINN's own decision for each layer, asked before it makes it; it only logs a warning itself."""
    if not stage.past(DECIDES):
        return
    entries, preferred = stage.config.get("specialize") or {}, stage.config.get("prefer") or ""
    others = {PARTITION, *(kernels() if preferred == "rtl" else ())}
    wanted = [
        node
        for node in view.nodes
        if node.domain == HARDWARE and node.op_type not in others
        if (specialize.asked_for(node, entries) or preferred) == "rtl"
    ]
    if not wanted:
        return
    part = _part(stage) or ""
    for node in wanted if part else ():
        if specialize.decision(view.model, node, part) == "hls":
            reasons = specialize.why_hls(view.model, node, part)
            yield finding(
                "rtl-not-possible",
                f"{node.name} ({node.op_type}) is wanted in RTL, but FINN will make it in HLS: {'; '.join(reasons)}",
                node=node.name,
                hint="see docs/lints/rtl-not-possible.md for what each reason asks for; or let FINN choose",
                pointer=("specialize", "nodes", node.name),
            )


@checks("output-queue-too-short")
def _queue(view: View, stage: Stage) -> Iterator[Finding]:
    """Found by simulation: an assertion of FINN's own fails under back-pressure, otherwise never."""
    known, is_open = mends(OUTPUT_QUEUE, _source()), stage.config.get("toolchain") == "open"
    severity, then, first = "warning", "", ""
    if known and is_open:
        severity, first = "info", "before a build with Vivado "
        then = (
            ". What finnyaml simulates, synthesises and exports has a longer queue; FINN's own steps give Vivado the "
        )
        then += "source as it is"
    elif is_open:
        finn = " ".join(distribution_of_finn())
        then = f". finnyaml mends that in another mvu_vvu_axi.sv than that of {finn}"
    for node in configured(view, stage):
        if not loses_results(node, view.model, _part(stage), _clock(stage)):
            continue
        parts = output_queue.cycles_to_a_result(view.layer(node))
        gives = "takes a whole row at once (SIMD = MW), and so gives a result every cycle"
        if parts > 1:
            gives = f"gives a result every {parts} cycles"
        yield finding(
            "output-queue-too-short",
            f"{node.name} {gives}: when the next layer makes it wait, FINN's RTL overwrites results that are on their "
            f"way{then}",
            node=node.name,
            severity=severity,
            hint=f"{first}choose a smaller SIMD, or see that nothing ever waits (docs/lints/output-queue-too-short.md)",
            pointer=("folding", "nodes", node.name),
        )


def loses_results(node: NodeProto, model: ModelWrapper, part: str | None, clock_ns: float) -> bool:
    """Whether a layer of the installed FINN, folded so, loses results when it has to wait."""
    if node.op_type not in output_queue.LAYERS or SHORT not in _source():
        return False
    return output_queue.is_short(getCustomOp(node), model, part, clock_ns)


def _part(stage: Stage) -> str | None:
    return stage.config.get("fpga_part") or open_door().boards.get(str(stage.config.get("board")))


def _clock(stage: Stage) -> float:
    return stage.config.get("synth_clk_period_ns") or 10.0


@functools.cache
def _source() -> str:
    """The source of the layer in the installed FINN."""
    return rtl_source("mvu/mvu_vvu_axi.sv") or ""
