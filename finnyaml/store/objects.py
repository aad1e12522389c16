"""Content-addressed blobs: named by their SHA-256, written once, verified whenever they are read.

Durability. A trace must never be visible before the blobs it refers to are safe on disk, yet most of the time of
writing a small file is its fsync. So `put_*` does not sync; it leaves the object with mode 0400, which says "whole, but
perhaps only in memory". `sync`, called before a trace is committed, starts the write-back of all such objects of the
trace, then fsyncs each and makes it 0444. The note is in the file system, not in a process: a worker may put what the
engine commits. For 300 files of 4 kB on ext4: fsync at each write 80 ms, fsync of all at the end 75 ms, with the
write-back started first 35 ms. (`os.sync` takes 5 ms on an idle machine, but waits for everything else that is being
written on a busy one: gigabytes, while a synthesis runs beside.)

Folders are not synced: journalling file systems keep the order of renames and links, so an object's name is safe
before the later name of its trace. Where one does not, or a disk lies about fsync, the digest finds the damage on
read and the task is built again: a power cut can cost time, never a wrong result.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from finnyaml.errors import StoreError
from finnyaml.files import NotAFile, discard, is_shared, make_folder, reading
from finnyaml.store.disk import aside, explained, write_all
from finnyaml.store.streams import Piece, chunks, chunks_of, write

_FRESH, _SYNCED = 0o400, 0o444
_FRESH_SHARED = 0o440
_FICLONE = 0x40049409  # Linux: give a file the blocks of another, on btrfs, XFS and others that copy on write
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ObjectDamaged(StoreError):
    """An object is missing or was not what its digest says; it is gone now, and what it belonged to must be rebuilt."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"the store lacks object {digest}, or it was damaged and is dropped", hint="build again")
        self.digest = digest


