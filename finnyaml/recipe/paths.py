"""The files that a recipe names: where they are, and what was meant by one that is missing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from finnyaml.text import did_you_mean, quoted

_BEGINS = re.compile(rb"""^(?:\{\s*)?["']?(?:model|extends)["']?\s*:""", re.MULTILINE)
"""What a recipe says and hardly another YAML file does: what it builds from."""


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


def _is_recipe(path: Path) -> bool:
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return False
    with path.open("rb") as file:
        return _BEGINS.search(file.read(1 << 16)) is not None
