"""Trees of files as values: what an artifact makes of a tree, and what several give together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from finnyaml.errors import FinnyamlError
from finnyaml.store.model import Artifact, Entry

Tree = Mapping[str, Entry]
"""Paths relative to the sandbox, parts separated by `/`, to what is there. Folders exist by the files in them."""


class TreeConflict(FinnyamlError):
    """Several inputs of one task disagree about a path."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"the inputs hold different files at {path}",
            hint="let the task need one of them only, or let one of them write to another path",
        )
        self.path = path


def overlay(base: Tree, artifact: Artifact) -> dict[str, Entry]:
    """The tree after a task that was given `base` and produced `artifact`."""
    removed = set(artifact.removed)
    return {path: entry for path, entry in base.items() if path not in removed} | dict(artifact.files)


def merge(trees: Iterable[Tree]) -> dict[str, Entry]:
    """One tree that holds all the given ones.

    Raises `TreeConflict` where two hold different bytes (or permissions) at one path, or one has a file where another
    has a folder.
    """
    merged: dict[str, Entry] = {}
    for tree in trees:
        for path, entry in tree.items():
            other = merged.setdefault(path, entry)
            if (other.blob, other.mode) != (entry.blob, entry.mode):
                raise TreeConflict(path)
    folders = set[str]()
    for path in merged:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for path in sorted(folders & merged.keys()):
        raise TreeConflict(path)
    return merged


def look_in(tree: Tree, name: str) -> str | None:
    """What is at `@tree/...`: "file", "folder", or None where there is nothing."""
    path = name.removeprefix("@tree/")
    if path in tree:
        return "file"
    return "folder" if any(known.startswith(f"{path}/") for known in tree) else None
