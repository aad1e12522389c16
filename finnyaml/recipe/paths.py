"""The files that a recipe names: where they are, whether they are there, and what was meant by one that is not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from finnyaml.errors import Problem
from finnyaml.files import kind_of, reading
from finnyaml.recipe.model import Pointer, Recipe
from finnyaml.recipe.words import dotted
from finnyaml.text import did_you_mean, quoted

_BEGINS = re.compile(rb"""^(?:\{\s*)?["']?(?:model|extends)["']?\s*:""", re.MULTILINE)
"""What a recipe says and hardly another YAML file does: what it builds from."""


_LONGEST_NAME = 255
"""Of a file, in bytes; that is what file systems of Linux take."""

LONGEST_ID = 100
"""Of what files are named after, in bytes: they have more before it and behind."""


def too_long(path: str | Path) -> str | None:
    """The part of a path that no file can be named; None where there is none."""
    return next((part for part in Path(path).parts if len(os.fsencode(part)) > _LONGEST_NAME), None)


def located(folder: Path, text: str) -> Path:
    """The absolute path of `text` as written in a file in `folder`."""
    path = (folder / text).absolute()
    tidy = Path(os.path.normpath(path))
    # `link/..` is not always where `link` is, so `..` stays where leaving it out would change the meaning.
    return tidy if tidy == path or os.path.realpath(tidy) == os.path.realpath(path) else path


def is_file(path: Path) -> bool:
    """Whether there is such a file; False, too, for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; False, too, for a name that no folder can have."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def similar_file(path: Path) -> str | None:
    """A hint for the missing file `path`: the nearest name in its folder, or that the folder is missing."""
    return _similar(path, lambda entry: True, 20)


def similar_recipe(path: Path) -> str | None:
    """A hint for the missing recipe `path`: as `similar_file`, but of the recipes in its folder."""
    return _similar(path, _is_recipe, 5)


def _similar(path: Path, counts: Callable[[Path], bool], few: int) -> str | None:
    try:
        return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir() if counts(entry)], few=few)
    except FileNotFoundError:
        return f"there is no folder {quoted(path.parent)}"
    except (OSError, ValueError):
        return None


def check_file(recipe: Recipe, pointer: Pointer, path: Path | None) -> list[Problem]:
    """What is wrong with the file `path`, named at `pointer`; nothing where the recipe names none, or fetches it."""
    there = path is None or str(path) in recipe.downloads or is_file(path)
    return [] if there or path is None else [_wrong(recipe, pointer, path, "file")]


def check_folder(recipe: Recipe, pointer: Pointer, path: Path) -> list[Problem]:
    """What is wrong with the folder `path`, named at `pointer`."""
    return [] if is_folder(path) else [_wrong(recipe, pointer, path, "folder")]


def _wrong(recipe: Recipe, pointer: Pointer, path: Path, what: str) -> Problem:
    """That there is no such file or folder (`what`), or what is there instead."""
    shown = quoted(Path(os.path.relpath(path, recipe.directory)))  # as recipes write paths
    if found := kind_of(path):
        message = f"{dotted(pointer)}: {shown} is {found}, not a {what}"
        return Problem(message, recipe.at(pointer), f"put a {what} there, or name another")
    hint = similar_file(Path(os.path.normpath(path)))
    if "~" in path.parts:
        hint = "~ is not expanded: declare `env: [HOME]` and write ${env.HOME}"
    return Problem(f"{dotted(pointer)}: there is no {what} {shown}", recipe.at(pointer), hint)


def _is_recipe(path: Path) -> bool:
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return False
    with reading(path, follow=True) as file:
        return _BEGINS.search(file.read(1 << 16)) is not None
