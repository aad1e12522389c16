"""RTL: where it is asked for and FINN cannot make it, and a layer of FINN's library that loses results."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from finnyaml.finn import specialize
from finnyaml.finn.door import open_door, rtl_source
from finnyaml.finn.kernels import kernels
from finnyaml.graph.operators import HARDWARE, PARTITION
from finnyaml.graph.view import View, attributes
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.folding import configured
from finnyaml.lint.rules import Stage, checks, finding

DECIDES = "step_create_dataflow_partition"
"""From here on the layers have the names and widths with which specialize_layers decides."""

SHORT = "MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH;"
"""How the source of the layer sizes its output queue: one place too few where a result comes in every cycle."""


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
    part = stage.config.get("fpga_part") or open_door().boards.get(str(stage.config.get("board")), "")
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
    """Found by simulation: with SIMD = MW an assertion of FINN's own fails under back-pressure, otherwise never."""
    for node in configured(view, stage):
        written = attributes(node)
        if node.op_type != "MVAU_rtl" or written.get("SIMD", 1) != written.get("MW") or not _is_short():
            continue
        yield finding(
            "output-queue-too-short",
            f"{node.name} takes a whole row at once (SIMD = MW = {written['MW']}) and so gives a result every cycle: "
            "when the next layer makes it wait, FINN's RTL overwrites results that are on their way",
            node=node.name,
            hint="choose a smaller SIMD, or see that nothing ever waits (docs/lints/output-queue-too-short.md)",
            pointer=("folding", "nodes", node.name),
        )


@functools.cache
def _is_short() -> bool:
    """Whether the installed FINN still has it."""
    return SHORT in (rtl_source("mvu/mvu_vvu_axi.sv") or "")
