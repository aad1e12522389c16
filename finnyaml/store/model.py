"""The records a store keeps: artifacts and traces. Plain immutable data with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Self

CACHE = "cache"
"""The folder of a store for what can be made again at any time, and is not an artifact: compiled simulators."""


class Part(NamedTuple):
    """A large tensor of a model, stored as an object of its own: the SHA-256 and the number of its bytes."""

    digest: str
    size: int


@dataclass(frozen=True)
class Entry:
    """One file of an artifact.

    `blob` is the SHA-256 of the stored bytes, in which paths of the sandbox are replaced by a placeholder, and in a
    model its large tensors by their names: these are its `parts` (`finnyaml.store.tensors`).
    `digest` is the digest of the *canonical* content (for ONNX: generated tensor names do not count); equal to
    `blob` where bytes are their own canonical form. `mode` holds the permission bits. `pinned` is the length of the
    sandbox path a binary file was made for, None when the file can be restored anywhere.
    """

    blob: str
    digest: str
    mode: int = 0o644
    pinned: int | None = None
    parts: tuple[Part, ...] = ()

    @property
    def blobs(self) -> tuple[str, ...]:
        """The digests of all objects that the file is made of."""
        return (self.blob, *(part.digest for part in self.parts))

    def to_json(self) -> dict[str, Any]:
        """The JSON form; `from_json` is its inverse."""
        return {name: value for name, value in vars(self).items() if name != "parts" or value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form; KeyError, TypeError or ValueError where it is not one."""
        data = {"parts": (), **data}
        made = cls(**{**data, "parts": tuple(Part(*part) for part in data["parts"])})
        if not isinstance(made.mode, int) or made.mode & ~0o777:
            raise ValueError(f"no mode of a file: {made.mode!r}")
        return made


def _inside(path: str) -> bool:
    """Whether a path of a record leads to a place inside: a store elsewhere may name any."""
    parts = path.split("/")
    return "\0" not in path and not {"", ".", ".."} & {*parts}


@dataclass(frozen=True)
class Artifact:
    """What one task produced, as a difference to the tree it was given.

    `files` maps paths relative to the sandbox to entries: new and changed files; `removed` names files of the input
    tree that the task deleted. `model` is the path of the ONNX model that flows on (None: the task made none).
    `digest` identifies the model together with every file it refers to: it is what the keys of downstream
    tasks are made of, so a changed report does not rebuild what follows.
    """

    digest: str
    model: str | None
    files: Mapping[str, Entry]
    removed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON form; `from_json` is its inverse."""
        return vars(self) | {"files": {path: entry.to_json() for path, entry in self.files.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form; KeyError, TypeError or ValueError where it is not one."""
        files = {path: Entry.from_json(entry) for path, entry in data["files"].items()}
        if outside := [path for path in files if not _inside(path)]:
            raise ValueError(f"no file of an artifact: {outside[0]!r}")
        return cls(data["digest"], data["model"], files, tuple(data["removed"]))


@dataclass(frozen=True)
class Trace:
    """The evidence of one execution: what the step read beyond its static key, and what it produced.

    `reads` maps a kind (`config`, `file`, `tree`, `dir`, `env`, `tool`, `pinned`) to what was read of that kind:
    name to value or digest (None: it was read and did not exist). A later build accepts the trace when all of it
    still holds.
    `artifact` is the blob digest of the artifact record. `info` is for people (versions, command lines).
    """

    artifact: str
    reads: Mapping[str, Mapping[str, Any]]
    seconds: float
    peak_memory: int
    log: str
    created: float
    info: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The JSON form; `from_json` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form; KeyError, TypeError or ValueError where it is not one."""
        return cls(**data)
