"""The folder a user looks into, laid out as FINN users know it. Materialised from the store; never a source of truth.

    intermediate_models/<step>.onnx    the model after each step
    report/ stitched_ip/ bitfile/ driver/ deploy/ verification_output/ ...   what the steps wrote into output_dir
    verification/<step>.npz, .json     outputs of the model after each step, sample by sample; what was measured
    bundle/<name>/, <name>.tar.gz      the deployment bundle, if it was asked for
    finn_build/                        code generation, simulation and synthesis folders (FINN_BUILD_DIR)
    build_dataflow.log, time_per_step.json
    build.json                         whose all this is: recipe, overrides, digest of the files
    .finnyaml/                         runs, the record of the last build, bundles that were set aside

A recipe with several targets gets one such layout per target, in a folder of the target's name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finnyaml.engine.deliveries import (
    ASIDE,
    delivered,
    facts_of,
    found_aside,
    is_bundle,
    put_back,
    set_aside,
)
from finnyaml.engine.inside import refuse_links
from finnyaml.errors import Problem, RecipeError
from finnyaml.files import content, discard
from finnyaml.finn.aliases import short
from finnyaml.plan.graph import Plan
from finnyaml.plan.status import Built
from finnyaml.recipe.model import Recipe
from finnyaml.store import Entry, ObjectDamaged, Store
from finnyaml.store.digests import digest_of

MANIFEST = "workspace.json"
BUILD = "build.json"

MODEL = "model.onnx"
"""The model of a task, in the tree of its files."""


@dataclass(frozen=True)
class Wanted:
    """One file of the workspace: a stored file with the roots its paths refer to, or text made here."""

    entry: Entry | None = None
    relative: str = ""
    target: str = ""
    text: str = ""


@dataclass(frozen=True)
class Written:
    """What became of a workspace."""

    files: int = 0
    """How many were written."""
    aside: Mapping[str, Path] = field(default_factory=dict)
    """Bundles of other builds that had been completed by hand, and where they lie now."""
    back: tuple[str, ...] = ()
    """Bundles of this build that had been set aside, and lie in their place again."""
    build: Mapping[str, Any] = field(default_factory=dict)
    """Whose it is now: what build.json says."""


def _document(data: Any) -> Wanted:
    return Wanted(text=json.dumps(data, indent=2) + "\n")


def private(workspace: Path) -> Path:
    """Where finnyaml keeps its own records of a workspace."""
    return workspace / ".finnyaml"


def folder_of(plan: Plan, task: str) -> Path:
    """Where in the workspace the files of a task lie: with several targets, in the folder of the first that has it."""
    root, step = plan.recipe.workspace, plan.tasks[task].checks or task
    within = (name for name, end in plan.targets.items() if step in plan.ancestors([end]))
    return root / next(within, "") if len(plan.targets) > 1 else root


def named(recipe: Recipe, sets: Sequence[str]) -> dict[str, Any]:
    """What tells a build from others in the same workspace: the recipe file, as seen from there, and the overrides."""
    # Where both really are: two recipes may have a link to the same folder.
    path = os.path.join(os.path.realpath(recipe.directory), recipe.path.name)
    return {"recipe": os.path.relpath(path, os.path.realpath(recipe.workspace)), "name": recipe.name, "set": list(sets)}


def check_owner(recipe: Recipe) -> None:
    """Refuse to write over what another recipe file has built, as long as there is that file. Raises RecipeError."""
    root = recipe.workspace
    build = load_json(private(root) / MANIFEST).get("build")
    owner = build.get("recipe") if isinstance(build, dict) else None
    other = Path(os.path.normpath(root.resolve() / owner)) if isinstance(owner, str) else None
    if other is None or not other.is_file() or other.samefile(recipe.path):
        return
    shown = os.path.relpath(other, os.path.realpath(recipe.directory))
    message = f"the workspace {root} holds what {shown} builds: {recipe.path.name} would replace it, and two recipes "
    message += "cannot share one workspace"
    own = f"output: build-{recipe.path.stem}"
    hint = f"give one of them its own, such as `{own}`; or empty it: `finnyaml clean {shown}`"
    raise RecipeError([Problem(message, recipe.at(("output",)), hint)])


def check_links(workspace: Path) -> None:
    """Refuse a workspace where what finnyaml wrote is behind a link by now. Raises FinnyamlError."""
    own = private(workspace)
    refuse_links(workspace, [f"{own.name}/{name}/" for name in ("x", "runs/x", f"{ASIDE}/x")])
    refuse_links(workspace, _load_manifest(workspace))


def holds_bundle(plan: Plan) -> bool:
    """Whether an earlier build left a bundle in the workspace of this plan."""
    several = len(plan.targets) > 1
    return any(is_bundle(path, several=several) for path in _load_manifest(plan.recipe.workspace))


def write(
    plan: Plan,
    built: Mapping[str, Built],
    held: Mapping[str, Built],
    store: Store,
    ends: Mapping[str, str],
    build: Mapping[str, Any],
) -> Written:
    """Bring the workspace in line with what is built; afterwards all in it is of this one build.

    `ends` maps each target to write to the task that it is built up to. `held` is all that is known of the plan
    (`holding`): files of earlier builds stay where they are of it (a bundle, another target, later steps), and go where
    they are not. `build` names the build (`named`). Files that finnyaml did not write are left alone. A bundle stays as
    it is where somebody attached a bitfile to it since this build made it; one of another build is set aside.

    Raises:
        ObjectDamaged: a stored file cannot be given; it has to be built again.
        RecipeError: meanwhile the workspace is another recipe's.
        FinnyamlError: a folder in it is a link.
        OSError: the workspace cannot be written.
    """
    check_owner(plan.recipe)
    root = plan.recipe.workspace
    check_links(root)
    manifest = _load_manifest(root)
    wanted = {path: item for name, end in ends.items() for path, item in _layout(plan, built, name, end, store)}
    complete = {name for name, end in ends.items() if end == plan.targets[name]}
    if manifest.keys() - wanted.keys() - {BUILD}:
        stays, more = _staying(plan, held, store, manifest, wanted)
        wanted, complete = {**stays, **wanted}, complete | more
    digest = digest_of({path: _identity(item) for path, item in wanted.items()})
    build = {**build, "targets": [name for name in plan.targets if name in complete], "digest": digest}
    wanted.setdefault(BUILD, _document(build))
    refuse_links(root, wanted)
    identities = {path: _identity(item) for path, item in wanted.items()}
    several = len(plan.targets) > 1
    found = delivered(root, {**dict.fromkeys(manifest), **identities}, several=several)
    aside = {folder: set_aside(root, folder, private(root)) for folder in found.outdated}
    back = _put_back(root, manifest, identities, found.kept, several=several)
    kept = (*found.kept, *back)
    changed = [
        path
        for path, identity in identities.items()
        if not path.startswith(kept) and manifest.get(path) != [identity, *_signature(root / path)]
    ]
    gone = manifest.keys() - wanted.keys()
    if changed or gone:  # a build that is killed here leaves nothing that the next one does not know of
        _save_manifest(root, {"recipe": build["recipe"]}, {**manifest, **{path: [] for path in changed}})
    for path in gone:
        _remove(root, path)
        del manifest[path]
    for path in changed:
        _put(root, path, wanted[path], store)
        manifest[path] = [identities[path], *_signature(root / path)]
    _save_manifest(root, build, manifest)
    return Written(len([path for path in changed if path != BUILD]), aside, tuple(back[::2]), build)


def _put_back(
    root: Path, manifest: dict[str, Any], identities: Mapping[str, str], kept: tuple[str, ...], *, several: bool
) -> list[str]:
    """Bring back what was set aside and is of this build: beginnings of its paths, as of `Delivered.kept`."""
    back: list[str] = []
    for path in facts_of(identities, several=several):
        folder = os.path.dirname(path)
        here = (f"{folder}/", f"{folder}.tar.gz")
        place = None if path.startswith(kept) else found_aside(folder, identities[path], private(root))
        if place is None:
            continue
        for other in [name for name in manifest if name.startswith(here)]:
            _remove(root, other)
        if not os.path.lexists(root / folder) and put_back(place, root / folder):
            back += here
            mine = [name for name in identities if name.startswith(here)]
            manifest.update({name: [identities[name], *_signature(root / name)] for name in mine})
    return back


def _staying(
    plan: Plan, held: Mapping[str, Built], store: Store, manifest: Mapping[str, Any], wanted: Mapping[str, Wanted]
) -> tuple[dict[str, Wanted], set[str]]:
    """Files of earlier builds that are as this one would make them, and the targets that are complete with them."""
    stays: dict[str, Wanted] = {}
    complete = set()
    several = len(plan.targets) > 1
    for name, target in plan.targets.items():
        end = _furthest(plan, held, target)
        if end is None:
            continue
        layout = dict(_layout(plan, held, name, end, store))
        stays |= {path: item for path, item in layout.items() if manifest.get(path, [])[:1] == [_identity(item)]}
        there = (path in stays or path in wanted or is_bundle(path, several=several) for path in layout)
        if end == target and all(there):
            complete.add(name)
    return stays, complete


def _furthest(plan: Plan, held: Mapping[str, Built], target: str) -> str | None:
    """The last step on the way to a target that is there."""
    within = plan.ancestors([target]).intersection(held)
    return next((name for name in reversed([*plan.tasks]) if name in within), None)


def _layout(plan: Plan, built: Mapping[str, Built], name: str, end: str, store: Store) -> Iterator[tuple[str, Wanted]]:
    """Every file of one target by its place in the workspace."""
    folder = name if len(plan.targets) > 1 else ""
    for relative, item in _of_target(plan, built, end, store):
        yield (f"{folder}/{relative}" if folder else relative), replace(item, target=folder)


def _of_target(plan: Plan, built: Mapping[str, Built], end: str, store: Store) -> Iterator[tuple[str, Wanted]]:
    """Every file of one target by its place in the layout."""
    needed = plan.ancestors([end])
    chain = [task for name, task in plan.tasks.items() if name in needed and task.is_step]
    points = [
        task.id
        for task in plan.tasks.values()
        if not task.is_step
        and task.id in built
        and task.checks in (None, *needed)
        and task.kind != "contract"  # its files are parts of the bundle
    ]
    for task in chain:
        model = built[task.id].tree.get(MODEL)
        if model is not None:
            named = task.uses if task.kind in ("finn", "finn_open") and task.id == short(task.uses) else task.id
            yield f"intermediate_models/{named}.onnx", Wanted(model, MODEL)
    for path, entry in built[end].tree.items():
        if path.startswith("out/"):
            yield path.removeprefix("out/"), Wanted(entry, path)
        elif path.startswith("build/"):
            yield f"finn_build/{path.removeprefix('build/')}", Wanted(entry, path)
    for point in points:
        for path, entry in built[point].artifact.files.items():
            yield path.removeprefix("out/"), Wanted(entry, path)
    times = {task.id: round(built[task.id].trace.seconds, 3) for task in chain}
    times["total_build_time"] = round(sum(times.values()), 3)
    yield "time_per_step.json", _document(times)
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
    if item.entry is not None:
        checkout(root / relative, item.relative, item.entry, root / item.target, store)
        return
    _make_room(root / relative)
    (root / relative).write_text(item.text)


def checkout(path: Path, relative: str, entry: Entry, root: Path, store: Store) -> None:
    """Write the stored file `relative` of a tree to `path`; what it says of other files is as if it lay in `root`.

    Raises:
        ObjectDamaged: the store cannot give it.
    """
    data = store.read(entry.blob)
    if b"@@finnyaml:" in data and entry.pinned is None:
        data = _revealed(relative, data, root)
    _make_room(path)
    path.write_bytes(data)
    path.chmod(entry.mode)


def _make_room(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # a link, not what it leads to


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
    if not path.is_dir() or path.is_symlink():  # a folder that was put in its place is not ours
        path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == root:
            break
        try:
            folder.rmdir()
        except OSError:
            break


def clean(workspace: Path) -> int:
    """Remove what finnyaml wrote into a workspace, and its records; returns how many files.

    Others' files stay, and so do bundles that were completed by hand and set aside.

    Raises:
        FinnyamlError: a folder in it is a link now.
    """
    check_links(workspace)
    manifest = _load_manifest(workspace)
    for relative in manifest:
        _remove(workspace, relative)
    for path in private(workspace).glob("*"):
        if path.name != ASIDE:
            discard(path)
    for folder in (private(workspace), workspace):
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
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
    data = load_json(private(root) / MANIFEST)
    files = data.get("files")
    if not isinstance(files, dict):
        return {}
    moved = data.get("root") != str(root.resolve())
    return {
        path: state[:1] if moved else state
        for path, state in files.items()
        if isinstance(state, list) and not Path(path).is_absolute() and ".." not in Path(path).parts
    }


def _save_manifest(root: Path, build: Mapping[str, Any], files: Mapping[str, Any]) -> None:
    data = {"root": str(root.resolve()), "build": build, "files": files}
    write_json(private(root) / MANIFEST, data, indent=None)


def load_json(path: Path) -> dict[str, Any]:
    """An object in a JSON file; empty where there is none to be read."""
    try:
        data = json.loads(content(path))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: Any, indent: int | None = 1) -> None:
    """Write a JSON file aside and move it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    discard(aside)
    aside.write_text(json.dumps(data, indent=indent, default=str) + "\n")
    try:
        aside.replace(path)
    except IsADirectoryError:
        discard(path)
        aside.replace(path)
