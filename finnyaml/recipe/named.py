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


def check_file(recipe: Recipe, pointer: Pointer, path: Path | None) -> Iterator[Problem]:
    """What is wrong with the file `path`, named at `pointer`; nothing where the recipe names none."""
    if path is None or is_file(path):
        return
    if is_folder(path):
        message = f"{dotted(pointer)}: {quoted(_shown(path, recipe))} is a folder, not a file"
        yield Problem(message, recipe.at(pointer))
    else:
        yield _missing(recipe, pointer, path, "file")


def check_folder(recipe: Recipe, pointer: Pointer, path: Path) -> Iterator[Problem]:
    """What is wrong with the folder `path`, named at `pointer`."""
    if is_folder(path):
        return
    if is_file(path):
        message = f"{dotted(pointer)}: {quoted(_shown(path, recipe))} is a file, not a folder"
        yield Problem(message, recipe.at(pointer))
    else:
        yield _missing(recipe, pointer, path, "folder")


def check_named_code(
    recipe: Recipe, pointer: Pointer, code: CodeRef | None, positional: tuple[str, ...], keywords: Mapping[str, Any]
) -> Iterator[Problem]:
    """What is wrong with code named at `pointer` and called with `positional` and `keywords`."""
    where = recipe.at(pointer)
    if code and where:
        yield from check_code(code, where, positional, keywords)


def _missing(recipe: Recipe, pointer: Pointer, path: Path, what: str) -> Problem:
    message = f"{dotted(pointer)}: there is no {what} {quoted(_shown(path, recipe))}"
    if "~" in path.parts:
        return Problem(message, recipe.at(pointer), "~ is not expanded: declare `env: [HOME]` and write ${env.HOME}")
    return Problem(message, recipe.at(pointer), similar_file(Path(os.path.normpath(path))))


def _shown(path: Path, recipe: Recipe) -> Path:
    """`path` relative to the recipe, as recipes write paths."""
    return Path(os.path.relpath(path, recipe.directory))
