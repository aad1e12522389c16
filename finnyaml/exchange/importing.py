"""The door to this package for recipes: what somebody has in, recipes beside it out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.exchange import configuration, script, settings_file
from finnyaml.exchange.build import Build, File
from finnyaml.exchange.configuration import name_of
from finnyaml.exchange.merging import common_name, merged
from finnyaml.exchange.removed import OPTIONS
from finnyaml.exchange.to_recipe import Draft, copy_files, draft
from finnyaml.exchange.written import text
from finnyaml.finn.catalog import Catalog
from finnyaml.finn.settings import OURS

SCRIPTS = (".py",)


@dataclass(frozen=True)
class Result:
    """What was written, in order; by recipe what to do (`todo`) and what has no counterpart; what to know of all."""

    files: tuple[Path, ...]
    recipes: tuple[tuple[Path, Draft], ...]
    notes: tuple[str, ...]


def import_recipes(
    source: Path,
    arguments: Sequence[str],
    folder: Path | None,
    model: Path | None,
    catalog: Catalog,
    force: bool = False,
    notice: Callable[[str], None] = lambda _: None,
) -> Result:
    """Write the recipes of `source` into `folder` (None: that of the source).

    Raises:
        RecipeError: the source is wrong, or a file would be written over without `force`.
        FinnyamlError: a script started no build.
    """
    source = source.absolute()
    home = source if source.is_dir() else source.parent
    folder = (folder or home).absolute()
    if not source.exists():
        raise RecipeError([Problem(f"there is no {source}")])
    if arguments and source.suffix not in SCRIPTS:
        raise RecipeError([Problem("arguments after -- are for a Python script", hint="leave them out")])
    is_script = source.suffix in SCRIPTS
    data: Any = configuration.load(source) if source.is_file() and not is_script else None
    cleans = settings_file.is_settings(data)
    if model is not None and (is_script or cleans):
        what = "a script names its model itself" if is_script else "this is a folding file"
        raise RecipeError([Problem(f"--model is for configurations: {what}", hint="leave it out")])
    if cleans:
        return _clean(data, source, folder, force)
    with tempfile.TemporaryDirectory(prefix="finnyaml-made-") as kept:
        files: dict[str, str] = {}
        notes: tuple[str, ...] = ()
        if is_script:
            notice(f"running {source.name}, your code, in a copy of its folder, with FINN's builds intercepted")
            ours = _own(folder)
            taken = [entry.name for entry in folder.iterdir() if entry.name not in ours] if folder.is_dir() else []
            imported = script.read(source, arguments, taken, Path(kept) / "files")
            builds, files, notes = list(imported.builds), dict(imported.files), imported.notes
        else:
            builds = configuration.read(source, model.absolute() if model else None)
            known = {*catalog.fields, *OPTIONS, *OURS}
            if not any(build.steps or build.injected or build.values.keys() & known for build in builds):
                raise RecipeError([_unknown(source)])
        return _write(builds, files, notes, folder, source, catalog, force)


def _unknown(source: Path) -> Problem:
    hint = (
        "a configuration has options such as synth_clk_period_ns, a folding file entries such as MVAU_hls_0; FINN's "
        "file of FIFO depths is taken as it is by `fifo: {file: ...}`"
    )
    return Problem(f"{source.name} has no option of FINN, and no entry for a layer", Where(source, 1, 1), hint)


def _own(folder: Path) -> set[str]:
    """Files in a folder that an import has written before."""
    found = set()
    for entry in folder.glob("*.py") if folder.is_dir() else ():
        if entry.is_file() and "finnyaml import" in entry.read_text("utf-8", "replace")[:200]:
            found.add(entry.name)
    return found


def _write(
    builds: Sequence[Build],
    files: dict[str, str],
    notes: Sequence[str],
    folder: Path,
    source: Path,
    catalog: Catalog,
    force: bool,
) -> Result:
    called = _names_of_made(builds, folder)
    found = merged(
        [draft(_placed(build, folder), catalog, folder, called) for build in builds], name_of(None, None, folder)
    )
    drafts: list[tuple[Path, Draft]] = []
    used: dict[str, int] = {}
    for one in found:
        used[one.name] = used.get(one.name, 0) + 1
        one.name = one.name if used[one.name] == 1 else f"{one.name}-{used[one.name]}"
        one.sections["output"] = "build" if len(found) == 1 else f"build/{one.name}"
        drafts.append((folder / ("recipe.yaml" if len(found) == 1 else f"{one.name}.yaml"), one))
    notes = [*notes, *(note for build in builds for note in build.notes)]
    written = [folder / name for name in files]
    targets = [*(path for path, _ in drafts), *written, *(to for _, made in drafts for _, to in made.copies)]
    _make_way(targets, folder, force)
    for path, content in zip(written, files.values(), strict=True):
        path.write_text(content, encoding="utf-8")
    shown_source = Path(os.path.relpath(source, folder)).as_posix()
    for path, made in drafts:
        copy_files(made)
        path.write_text(text(made, shown_source), encoding="utf-8")
    return Result(tuple(dict.fromkeys(targets)), tuple(drafts), tuple(dict.fromkeys(notes)))


def _names_of_made(builds: Sequence[Build], folder: Path) -> dict[Path, str]:
    """What files that a script made are called beside the recipes: by their build, or by what their builds share."""
    users: dict[tuple[str, bytes], list[tuple[Path, str]]] = {}
    for build in builds:
        for file in (build.model, *build.values.values()):
            if isinstance(file, File) and file.made is not None:
                users.setdefault((file.path.name, file.made.read_bytes()), []).append((file.made, build.name))
    found: dict[Path, str] = {}
    for (name, _), listed in users.items():
        start = common_name([build for _, build in listed], name_of(None, None, folder))
        # Two files that have the names of all builds in common would have one name.
        alone = [other for other, _ in users if other == name] == [name]
        found |= {made: f"{start if alone else build}.{name}" for made, build in listed}
    return found


def _clean(data: Mapping[str, Any], source: Path, folder: Path, force: bool) -> Result:
    """Write a settings file with present names."""
    files, said = settings_file.cleaned(data, source, folder)
    _make_way(list(files), folder, force)
    for path, content in files.items():
        path.write_text(content, encoding="utf-8")
    return Result(tuple(files), (), tuple(said))


def _make_way(targets: Sequence[Path], folder: Path, force: bool) -> None:
    """Make the folder. RecipeError where a file would be written over."""
    present = [path for path in targets if path.exists()]
    if present and not force:
        shown = ", ".join(path.name for path in present)
        hint = "-o names another folder, --force writes over"
        raise RecipeError([Problem(f"{shown} {'exists' if len(present) == 1 else 'exist'} in {folder}", hint=hint)])
    folder.mkdir(parents=True, exist_ok=True)


def _placed(build: Build, folder: Path) -> Build:
    """A build whose code is named relative to the recipe."""

    def moved(uses: str | None) -> str | None:
        if uses is None or not uses.startswith("/"):
            return uses
        file, _, function = uses.rpartition(":")
        return f"{Path(os.path.relpath(file, folder)).as_posix()}:{function}"

    steps = build.steps and tuple(replace(step, uses=moved(step.uses)) for step in build.steps)
    injected = {
        side: {
            anchor: tuple(replace(step, uses=moved(step.uses)) for step in listed) for anchor, listed in table.items()
        }
        for side, table in build.injected.items()
    }
    return replace(build, steps=steps, injected=injected)
