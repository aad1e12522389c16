"""Where the steps of the open RTL path find the design, and leave their reports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnyaml.finn import target
from finnyaml.worker.context import Context

DESIGN = "out/rtl/design"
"""Where rtl.stitch leaves the design."""

REPORTS = "out/report"
SIZING = "rtl_fifo_sizing.json"


def design_of(context: Context) -> Path:
    """The design folder. All of it counts as read: what programs read in it, the weights, is not seen."""
    folder = context.root / DESIGN
    for path in folder.rglob("*"):
        if path.is_file():
            path.open("rb").close()
    return folder


def target_of(context: Context) -> tuple[str, float]:
    return target.part_and_clock(context.config())


def lasting(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Figures without how long it took here: equal simulations, equal files. The log has the rest."""
    print(f"{metrics['cycles']:,} cycles in {metrics['seconds']:.1f} s")
    return {name: value for name, value in metrics.items() if name not in ("seconds", "cycles_per_second")}


def write_report(context: Context, name: str, report: Mapping[str, Any]) -> None:
    path = context.root / REPORTS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
