"""RTL where it is asked for, and why not where FINN cannot."""

from __future__ import annotations

from collections.abc import Iterator

from finnyaml.finn import specialize
from finnyaml.finn.kernels import kernels
from finnyaml.graph.operators import HARDWARE
from finnyaml.graph.view import View
from finnyaml.lint.finding import Finding
from finnyaml.lint.rules import checks, finding
from finnyaml.lint.stage import Stage

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
    entries, preferred = stage.config.get("specialize") or {}, stage.config.get("prefer") or ""
    ours = kernels() if preferred == "rtl" else {}
    wanted = [
        node
        for node in undecided
        if (specialize.asked_for(node, entries) or preferred) == "rtl" and node.op_type not in ours
    ]
    part = _part(stage) if wanted else None
    if part is None:
        return
    for node in wanted:
        if specialize.decision(view.model, node, part) == "hls":
            reasons = specialize.why_hls(view.model, node, part)
            yield finding(
                "rtl-not-possible",
                f"{node.name} ({node.op_type}) is wanted in RTL, but FINN will make it in HLS: {'; '.join(reasons)}",
                node=node.name,
                hint="see docs/lints/rtl-not-possible.md for what each reason asks for; or let FINN choose",
                pointer=("specialize", "nodes", node.name),
            )


def _part(stage: Stage) -> str | None:
    from finnyaml.finn.door import open_door

    part = stage.config.get("fpga_part") or open_door().boards.get(str(stage.config.get("board")))
    return str(part) if part else None
