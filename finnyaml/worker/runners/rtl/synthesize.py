"""Resources by Yosys."""

from __future__ import annotations

from finnyaml.rtl.synthesis.flow import synthesize
from finnyaml.worker.context import Context
from finnyaml.worker.runners.rtl.common import design_of, write_report


def run(context: Context) -> None:
    """Synthesise the design with Yosys."""
    report = synthesize(design_of(context), context.root / "tmp" / "synthesis", layers=context.params["layers"])
    write_report(context, "rtl_synthesis.json", report)
