"""The folder a user looks into, laid out as FINN users know it. Materialised from the store; never a source of truth.

    intermediate_models/<step>.onnx    the model after each step; weights/ beside it has what large ones share
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import takewhile
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
from finnyaml.files import content, discard, umask
from finnyaml.finn.aliases import short
from finnyaml.plan.graph import Plan
from finnyaml.plan.status import Built
from finnyaml.recipe.model import Recipe
from finnyaml.store import Entry, ObjectDamaged, Store, streams, tensors
from finnyaml.store.digests import digest_of
from finnyaml.store.model import Part

_PLACEHOLDER = b"@@finnyaml:"
MANIFEST = "workspace.json"
BUILD = "build.json"

MODEL = "model.onnx"
"""The model of a task, in the tree of its files."""

MODELS = "intermediate_models/"
APART = 1 << 25
"""From so many bytes of large tensors on, models share the files of these tensors (ONNX's external data)."""


@dataclass(frozen=True)
class Wanted:
    """One file of the workspace: a stored file with the roots its paths refer to, text made here, or stored logs.

    `apart`: the large tensors of this model lie in files beside it. `logs` are headings with the log below each.
    """

    entry: Entry | None = None
    relative: str = ""
    target: str = ""
    text: str = ""
    apart: bool = False
    logs: tuple[tuple[str, str], ...] = ()


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
    which = {"recipe": os.path.relpath(path, os.path.realpath(recipe.workspace)), "name": recipe.name}
    return {**which, **({"variant": recipe.variant} if recipe.variant else {}), "set": list(sets)}


def check_owner(recipe: Recipe) -> None:
    """Refuse to write over what another recipe file has built, as long as there is that file. Raises RecipeError.

    Also below what the recipe itself has built before it had a matrix.
    """
    _check_owner(recipe, recipe.workspace)
    if recipe.variant is not None:
        _check_owner(recipe, recipe.output)
        if _load_manifest(recipe.output):
            message = f"the folder {recipe.output} holds what {recipe.path.name} has built without `matrix:`, and the "
            message += "workspaces of its variants would lie among that"
            hint = f"empty it first: `finnyaml clean {recipe.path.name}`"
            raise RecipeError([Problem(message, recipe.at(("output",)), hint)])


def former(recipe: Recipe) -> Iterator[Path]:
    """Workspaces that a recipe has had, and has no longer: of other variants, or from before it had a matrix."""
    if recipe.variant is not None and _is_of(recipe, recipe.output):
        yield recipe.output
    for path in sorted(recipe.output.glob(f"*/.finnyaml/{MANIFEST}")):
        root, build = path.parents[1], load_json(path).get("build")
        if _is_of(recipe, root) and isinstance(build, dict) and build.get("variant") not in (None, *recipe.variants):
            yield root


def _owner(root: Path) -> Path | None:
    """The recipe file that a workspace names, whether it is there or not."""
    build = load_json(private(root) / MANIFEST).get("build")
    owner = build.get("recipe") if isinstance(build, dict) else None
    return Path(os.path.normpath(root.resolve() / owner)) if isinstance(owner, str) else None


def _is_of(recipe: Recipe, root: Path) -> bool:
    owner = _owner(root)
    return owner is not None and owner.is_file() and owner.samefile(recipe.path)


def _check_owner(recipe: Recipe, root: Path) -> None:
    other = _owner(root)
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
    wanted = {path: item for name, end in ends.items() for path, item in _layout(plan, built, name, end)}
    complete = {name for name, end in ends.items() if end == plan.targets[name]}
    if manifest.keys() - wanted.keys() - {BUILD}:
        stays, more = _staying(plan, held, manifest, wanted)
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
    plan: Plan, held: Mapping[str, Built], manifest: Mapping[str, Any], wanted: Mapping[str, Wanted]
) -> tuple[dict[str, Wanted], set[str]]:
    """Files of earlier builds that are as this one would make them, and the targets that are complete with them."""
    stays: dict[str, Wanted] = {}
    complete = set()
    several = len(plan.targets) > 1
    for name, target in plan.targets.items():
        end = furthest(plan, held, target)
        if end is None:
            continue
        layout = dict(_layout(plan, held, name, end))
        stays |= {path: item for path, item in layout.items() if manifest.get(path, [])[:1] == [_identity(item)]}
        there = (path in stays or path in wanted or is_bundle(path, several=several) for path in layout)
        if end == target and all(there):
            complete.add(name)
    return stays, complete


def furthest(plan: Plan, held: Mapping[str, Built], target: str) -> str | None:
    """The last step on the way to a target that is there."""
    within = plan.ancestors([target]).intersection(held)
    return next((name for name in reversed([*plan.tasks]) if name in within and plan.tasks[name].is_step), None)


def _layout(plan: Plan, built: Mapping[str, Built], name: str, end: str) -> Iterator[tuple[str, Wanted]]:
    """Every file of one target by its place in the workspace."""
    folder = name if len(plan.targets) > 1 else ""
    for relative, item in _of_target(plan, built, end):
        yield (f"{folder}/{relative}" if folder else relative), replace(item, target=folder)


