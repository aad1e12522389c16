"""A store elsewhere, by URL through fsspec. Nothing that comes from it is believed without its digest.

    objects/ab/<digest>   one byte that says how the rest is kept (0: as it is, 1: zlib), then the content
    traces/ab/<key>       a sealed list of the traces of a key, each with its signature where there is a key to sign

There are no locks. Two machines that write the traces of one key at the same time may lose one; that costs time only.
Objects are sent before the traces that need them, each under another name first where the store does not give a file
all at once. What takes too long, or fails, is `Unreachable`, and it is for the caller to leave it alone then.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import os
import queue
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from finnyaml.errors import StoreError
from finnyaml.store.disk import canonical, seal, unseal
from finnyaml.store.model import Trace
from finnyaml.store.streams import Piece, chunks_of

T = TypeVar("T")

ANSWER = 20.0
"""Seconds in which a small thing has to be there."""

_WHOLE = frozenset(("s3", "gs", "gcs", "az", "abfs", "memory"))
"""Protocols whose files appear when all of it is there."""

_ONE_AT_A_TIME = frozenset(("sftp",))
"""Protocols whose connections serve one thread at a time."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "use_listings_cache": False,
        "config_kwargs": {"connect_timeout": 5, "read_timeout": ANSWER, "retries": {"max_attempts": 1}},
    },
    "sftp": {"timeout": 5.0, "banner_timeout": 10.0, "auth_timeout": 10.0},
    "file": {"auto_mkdir": True},
}
"""How to open the file systems of some protocols, beside what the usual variables and files of each say."""

