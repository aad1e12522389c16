"""What `import` finds, said so that a later build can ask again: modules by folder, packages by version or content.

Workers note it, and whoever judges a trace asks the same functions.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.metadata
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from finnyaml.finn.identity import tree_digest
from finnyaml.store.digests import file_digest

if TYPE_CHECKING:  # in workers, too: how keys are made is not a part of what a step runs
    from finnyaml.kinds.code import Memo, PutMemo

_SUFFIXES = (
    *importlib.machinery.EXTENSION_SUFFIXES,
    *importlib.machinery.SOURCE_SUFFIXES,
    *importlib.machinery.BYTECODE_SUFFIXES,
)
_FORMS = (*(f"/__init__{suffix}" for suffix in _SUFFIXES), *_SUFFIXES)
"""In the order in which Python prefers them."""


def forms(place: str | Path) -> list[str]:
    """The files that may be the module `name` in `folder`, for the place `folder/name`, the one that is taken first.

    A folder without `__init__` is none: it counts only where no other folder has the module.
    """
    return [f"{place}{form}" for form in _FORMS]


def module_at(place: str | Path) -> str | None:
    """How the file of the module at a place goes on after its name (`.py`, say); None where there is none."""
    return next((form for form in _FORMS if os.path.isfile(f"{place}{form}")), None)


def package_state(name: str, path: Path, memo: Memo, put_memo: PutMemo) -> str | None:
    """What a package is now: its version; of one that is named by its place, `path`, the digest of its content.

    None where there is no such package.
    """
    if "/" not in name:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None
    return tree_digest(path, memo, put_memo) if path.is_dir() else file_digest(path)


@functools.cache
def distributions() -> Mapping[str, tuple[str, ...]]:
    """The names of the distributions that each installed top-level module or package comes from.

    Looked up once per process, since it reads the metadata of all of them.
    """
    found = importlib.metadata.packages_distributions()
    return {name: tuple(sorted(set(names))) for name, names in found.items()}
