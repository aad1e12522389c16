"""The folder a user looks into, laid out as FINN users know it. Materialised from the store; never a source of truth.

    intermediate_models/<step>.onnx    the model after each step
    report/ stitched_ip/ bitfile/ driver/ deploy/ verification_output/ ...   what the steps wrote into output_dir
    verification/<step>.npz, .json     what the model answered after each step, sample by sample; what was measured
    bundle/<name>/, <name>.tar.gz      the deployment bundle, if it was asked for
    finn_build/                        code generation, simulation and synthesis folders (FINN_BUILD_DIR)
    build_dataflow.log, time_per_step.json
    .finnyaml/                         runs, the record of the last build

A recipe with several targets gets one such layout per target, in a folder of the target's name.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finnyaml.engine.deliveries import delivered, is_bundle
from finnyaml.finn.aliases import short
from finnyaml.plan.graph import Plan
from finnyaml.plan.status import Built
from finnyaml.store import Entry, ObjectDamaged, Store

PRIVATE = ".finnyaml"
MANIFEST = "workspace.json"


@dataclass(frozen=True)
class Wanted:
    """One file of the workspace: a stored file with the roots its paths refer to, or text made here."""

    entry: Entry | None = None
    relative: str = ""
    target: str = ""
    text: str = ""


def private(workspace: Path) -> Path:
    """Where finnyaml keeps its own records of a workspace."""
    return workspace / PRIVATE


def write(
    plan: Plan,
    built: Mapping[str, Built],
    seconds: Mapping[str, float],
    store: Store,
    ends: Mapping[str, str],
    *,
    partial: bool,
) -> tuple[int, tuple[str, ...]]:
    """Bring the workspace in line with what is built.

    Returns:
        how many files were written, and the bundles that had been completed by hand and were made anew.

    `ends` maps each target to write to the task that it is built up to; a `partial` build leaves the files of later
    steps. Files that finnyaml has no use for are left alone; those it wrote and that are no longer wanted go. A bundle
    stays where none is asked for, and as it is where somebody attached a bitfile to it since this build made it.

    Raises:
        ObjectDamaged: a stored file cannot be given; it has to be built again.
        OSError: the workspace cannot be written.
    """
    root = plan.recipe.workspace
    several = len(plan.targets) > 1
    manifest = _load_manifest(root)
    wanted: dict[str, Wanted] = {}
    for name, end in ends.items():
        folder = name if several else ""
        for relative, item in _of_target(plan, built, seconds, end, store):
            wanted[f"{folder}/{relative}" if folder else relative] = replace(item, target=folder)
    replaced = tuple(f"{name}/" if several else "" for name in ends)
    known_targets = tuple(f"{name}/" for name in plan.targets) if several else ("",)
    identities = {relative: _identity(item) for relative, item in wanted.items()}
    found = delivered(root, identities, several=several)
    for folder in found.outdated:
        shutil.rmtree(root / folder)
    for relative in manifest.keys() - wanted.keys():
        if is_bundle(relative, several=several) and plan.recipe.bundle is None:
            continue
        if partial or (not relative.startswith(replaced or ("\0",)) and relative.startswith(known_targets)):
            continue  # a later step's, or another target's: as it was built last
        _remove(root, relative)
        del manifest[relative]
    written = 0
    for relative, item in wanted.items():
        if relative.startswith(found.kept):
            continue
        identity = identities[relative]
        if manifest.get(relative) != [identity, *_signature(root / relative)]:
            _put(root, relative, item, store)
            manifest[relative] = [identity, *_signature(root / relative)]
            written += 1
    _save(private(root) / MANIFEST, {"root": str(root.resolve()), "files": manifest})
    return written, found.outdated


def _of_target(
    plan: Plan, built: Mapping[str, Built], seconds: Mapping[str, float], end: str, store: Store
) -> Iterator[tuple[str, Wanted]]:
    """Every file of one target by its place in the layout."""
    needed = plan.ancestors([end])
    chain = [task for name, task in plan.tasks.items() if name in needed and task.is_step]
    points = [task.id for task in plan.tasks.values() if not task.is_step and task.id in built]
    points = [point for point in points if plan.tasks[point].checks in (None, *needed)]
    points = [point for point in points if plan.tasks[point].kind != "contract"]  # its files are parts of the bundle
    for task in chain:
        model = built[task.id].tree.get("model.onnx")
        if model is not None:
            named = task.uses if task.kind in ("finn", "finn_open") and task.id == short(task.uses) else task.id
            yield f"intermediate_models/{named}.onnx", Wanted(model, "model.onnx")
    for path, entry in built[end].tree.items():
        if path.startswith("out/"):
            yield path.removeprefix("out/"), Wanted(entry, path)
        elif path.startswith("build/"):
            yield f"finn_build/{path.removeprefix('build/')}", Wanted(entry, path)
    for point in points:
        for path, entry in built[point].artifact.files.items():
            yield path.removeprefix("out/"), Wanted(entry, path)
    times = {task.id: round(seconds[task.id], 3) for task in chain}
    times["total_build_time"] = round(sum(times.values()), 3)
    yield "time_per_step.json", Wanted(text=json.dumps(times, indent=2) + "\n")
    yield "build_dataflow.log", Wanted(text=_whole_log(chain, built, store))


def _whole_log(chain: Iterable[Any], built: Mapping[str, Built], store: Store) -> str:
    parts = []
    for task in chain:
        log = built[task.id].trace.log
        try:
            text = store.read(log).decode(errors="replace") if log else ""
        except ObjectDamaged:  # a log is not worth building its step again
            text = "(this log was damaged in the store)\n"
        parts.append(f"==== {task.id} ({task.uses})\n{text}")
    return "\n".join(parts)


def _put(root: Path, relative: str, item: Wanted, store: Store) -> None:
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if item.entry is None:
        path.write_text(item.text)
        return
    data = store.read(item.entry.blob)
    if b"@@finnyaml:" in data and item.entry.pinned is None:
        data = _revealed(item.relative, data, root / item.target)
    path.write_bytes(data)
    path.chmod(item.entry.mode)


def _revealed(relative: str, data: bytes, root: Path) -> bytes:
    """Stored content with its placeholders turned into paths of the workspace."""
    from finnyaml.finn import identity
    from finnyaml.worker.content import reveal

    folders = {f"@@finnyaml:{name}@@".encode(): str(path).encode() for name, path in identity.folders().items()}
    work = b"@@finnyaml:work@@"
    here = str(root.resolve()).encode()
    return reveal(
        relative, data, {work + b"/out": here, work + b"/build": here + b"/finn_build", work: here, **folders}
    )


def _remove(root: Path, relative: str) -> None:
    path = root / relative
    if not path.parent.resolve().is_relative_to(root.resolve()):
        return  # a link was put in its way; what is behind it is not ours
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == root:
            break
        try:
            folder.rmdir()
        except OSError:
            break


def clean(workspace: Path) -> int:
    """Remove what finnyaml wrote into a workspace, and its records; returns how many files. Others' files stay."""
    manifest = _load_manifest(workspace)
    for relative in manifest:
        _remove(workspace, relative)
    shutil.rmtree(private(workspace), ignore_errors=True)
    if workspace.is_dir() and not any(workspace.iterdir()):
        workspace.rmdir()
    return len(manifest)


def _signature(path: Path) -> list[int]:
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _identity(item: Wanted) -> str:
    return item.entry.blob if item.entry else hashlib.sha256(item.text.encode()).hexdigest()


def _load_manifest(root: Path) -> dict[str, Any]:
    """What finnyaml wrote into a workspace. In one that was moved, all is written anew: some files name their place."""
    data = _load(private(root) / MANIFEST)
    files = data.get("files")
    if not isinstance(files, dict):
        return {}
    moved = data.get("root") != str(root.resolve())
    return {
        path: [] if moved else state
        for path, state in files.items()
        if not Path(path).is_absolute() and ".." not in Path(path).parts
    }


def _load(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _save(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(data))
    aside.replace(path)