class Objects:
    """The blobs of the store at `root`. Any number of processes and threads may use it at the same time.

    Every method raises `StoreError` when the disk does not let it do its work.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.read_only = not os.access(root, os.W_OK)
        """Whether nothing can be written there: what it has can be used all the same."""

    def put_bytes(self, data: Piece) -> str:
        """Store `data` and return its digest; it survives a power cut once it was given to `sync`."""
        digest = hashlib.sha256(data).hexdigest()
        with explained(self.root):
            return digest if self._holds(digest, len(data)) else self._write_object([data])

    def put_file(self, path: Path) -> str:
        """Store the content of a file and return its digest. OSError where the file itself cannot be read."""
        return self.put_stream(lambda: chunks_of(path))

    def put_stream(self, content: Callable[[], Iterable[Piece]]) -> str:
        """Store what `content` gives, and return its digest; it is asked again where that has to be written."""
        digest, size = _hash(content())
        with explained(self.root):
            # Named by what is written, not by what was hashed before: a file may be changing under our hands.
            return digest if self._holds(digest, size) else self._write_object(content())

    def read(self, digest: str) -> bytes:
        """The bytes of an object, verified. `ObjectDamaged` where it is missing or damaged (then it is dropped)."""
        with explained(self.root):
            with self._opened(digest) as file:
                data = file.read()
            if hashlib.sha256(data).hexdigest() != digest:
                self.delete(digest)
                raise ObjectDamaged(digest)
            return data

    def chunks(self, digest: str) -> Iterator[bytes]:
        """Like `read`, piece by piece, for objects of any size. That it is damaged shows at the end only."""
        with explained(self.root), self._opened(digest) as file:
            sha = hashlib.sha256()
            for chunk in chunks(file):
                sha.update(chunk)
                yield chunk
            if sha.hexdigest() != digest:
                self.delete(digest)
                raise ObjectDamaged(digest)

    def copy(self, digest: str, path: Path) -> None:
        """Write an object to a new file at `path`, verified. Where the file system can, both share their blocks.

        It is never a hard link: whoever then changes the file in place would change the object.
        """
        with explained(self.root), self._opened(digest) as file:
            cloned = _cloned(file, path)
        if not cloned:
            write(path, self.chunks(digest))
            return
        found, _ = _hash(chunks_of(path))
        if found != digest:
            path.unlink()
            self.check(digest)  # drops it, unless it was changed in this very moment
            raise ObjectDamaged(digest)

    def size(self, digest: str) -> int:
        """How many bytes an object has. `ObjectDamaged` where it is missing."""
        with explained(self.root):
            try:
                return self._path(digest).stat().st_size
            except FileNotFoundError:
                raise ObjectDamaged(digest) from None

    def has(self, digest: str) -> bool:
        """Whether the object is there; cheap, and no promise that its bytes are right."""
        with explained(self.root):
            return self._status(digest) is not None

    def check(self, digest: str) -> None:
        """Like `read`, for objects of any size: raises `ObjectDamaged` and drops the object where it is damaged."""
        with explained(self.root):
            with self._opened(digest) as file:
                found, _ = _hash(chunks(file))
            if found != digest:
                self.delete(digest)
                raise ObjectDamaged(digest)

    def delete(self, digest: str) -> None:
        """Remove an object, or what lies in its place; one that is not there is fine."""
        if self.read_only:
            return  # whoever may write will find out, too
        with explained(self.root):
            discard(self._path(digest))

    def sync(self, digests: Iterable[str]) -> None:
        """Return when all these objects are safe on disk. Raises `ObjectDamaged` where one is missing."""
        with explained(self.root):
            fresh = [digest for digest in digests if self._mode(digest) != _SYNCED]
            for digest in fresh:
                with self._opened(digest) as file:
                    # Linux starts to write a file back when told that its cached pages are no longer needed.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            for digest in fresh:
                with self._opened(digest) as file:
                    os.fsync(file.fileno())
                    with suppress(PermissionError):  # that of another user of a shared store, who notes it
                        os.fchmod(file.fileno(), _SYNCED)

    def objects(self) -> Iterator[tuple[str, os.stat_result]]:
        """Every object with its status, in no order; files in the folders that are not objects are passed over."""
        with explained(self.root):
            for folder in _scan(self.root / "objects"):
                for entry in _scan(folder.path) if folder.is_dir() else ():
                    if _DIGEST.fullmatch(entry.name):
                        try:
                            status = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue  # dropped by another process meanwhile
                        yield entry.name, status

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"not a SHA-256: {digest!r}")
        return self.root / "objects" / digest[:2] / digest

    def _status(self, digest: str) -> os.stat_result | None:
        """The status of the file; None where there is none."""
        try:
            status = self._path(digest).lstat()
        except FileNotFoundError:
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def _mode(self, digest: str) -> int | None:
        status = self._status(digest)
        return None if status is None else stat.S_IMODE(status.st_mode)

    def _opened(self, digest: str) -> BinaryIO:
        """The object, to be read. `ObjectDamaged` where it is no file that can be read; then that is dropped."""
        try:
            return reading(self._path(digest))
        except FileNotFoundError:
            raise ObjectDamaged(digest) from None
        except (NotAFile, PermissionError):
            self.delete(digest)
            raise ObjectDamaged(digest) from None

    def _holds(self, digest: str, size: int) -> bool:
        """Whether the object need not be written again; what is in its place and wrong is dropped."""
        path = self._path(digest)
        try:
            found = path.lstat()
        except FileNotFoundError:
            return False
        if stat.S_ISREG(found.st_mode) and found.st_size == size:
            if stat.S_IMODE(found.st_mode) == _SYNCED:
                return True
            # It may be from before a power cut, of the right size but empty inside: look, before relying on it.
            with suppress(ObjectDamaged):
                self.check(digest)
                return True
        self.delete(digest)
        return False

    def _write_object(self, chunks: Iterable[Piece]) -> str:
        sha = hashlib.sha256()
        with aside(self.root) as (descriptor, temporary):
            for chunk in chunks:
                sha.update(chunk)
                write_all(descriptor, chunk)
            os.fchmod(descriptor, _FRESH_SHARED if is_shared(temporary.parent) else _FRESH)
            path = self._path(sha.hexdigest())
            make_folder(path.parent)
            # A link, not a rename: it never replaces a copy that another process is just about to sync and refer to.
            with suppress(FileExistsError):
                os.link(temporary, path)
        return path.name


def _cloned(file: BinaryIO, path: Path) -> bool:
    """Whether the file system could give `path` the content of an open file without writing it again."""
    with suppress(OSError), path.open("wb") as new:
        fcntl.ioctl(new, _FICLONE, file.fileno())
        return True
    return False


def _hash(content: Iterable[Piece]) -> tuple[str, int]:
    sha, size = hashlib.sha256(), 0
    for chunk in content:
        sha.update(chunk)
        size += len(chunk)
    return sha.hexdigest(), size


def _scan(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
