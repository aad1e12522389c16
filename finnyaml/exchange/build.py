"""What somebody else's file asks FINN for, in FINN's words: the middle between all that is read and a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class File:
    """A file that a build names: where it lies, and a copy of it where the script made it (`made`)."""

    path: Path
    made: Path | None = None

    @property
    def there(self) -> bool:
        """Whether it can be read."""
        return (self.made or self.path).is_file()


@dataclass(frozen=True)
class Step:
    """A step in order: a name that FINN knows (`name`), or code of the user's (`uses`, already in a recipe's words).

    `todo` says what has to be moved by hand; `why` is a remark beside the entry.
    """

    name: str
    uses: str | None = None
    id: str | None = None
    with_: Mapping[str, Any] = field(default_factory=dict)
    why: str | None = None
    todo: str | None = None


@dataclass(frozen=True)
class Build:
    """One build: FINN's options with plain values, files as `File`, and the steps (None: FINN's default flow).

    `processing` has what became of custom steps that are a section of a recipe: `preprocess` or `postprocess`, and the
    entry. `folder` is what paths are relative to. `dropped` has what has no counterpart, with the reason; `notes` is
    what the user has to know besides.
    """

    name: str
    folder: Path
    model: File | None
    values: Mapping[str, Any]
    steps: tuple[Step, ...] | None = None
    injected: Mapping[str, Mapping[str, tuple[Step, ...]]] = field(default_factory=dict)
    processing: tuple[tuple[str, Any], ...] = ()
    datatype: str | None = None
    description: str | None = None
    dropped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
