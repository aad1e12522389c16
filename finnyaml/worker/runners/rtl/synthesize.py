"""Resources by Yosys."""

from __future__ import annotations

from finnyaml.rtl import synthesis
from finnyaml.worker.context import Context
from finnyaml.worker.runners.rtl.common import design_of, write_report


def run(context: Context) -> None:
    """Synthesise the design with Yosys."""
    report = synthesis.synthesize(
        design_of(context), context.root / "tmp" / "synthesis", layers=context.params["layers"]
    )
    write_report(context, "rtl_synthesis.json", report)