def _of_target(plan: Plan, built: Mapping[str, Built], end: str) -> Iterator[tuple[str, Wanted]]:
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
            yield from _model(f"{MODELS}{named}.onnx", model, MODEL)
    for path, entry in built[end].tree.items():
        if path.startswith(f"out/{MODELS}"):
            yield from _model(path.removeprefix("out/"), entry, path)
        elif path.startswith("out/"):
            yield path.removeprefix("out/"), Wanted(entry, path)
        elif path.startswith("build/"):
            yield f"finn_build/{path.removeprefix('build/')}", Wanted(entry, path)
    for point in points:
        for path, entry in built[point].artifact.files.items():
            yield path.removeprefix("out/"), Wanted(entry, path)
    times = {task.id: round(built[task.id].trace.seconds, 3) for task in chain}
    times["total_build_time"] = round(sum(times.values()), 3)
    yield "time_per_step.json", _document(times)
    logs = tuple((f"{task.id} ({task.uses})", built[task.id].trace.log) for task in chain)
    yield "build_dataflow.log", Wanted(logs=logs)


def _model(path: str, entry: Entry, relative: str) -> Iterator[tuple[str, Wanted]]:
    """A model by its place in the layout. Large ones leave their weights to files that all in one folder share."""
    apart = sum(part.size for part in entry.parts) >= APART
    yield path, Wanted(entry, relative, apart=apart)
    if apart:
        folder = path.rpartition("/")[0]
        for part in entry.parts:  # read-only: an edit would change several models
            yield f"{folder}/{_weights(part)}", Wanted(Entry(part.digest, part.digest, 0o444))


def _weights(part: Part) -> str:
    """Where a tensor lies, as seen from its model. (`onnx` reads no links, and nothing outside the model's folder.)"""
    return f"weights/{part.digest[:32]}.bin"


def _joined(logs: Sequence[tuple[str, str]], store: Store) -> Iterator[bytes]:
    for number, (heading, log) in enumerate(logs):
        yield (b"\n" if number else b"") + f"==== {heading}\n".encode()
        try:
            yield from store.chunks(log) if log else ()
        except ObjectDamaged:  # a log is not worth building its step again
            yield b"(this log was damaged in the store)\n"


def _put(root: Path, relative: str, item: Wanted, store: Store) -> None:
    if item.entry is not None:
        checkout(root / relative, item.relative, item.entry, root / item.target, store, apart=item.apart)
        return
    _make_room(root / relative)
    streams.write(root / relative, _joined(item.logs, store) if item.logs else [item.text.encode()])


def checkout(path: Path, relative: str, entry: Entry, root: Path, store: Store, *, apart: bool = False) -> None:
    """Write the stored file `relative` of a tree to `path`; what it says of other files is as if it lay in `root`.

    `apart`: leave the large tensors of a model to the files beside it that `write` lays there.

    Raises:
        ObjectDamaged: the store cannot give it.
    """
    _make_room(path)
    if entry.parts:
        frame = store.read(entry.blob)
        if _PLACEHOLDER in frame:
            from finnyaml.worker.content import revealed

            frame = revealed(frame, _folders(root))
        shared = [tensors.beside(frame, entry.parts, _weights)] if apart else None
        streams.write(path, shared or store.content(entry, frame))
    elif entry.pinned is None and _names_places(relative, store.chunks(entry.blob)):
        from finnyaml.worker.content import reveal

        streams.write(path, reveal(relative, entry, store, _folders(root)))
    else:
        store.copy(entry.blob, path)
    path.chmod(entry.mode & ~umask())


def _names_places(relative: str, content: Iterator[bytes]) -> bool:
    """Whether a file has placeholders: only texts and models can."""
    if not relative.endswith(".onnx"):
        content = takewhile(lambda chunk: b"\0" not in chunk, content)
    return streams.holds(content, _PLACEHOLDER)


def _make_room(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # a link, not what it leads to


def _folders(root: Path) -> dict[bytes, bytes]:
    """Placeholders, and what they are for files that lie in `root`."""
    from finnyaml.finn import identity

    folders = {f"@@finnyaml:{name}@@".encode(): str(path).encode() for name, path in identity.folders().items()}
    work = b"@@finnyaml:work@@"
    here = str(root.resolve()).encode()
    return {work + b"/out": here, work + b"/build": here + b"/finn_build", work: here, **folders}


def _remove(root: Path, relative: str) -> None:
    path = root / relative
    if not path.is_dir() or path.is_symlink():  # a folder that was put in its place is not ours
        with suppress(FileNotFoundError, NotADirectoryError):  # nor a file in the place of its folder
            path.unlink()
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
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]  # also what the quick path compares


def _identity(item: Wanted) -> str:
    if item.entry is not None:
        return f"{item.entry.blob} apart" if item.apart else item.entry.blob
    return digest_of(item.logs) if item.logs else hashlib.sha256(item.text.encode()).hexdigest()


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
