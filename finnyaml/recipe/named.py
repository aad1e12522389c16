"""The files, folders and code that a recipe names: are they there?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finnyaml.errors import Problem
from finnyaml.recipe.code import check_code
from finnyaml.recipe.model import CodeRef, Pointer, Recipe
from finnyaml.recipe.paths import is_file, is_folder, similar_file
from finnyaml.recipe.words import dotted
from finnyaml.text import quoted


def check_file(recipe: Recipe, pointer: Pointer, path: Path | None) -> list[Problem]:
    """What is wrong with the file `path`, named at `pointer`; nothing where the recipe names none."""
    return [] if path is None or is_file(path) else [_wrong(recipe, pointer, path, "file", is_folder(path))]


def check_folder(recipe: Recipe, pointer: Pointer, path: Path) -> list[Problem]:
    """What is wrong with the folder `path`, named at `pointer`."""
    return [] if is_folder(path) else [_wrong(recipe, pointer, path, "folder", is_file(path))]


def check_named_code(
    recipe: Recipe, pointer: Pointer, code: CodeRef | None, positional: tuple[str, ...], keywords: Mapping[str, Any]
) -> Iterator[Problem]:
    """What is wrong with code named at `pointer` and called with `positional` and `keywords`."""
    where = recipe.at(pointer)
    if code and where:
        yield from check_code(code, where, positional, keywords)


def _wrong(recipe: Recipe, pointer: Pointer, path: Path, what: str, other: bool) -> Problem:
    """That there is no such file or folder (`what`), or the `other` of the two."""
    shown = quoted(Path(os.path.relpath(path, recipe.directory)))  # as recipes write paths
    if other:
        is_ = "folder" if what == "file" else "file"
        return Problem(f"{dotted(pointer)}: {shown} is a {is_}, not a {what}", recipe.at(pointer))
    hint = similar_file(Path(os.path.normpath(path)))
    if "~" in path.parts:
        hint = "~ is not expanded: declare `env: [HOME]` and write ${env.HOME}"
    return Problem(f"{dotted(pointer)}: there is no {what} {shown}", recipe.at(pointer), hint)
