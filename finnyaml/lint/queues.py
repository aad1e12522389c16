"""Layers of FINN's RTL library that lose results when the next layer makes them wait."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from finnyaml.finn.door import rtl_source
from finnyaml.graph.view import View, attributes
from finnyaml.lint.finding import Finding
from finnyaml.lint.folding import configured
from finnyaml.lint.rules import checks, finding
from finnyaml.lint.stage import Stage

SHORT = "MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH;"
"""How the source of the layer sizes its output queue: one place too few where a result comes in every cycle."""


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
