"""What every file of a store needs: errors that explain themselves, whole-file writes, sealed documents."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finnyaml.errors import StoreError
from finnyaml.files import NotAFile, discard, make_folder, share
from finnyaml.store.locks import NoLocks

_ELSEWHERE = "choose another folder for the store, one that you can write to"
_FREE = "free some space (`finnyaml cache gc` drops what is no longer needed), or choose another folder for the store"
_MOVE = "move that away, or choose another folder for the store"
_LOCAL = "put the store on a local disk, or mount that one with locks: it needs file locks and hard links"
_OWN: dict[type[OSError], str | None] = {NotAFile: _MOVE, NoLocks: _LOCAL}
_REASONS: dict[int, tuple[str, str | None]] = {
    errno.ENOSPC: ("the disk is full", _FREE),
    errno.EDQUOT: ("your disk quota is used up", _FREE),
    errno.EFBIG: ("a file is larger than allowed here", _FREE),
    errno.EROFS: ("the file system is read-only", _ELSEWHERE),
    errno.EACCES: ("permission denied", _ELSEWHERE),
    errno.EPERM: ("operation not permitted", _ELSEWHERE),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", _MOVE),
    errno.EEXIST: ("something that is not a folder is where one should be", _MOVE),
    errno.ELOOP: ("a link leads in a circle", _MOVE),
    errno.ENOLCK: ("the file system has no file locks", _LOCAL),
    errno.EOPNOTSUPP: ("the file system lacks what the store needs", _LOCAL),
}


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn any OSError inside into a `StoreError` that says what is wrong with the store at `root`."""
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        if type(error) in _OWN:
            reason, hint = said, _OWN[type(error)]
        else:
            reason, hint = _REASONS.get(error.errno or 0, (said, None))
        place = f" ({error.filename})" if error.filename else ""
        raise StoreError(f"cannot use the store {root}: {reason}{place}", hint=hint) from error


def unused(root: Path) -> Path:
    """A path below `root/tmp` that nobody else takes; the folder is there."""
    folder = root / "tmp"
    make_folder(folder)
    return folder / f"{os.getpid()}-{os.urandom(8).hex()}"


@contextmanager
def aside(root: Path) -> Iterator[tuple[int, Path]]:
    """A new file below `root/tmp` (descriptor and path), gone at the end unless it was moved to its place."""
    path = unused(root)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        share(descriptor, path.parent)
        yield descriptor, path
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data`; `os.write` may take less than it is given."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def replace_file(root: Path, path: Path, data: bytes, *, durable: bool) -> None:
    """Give `path` new content: readers, also after `kill -9` of the writer, see the old or the new, never a part.

    `durable` syncs the content before it becomes visible, so that it holds after a power cut as well.
    """
    with aside(root) as (descriptor, temporary):
        write_all(descriptor, data)
        if durable:
            os.fsync(descriptor)
        make_folder(path.parent)
        try:
            temporary.replace(path)
        except IsADirectoryError:
            discard(path)
            temporary.replace(path)


def canonical(data: Any) -> str:
    """The one JSON text of `data`: sorted keys, no blanks, ASCII. ValueError or TypeError where it has none."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def seal(name: str, data: Any) -> bytes:
    """A document with its name and checksum inside, so that a flipped bit or a copy under another name is noticed."""
    body = canonical({"name": name, "data": data}).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unseal(name: str, document: bytes) -> Any:
    """The data of a sealed document; ValueError where it is damaged or not the one of that name."""
    checksum, _, body = document.partition(b"\n")
    if checksum != hashlib.sha256(body).hexdigest().encode():
        raise ValueError(f"{name} is damaged")
    content = json.loads(body)
    if content["name"] != name:
        raise ValueError(f"{name} holds the data of {content['name']}")
    return content["data"]
