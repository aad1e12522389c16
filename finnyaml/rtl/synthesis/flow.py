"""A design folder to a report: overlay, two runs of Yosys side by side, counts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from finnyaml.rtl import names, overlay
from finnyaml.rtl.design import Design
from finnyaml.rtl.synthesis import patches, script, twins, yosys
from finnyaml.rtl.synthesis.cells import resources
from finnyaml.rtl.synthesis.report import report
from finnyaml.rtl.synthesis.script import Family, family_of

_OWN = (Path(__file__).parent / "primitives.sv", Path(__file__).parent / "srl.sv")


def synthesize(folder: Path, work: Path, *, layers: bool = True) -> dict[str, Any]:
    """Estimate what the design in `folder` takes on its part, out of context; what `report` returns.

    work: a folder for the copy that Yosys reads, its scripts and its logs. layers: also each node on its own, at the
    same time; nodes that are the same hardware are synthesised once.
    Raises StepFailed: a part that Yosys has no cells for, sources that it cannot read or that finnyaml's changes do not
    fit.
    Raises ToolMissing: Yosys is not installed.
    """
    design = Design.load(folder)
    family = family_of(design.part)
    version = yosys.version(folder)
    notes = prepare(folder, design, work)
    same = twins.firsts(folder, design) if layers else {}
    runs = {"whole": [design.top]}
    if same:
        runs["layers"] = [f"node_{node}" for node in dict.fromkeys(same.values())]
    with ThreadPoolExecutor(len(runs)) as pool:
        done = list(pool.map(lambda name: count(work, name, runs[name], family), runs))
    counted = {top: found for each in done for top, found in each.items()}
    by_node = {node: counted[f"node_{first}"] for node, first in same.items()}
    return report(design, family, version, counted[design.top], by_node, same, notes)


def prepare(folder: Path, design: Design, work: Path) -> Mapping[str, str]:
    """Make the folder that Yosys runs in, with all sources patched; returns what `patches.finish` does.

    Raises StepFailed: a patch does not fit, or a name that a script cannot have.
    """
    names.check_design(design)
    overlay.overlay(folder, design, work, patches.PATCHES)
    notes = patches.finish(work, design.sources)
    for image in design.data:
        (work / image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / image, work / image)
    for own in _OWN:
        shutil.copyfile(own, work / own.name)
    lutrams = yosys.share() / "xilinx" / "lutrams_xcu.txt"
    (work / script.LUTRAMS).write_text(script.corrected_lutrams(lutrams.read_text(encoding="utf-8")), encoding="utf-8")
    files = [*(own.name for own in _OWN), *design.sources]
    (work / script.FILES).write_text("".join(f"{name}\n" for name in files), encoding="utf-8")
    return notes


def count(work: Path, name: str, tops: Sequence[str], family: Family) -> dict[str, dict[str, int]]:
    """Synthesise each of `tops` in a folder that `prepare` made; the resources of each. name: of script and log."""
    yosys.run(work, name, script.script(tops, family, f"{name}.json"))
    modules = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))["modules"]
    return {top: resources(modules[f"\\{top}"].get("num_cells_by_type", {}), top) for top in tops}
