"""Many small designs at once: what each node of them takes, kept under all that Yosys reads of its design."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from finnyaml.errors import StepFailed
from finnyaml.rtl.design import TOP_FILE, Design
from finnyaml.rtl.kept import keep
from finnyaml.rtl.synthesis import flow, script, yosys
from finnyaml.rtl.synthesis.cells import RESOURCES

TOGETHER = 10
"""Designs in one process of Yosys: it needs longer to read its own libraries than for a small layer."""

Counts = dict[str, dict[str, int]]
"""By node what it takes."""


def each(
    folders: Sequence[Path], work: Path, cache: Path, told: Callable[[str], None] = lambda _: None
) -> list[Counts | StepFailed]:
    """What the nodes of each design folder take by themselves; the error of a design that Yosys does not manage.

    Nodes that are not alike have different names, in all folders. work: for copies, scripts and logs. cache: where
    counts are kept. told: is called with how far it is.

    Raises ToolMissing: Yosys is not installed.
    """
    keys = [_key(folder, work) for folder in folders]
    found: dict[str, Counts | StepFailed] = {key: kept for key in keys if (kept := _kept(cache / key)) is not None}
    missing = [(key, folder) for key, folder in dict(zip(keys, folders, strict=True)).items() if key not in found]
    for at in range(0, len(missing), TOGETHER):
        batch = missing[at : at + TOGETHER]
        for (key, _), counts in zip(batch, _counted([folder for _, folder in batch], work), strict=True):
            found[key] = counts
            if not isinstance(counts, StepFailed):
                made = work / "counts.json"
                made.write_text(json.dumps(counts) + "\n", encoding="utf-8")
                keep(made, cache / key)
        told(f"{at + len(batch)} of {len(missing)} layers synthesised")
    return [found[key] for key in keys]


def _key(folder: Path, work: Path) -> str:
    """Of everything that Yosys gets to see of a design."""
    design = Design.load(folder)
    prepared = _emptied(work / "key")
    flow.prepare(folder, design, prepared)
    told = script.script(_tops(design), script.family_of(design.part), "")
    digest = hashlib.sha256(repr((told, yosys.version(folder))).encode())
    for file in sorted(path for path in prepared.rglob("*") if path.is_file()):
        digest.update(repr((file.relative_to(prepared).as_posix(), file.stat().st_size)).encode() + file.read_bytes())
    return digest.hexdigest()


def _kept(file: Path) -> Counts | None:
    """What was counted before; None where it was not, or where the file is damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(node): {name: int(takes[name]) for name in RESOURCES} for node, takes in found.items()} or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _counted(folders: Sequence[Path], work: Path) -> list[Counts | StepFailed]:
    """By one process; where it fails, by one for each design."""
    try:
        return list(_together(folders, work))
    except StepFailed as error:
        return [error] if len(folders) == 1 else [_counted([folder], work)[0] for folder in folders]


def _together(folders: Sequence[Path], work: Path) -> list[Counts]:
    merged, designs = _emptied(work / "design"), [Design.load(folder) for folder in folders]
    sources, tops = [], []
    for number, (folder, design) in enumerate(zip(folders, designs, strict=True)):
        own = [source for source in design.sources if source != TOP_FILE]
        for name in (*own, *design.data):
            (merged / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, merged / name)
        sources += own
        tops.append(f"top_{number}.sv")
        renamed = (folder / TOP_FILE).read_text(encoding="utf-8")
        renamed = renamed.replace(f"module {design.top}", f"module {design.top}_{number}")
        (merged / tops[-1]).write_text(renamed, encoding="utf-8")
    data = [name for design in designs for name in design.data]
    whole = replace(designs[0], sources=(*dict.fromkeys(sources), *tops), data=tuple(dict.fromkeys(data)))
    family = script.family_of(whole.part)
    flow.prepare(merged, whole, _emptied(work / "yosys"))
    nodes = [_tops(design) for design in designs]
    counts = flow.count(work / "yosys", "layers", [top for each in nodes for top in each], family)
    return [{top.removeprefix("node_"): counts[top] for top in each} for each in nodes]


def _tops(design: Design) -> list[str]:
    return [f"node_{node.name}" for node in design.nodes]


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
