"""What must hold in the section `bundle` beyond its structure: its templates are there, its files stay inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from finnyaml.errors import Problem
from finnyaml.recipe.model import Pointer, Recipe, Vocabulary
from finnyaml.recipe.paths import check_file, check_folder, is_file, too_long
from finnyaml.text import did_you_mean, quoted


def check_bundle(recipe: Recipe, known: Vocabulary) -> Iterator[Problem]:
    """All problems of the section `bundle`, in no particular order."""
    bundle = recipe.bundle
    if bundle is None:
        return
    for name in bundle.vars:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)):
            where = recipe.at(("bundle", "vars", name))
            yield Problem(f"{quoted(str(name))} cannot be a name in bundle.vars", where, "letters, digits and _ only")
    if bundle.templates is None:
        return
    missing = check_folder(recipe, ("bundle", "templates"), bundle.templates)
    yield from missing
    written = recipe.resolved["bundle"].get("files", [])
    found = () if missing else bundle.templates.iterdir()
    present = sorted(file.name for file in found if file.suffix == ".j2" and is_file(file))
    targets: set[str] = set()
    for index, item in enumerate(written):
        pointer: Pointer = ("bundle", "files", index)
        template, to = filled(item)
        if not _inside(template):
            yield Problem(f"{quoted(template)} leads out of the folder of templates", recipe.at(pointer))
            continue
        if not missing and template not in present:
            for problem in check_file(recipe, pointer, bundle.templates / template):
                yield replace(problem, hint=did_you_mean(template, present) or problem.hint)
        if not _inside(to):
            yield Problem(f"{quoted(to)} leads out of the bundle", recipe.at(pointer), "name a file below its folder")
        elif part := too_long(to):
            yield Problem(
                f"no file can have so long a name: {quoted(part)}", recipe.at(pointer), "choose a shorter one"
            )
        elif to in known.bundle_files:
            hint = f"a template {to}.j2 in that folder takes the place of the built-in one by itself"
            yield Problem(f"{quoted(to)} is in every bundle", recipe.at(pointer), hint)
        elif to in known.bundle_reserved:
            yield Problem(f"{quoted(to)} is in every bundle", recipe.at(pointer), "choose another name")
        elif PurePosixPath(to).parts[0] in known.bundle_reserved:
            message = f"the folder {PurePosixPath(to).parts[0]}/ of a bundle is finnyaml's"
            yield Problem(message, recipe.at(pointer), "choose another folder")
        if to in targets:
            yield Problem(f"{quoted(to)} is to be written twice", recipe.at(pointer), "give one of them another `to`")
        targets.add(to)


def filled(item: Any) -> tuple[str, str]:
    """An entry of `bundle.files`: the template, and the file of the bundle that it fills."""
    entry = {"template": item} if isinstance(item, str) else item
    to = entry.get("to", entry["template"].removesuffix(".j2"))
    return entry["template"], str(PurePosixPath(to)) if to else to


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts) and "\\" not in name