_PACKAGES = {"s3": "s3fs", "sftp": "paramiko", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_ALIASES = {"s3a": "s3", "ssh": "sftp"}
_SAMPLE = 1 << 16
_PAYS = 0.9
"""What zlib must make of the first bytes of an object for it to be compressed."""


class Unreachable(Exception):
    """The remote store does not answer as it should."""


class NotThere(Exception):
    """The remote store has no such thing, or something else in its place."""


class Remote:
    """The store at `url`. `key`: a secret; what is sent is signed with it, and what is not signed with it is ignored.

    Any number of threads may use it.
    """

    def __init__(self, url: str, key: bytes | None = None) -> None:
        self.url = url
        self._key = key
        self._alone = _protocol(url) in _ONE_AT_A_TIME
        self._idle: queue.SimpleQueue[_There] = queue.SimpleQueue()

    def traces(self, key: str) -> tuple[Trace, ...]:
        """The traces of a key; none where there are none, or where nobody with our key has signed them.

        Raises:
            Unreachable: there is no answer.
        """
        try:
            document = within(ANSWER, lambda: self._do(lambda there: there.read(_place("traces", key))))
            return tuple(self._signed(key, unseal(key, document)))
        except (NotThere, KeyError, TypeError, ValueError):
            return ()

    def add_trace(self, key: str, trace: Trace, most: int) -> None:
        """Put a trace before those that are there, of which the newest stay; all of it must be there already.

        Raises:
            Unreachable: it could not be sent.
        """
        reads = canonical(trace.reads)
        others = [old for old in self.traces(key) if canonical(old.reads) != reads]
        listed = [{"trace": one.to_json(), "signature": self._signature(key, one)} for one in (trace, *others)][:most]
        within(ANSWER, lambda: self._do(lambda there: there.put(seal(key, listed), _place("traces", key))))

    def trace_keys(self) -> list[str]:
        """The keys that have traces. Raises `Unreachable`."""
        try:
            return self._do(lambda there: there.names("traces"))
        except NotThere:
            return []

    def has(self, digest: str) -> bool:
        """Whether an object is there. Raises `Unreachable`."""
        return within(ANSWER, lambda: self._do(lambda there: there.has(_place("objects", digest))))

    def fetch(self, digest: str, aside: Path) -> Iterator[bytes]:
        """The content of an object, piece by piece; `aside` is a file that does not exist yet, and is removed.

        Raises:
            NotThere: it is not there, or something else is; the latter may show at the end only.
            Unreachable: it does not come.
        """
        try:
            self._do(lambda there: there.copy(_place("objects", digest), aside))
            sha = hashlib.sha256()
            for piece in _decoded(aside):
                sha.update(piece)
                yield piece
            if sha.hexdigest() != digest:
                raise NotThere(f"{_place('objects', digest)} is damaged")
        finally:
            aside.unlink(missing_ok=True)

    def send(self, digest: str, content: Iterator[Piece], aside: Path) -> None:
        """Put an object there. `aside` is a file that does not exist yet, and is removed. Raises `Unreachable`."""
        try:
            with aside.open("wb") as file:
                file.writelines(_encoded(content))
            self._do(lambda there: there.put(aside, _place("objects", digest)))
        finally:
            aside.unlink(missing_ok=True)

    # -- how ----------------------------------------------------------------------------------------------------------

    def _do(self, call: Callable[[_There], T]) -> T:
        """What `call` gives, with a connection: an idle one, or one more. Raises as `guarded` does."""
        return guarded(lambda: self._borrowed(call))

    def _borrowed(self, call: Callable[[_There], T]) -> T:
        try:
            there = self._idle.get_nowait()
        except queue.Empty:
            there = _There(self.url)
        if not self._alone:
            self._idle.put(there)
            return call(there)
        try:
            return call(there)
        finally:
            self._idle.put(there)

    def _signed(self, key: str, listed: Sequence[Any]) -> Iterator[Trace]:
        for one in listed:
            trace = Trace.from_json(one["trace"])
            if self._key is None or hmac.compare_digest(str(one.get("signature")), str(self._signature(key, trace))):
                yield trace

    def _signature(self, key: str, trace: Trace) -> str | None:
        if self._key is None:
            return None
        return hmac.new(self._key, canonical([key, trace.to_json()]).encode(), "sha256").hexdigest()


class _There:
    """The files at a URL, through fsspec."""

    def __init__(self, url: str) -> None:
        import fsspec

        protocol = _protocol(url)
        options = {**_OPTIONS.get(protocol, {}), "skip_instance_cache": True}
        if protocol == "sftp":
            from finnyaml.store.sftp import KnownHosts

            fsspec.register_implementation("sftp", KnownHosts, clobber=True)
        self._files, root = fsspec.core.url_to_fs(url, **options)
        self._root = str(root).rstrip("/")
        self._whole = protocol in _WHOLE
        self._made: set[str] = set()

    def read(self, place: str) -> bytes:
        found: bytes = self._files.cat_file(f"{self._root}/{place}")
        return found

    def has(self, place: str) -> bool:
        return bool(self._files.exists(f"{self._root}/{place}"))

    def names(self, folder: str) -> list[str]:
        return sorted(str(path).rsplit("/", 1)[1] for path in self._files.find(f"{self._root}/{folder}"))

    def copy(self, place: str, to: Path) -> None:
        self._files.get_file(f"{self._root}/{place}", str(to))

    def put(self, what: bytes | Path, place: str) -> None:
        target = place if self._whole else f"aside/{os.urandom(8).hex()}"
        for folder in () if self._whole else map(os.path.dirname, (target, place)):
            if folder not in self._made:
                self._files.makedirs(f"{self._root}/{folder}", exist_ok=True)
                self._made.add(folder)
        if isinstance(what, bytes):
            self._files.pipe_file(f"{self._root}/{target}", what)
        else:
            self._files.put_file(str(what), f"{self._root}/{target}")
        if not self._whole:
            self._files.mv(f"{self._root}/{target}", f"{self._root}/{place}")


def _place(kind: str, name: str) -> str:
    return f"{kind}/{name[:2]}/{name}"


def _protocol(url: str) -> str:
    found = urlsplit(url).scheme
    return _ALIASES.get(found, found)


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` gives; `Unreachable` where it takes longer (it is left to itself then), and as `guarded` raises."""
    results: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((guarded(call), None))
        except BaseException as error:
            results.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise Unreachable(f"no answer within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def guarded(call: Callable[[], T]) -> T:
    """What `call` gives. `NotThere` where it looks for what is not there; any other error is `Unreachable`."""
    try:
        return call()
    except FileNotFoundError as error:
        raise NotThere(str(error)) from error
    except (Unreachable, NotThere):
        raise
    except Exception as error:  # each protocol has errors of its own, down to those of its sockets
        raise Unreachable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error


def check_url(url: str) -> None:
    """StoreError where nothing here can speak with a store of this URL."""
    protocol = _protocol(url)
    package = _PACKAGES.get(protocol)
    for needed in ("fsspec", *([package] if package else [])):
        if importlib.util.find_spec(needed) is None:
            extra = "finnyaml[remote]" if needed in ("fsspec", "s3fs", "paramiko") else needed
            raise StoreError(f"{protocol}:// needs the package {needed}", hint=f"pip install '{extra}'")
    from fsspec.registry import known_implementations, registry

    if protocol not in (*known_implementations, *registry):
        raise StoreError(f"there is no {protocol}:// for a remote store", hint="s3://, gs://, sftp:// and file:// are")


def _encoded(content: Iterator[Piece]) -> Iterator[Piece]:
    first = next(content, b"")
    sample = bytes(first[:_SAMPLE])
    if len(zlib.compress(sample, 1)) > len(sample) * _PAYS:
        yield b"\0"
        yield first
        yield from content
        return
    yield b"\1"
    packer = zlib.compressobj(1)
    yield packer.compress(first)
    for piece in content:
        yield packer.compress(piece)
    yield packer.flush()


def _decoded(file: Path) -> Iterator[bytes]:
    """ValueError is never raised: what is no content is `NotThere`."""
    pieces = chunks_of(file)
    first = bytes(next(pieces, b""))
    if first[:1] == b"\0":
        yield first[1:]
        yield from (bytes(piece) for piece in pieces)
        return
    if first[:1] != b"\1":
        raise NotThere(f"{file.name} is no object")
    unpacker = zlib.decompressobj()
    try:
        for piece in (first[1:], *pieces):
            while piece:
                yield unpacker.decompress(piece, _SAMPLE)
                piece = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise NotThere(f"{file.name} is damaged: {error}") from error
