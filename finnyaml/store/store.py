"""The store: artifacts by digest, traces by key, locks between processes. It knows no steps and no FINN.

    root/version        the format of this folder
    root/objects/ab/    blobs, named by their SHA-256 (see `objects`); large tensors of models are apart (`tensors`)
    root/traces/ab/     one sealed file per key: its traces, newest first; its mtime says when it was last of use
    root/memos/         small named documents that can be made again at any time
    root/locks/         one lock file per key in use; root/work/: scratch folders of running tasks
    root/jobs/          one folder per job of a cluster (`engine/jobs.py`)
    root/tmp/           files being written; root/gc.lock, root/traces.lock: held while collecting, changing traces

Every file is written aside and moved into place, so `kill -9` leaves what was there before or what is there after.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.errors import StoreError
from finnyaml.files import NotAFile, content, discard, make_folder
from finnyaml.store import locks, tensors
from finnyaml.store.disk import canonical, explained, replace_file, seal, unseal
from finnyaml.store.model import CACHE, Artifact, Entry, Part, Trace
from finnyaml.store.objects import ObjectDamaged, Objects
from finnyaml.store.strays import end_strays
from finnyaml.store.streams import Piece

if TYPE_CHECKING:
    from typing_extensions import Self

FORMAT = 1
TRACES_PER_KEY = 16
_POLL = 0.05  # seconds; polling, because a blocked flock in a thread cannot be interrupted by Ctrl-C
_TOUCH = 3600.0  # seconds; gc counts days, so the time of last use need not be finer, and a no-op build need not write
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}", re.ASCII)


class Store(Objects):
    """Blobs, artifacts and traces at `root`; made by `Store.open`. Any number of processes and threads may use one.

    Every method raises `StoreError` when the disk does not let it do its work, and ValueError for a key or name that
    is not a plain file name.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.work = root / "work"
        """Where the scratch folders are."""
        self.scratch_root: Path | None = None
        """The folder outside of the store that `work` lies in, if it does."""
        self._artifacts: dict[str, Artifact] = {}
        self._scratch: dict[Path, int] = {}

    @classmethod
    def open(cls, root: Path, scratch: Path | None = None) -> Self:
        """The store at `root`, made where there is none. StoreError where it is of a newer format or not usable.

        `scratch` is a folder for the work of tasks, which other stores may use, too.
        """
        # Resolved, because tools write resolved paths into what they generate.
        root = Path(os.path.realpath(root))
        with explained(root):
            try:
                version = content(root / "version").decode("ascii", "replace")
            except FileNotFoundError:
                make_folder(root)
                version = f"format: {FORMAT}\n"
                replace_file(root, root / "version", version.encode(), durable=True)
        found = re.fullmatch(r"format: ([0-9]{1,9})\s*", version)
        if not found:
            raise StoreError(f"{root / 'version'} is damaged", hint=f"write `format: {FORMAT}` into it")
        if int(found[1]) != FORMAT:
            raise StoreError(
                f"the store {root} has format {int(found[1])}; this finnyaml knows format {FORMAT}",
                hint="use a newer finnyaml, or another folder for the store",
            )
        for name in ("objects", "traces", "memos", "locks", "work", "jobs", "tmp", CACHE):
            if (root / name).is_symlink():
                message = f"{root / name} is a link: what finnyaml cleans there would be gone from where it leads to"
                raise StoreError(message, hint="remove the link; the store as a whole may be one")
        store = cls(root)
        if scratch is not None:
            own = hashlib.sha256(str(root).encode()).hexdigest()[:16]  # what lies there and has no lock here is dead
            store.scratch_root = Path(os.path.realpath(scratch))
            store.work = store.scratch_root / own
        if not store.read_only:
            with explained(root):
                locks.probe(root / "version")
            store.sweep_scratch()
        return store

    # -- artifacts ----------------------------------------------------------------------------------------------------

    def put_artifact(self, artifact: Artifact) -> str:
        """Store the record of an artifact, whose blobs must be there; returns the digest of the record's blob."""
        digest = self.put_bytes(canonical(artifact.to_json()).encode())
        self._artifacts[digest] = artifact
        return digest

    def artifact(self, digest: str) -> Artifact:
        """The artifact whose record is this blob. Raises `ObjectDamaged` where there is no such record (any more)."""
        known = self._artifacts.get(digest)
        if known is None:
            try:
                known = Artifact.from_json(json.loads(self.read(digest)))
            except (KeyError, TypeError, ValueError):
                raise ObjectDamaged(digest) from None  # the blob is sound, but no record: of no use to any trace
            self._artifacts[digest] = known
        return known

    def content(self, entry: Entry, frame: bytes | None = None) -> Iterator[Piece]:
        """The stored bytes of a file, piece by piece; in a model `frame` may stand for what is stored of it.

        `ObjectDamaged` where the store cannot give them, which may show at the end only.
        """
        if frame is None and not entry.parts:
            yield from self.chunks(entry.blob)
            return
        try:
            pieces = tensors.whole(self.read(entry.blob) if frame is None else frame, entry.parts)
        except ValueError:
            raise ObjectDamaged(entry.blob) from None  # sound, but not the frame of these parts
        for piece in pieces:
            if isinstance(piece, Part):
                yield from self.chunks(piece.digest)
            else:
                yield piece

    def reachable(self, trace: Trace) -> set[str]:
        """Every blob that a trace needs: its artifact's record and files with their parts, and its log."""
        files = self.artifact(trace.artifact).files.values()
        blobs = {trace.artifact, *(blob for entry in files for blob in entry.blobs)}
        return blobs | {trace.log} if trace.log else blobs

    # -- traces -------------------------------------------------------------------------------------------------------

    def traces(self, key: str) -> tuple[Trace, ...]:
        """The traces of a key, newest first. A damaged file counts as no trace, and is removed."""
        with explained(self.root):
            try:
                return self._read_traces(key)
            except ValueError:
                if not self.read_only:
                    self._change_traces(key, lambda found: found)
                return ()

    def candidates(self, key: str) -> Iterator[Trace]:
        """The traces that may hold, the likeliest first; other stores are asked only for those behind its own."""
        yield from self.traces(key)

    def complete(self, key: str, trace: Trace) -> bool:
        """Have what a candidate needs brought here, where it is elsewhere; whether the trace can be used."""
        return True

    def use_remote(self, *, fetch: bool) -> None:
        """Whether results are brought here from now on, or another store is left alone; there is none."""

    def finish(self) -> None:
        """Wait for what is on its way to another store."""

    def add_trace(self, key: str, trace: Trace) -> None:
        """Commit a trace: once visible, it and every blob it needs survive a power cut.

        It replaces one with equal `reads`; of more than `TRACES_PER_KEY` the oldest goes. Raises `ObjectDamaged`
        where a blob that it needs is missing.
        """
        reads = canonical(trace.reads)
        with self.session():  # gc must not take a blob between the look at it and the commit
            self.sync(self.reachable(trace))
            self._change_traces(
                key,
                lambda found: (trace, *(old for old in found if canonical(old.reads) != reads))[:TRACES_PER_KEY],
            )

    def made_elsewhere(self, key: str, trace: Trace) -> None:
        """Take note of a trace that another machine has put into this store."""

    def drop_trace(self, key: str, trace: Trace) -> None:
        """Remove one trace of a key; one that is not there is fine."""
        gone = canonical(trace.to_json())
        self._change_traces(key, lambda found: tuple(old for old in found if canonical(old.to_json()) != gone))

    def forget(self, key: str) -> None:
        """Remove all traces of a key."""
        self._change_traces(key, lambda found: ())

    def touch(self, key: str) -> None:
        """Note that the traces of a key were of use now, for gc; to the hour."""
        if self.read_only:
            return
        with explained(self.root), suppress(FileNotFoundError):
            path = self._trace_file(key)
            if time.time() - path.stat().st_mtime > _TOUCH:
                os.utime(path)

    def last_used(self, key: str) -> float:
        """When the traces of a key were last of use, to the hour: seconds since the epoch; 0 where there are none."""
        with explained(self.root):
            try:
                return self._trace_file(key).stat().st_mtime
            except FileNotFoundError:
                return 0.0

    def trace_keys(self) -> list[str]:
        """The keys that have traces, sorted."""
        with explained(self.root):
            folders = (path for path in (self.root / "traces").glob("*") if not path.is_symlink())
            files = (path for folder in folders for path in _named(folder))
            return sorted(path.name for path in files if path.name[:2] == path.parent.name)

    def _trace_file(self, key: str) -> Path:
        return self.root / "traces" / _plain(key)[:2] / key

    def _read_traces(self, key: str) -> tuple[Trace, ...]:
        """ValueError where the file is damaged."""
        try:
            document = content(self._trace_file(key))
        except FileNotFoundError:
            return ()
        except (NotAFile, PermissionError) as error:
            raise ValueError(f"the traces of {key} cannot be read") from error
        try:
            return tuple(Trace.from_json(trace) for trace in unseal(key, document))
        except (KeyError, TypeError) as error:
            raise ValueError(f"the traces of {key} have a wrong shape") from error

    def _change_traces(self, key: str, change: Callable[[tuple[Trace, ...]], tuple[Trace, ...]]) -> None:
        path = self._trace_file(key)
        with self._locked(self.root / "traces.lock"), explained(self.root):
            before: tuple[Trace, ...] = ()
            with suppress(ValueError):
                before = self._read_traces(key)
            after = change(before)
            if not after:
                discard(path)
            elif after != before:
                replace_file(self.root, path, seal(key, [trace.to_json() for trace in after]), durable=True)

    # -- memos --------------------------------------------------------------------------------------------------------

    def memo(self, name: str) -> Any:
        """The JSON document last put under `name`; None where there is none, or it was damaged."""
        path = self.root / "memos" / _plain(name)
        with explained(self.root):
            try:
                return unseal(name, content(path))
            except (FileNotFoundError, NotAFile, PermissionError, KeyError, TypeError, ValueError):
                return None

    def put_memo(self, name: str, data: Any) -> None:
        """Keep a small JSON document. It may be lost at any time: only for what can be found out again."""
        if self.read_only:
            return
        with explained(self.root):
            replace_file(self.root, self.root / "memos" / _plain(name), seal(name, data), durable=False)

    # -- locks --------------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self, key: str, on_wait: Callable[[], object] | None = None) -> Iterator[None]:
        """Hold the lock of a key: one holder at a time, over all processes and threads; freed when the holder dies.

        Calls `on_wait` once where it has to wait; Ctrl-C ends the waiting. Not reentrant.
        """
        with self._locked(self._lock_file(key), on_wait, unlink=True):
            yield

    @contextmanager
    def session(self) -> Iterator[None]:
        """Keep gc away from blobs that no trace refers to yet: for the whole of a build. Waits for a running gc.

        Who can only read a store cannot keep anybody away: then an object may go, as a damaged one does.
        """
        if self.read_only:
            yield
            return
        with self._locked(self.root / "gc.lock", shared=True):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep sessions away, for gc. StoreError where one is running."""
        with explained(self.root):
            held = locks.acquire(self.root / "gc.lock")
        if held is None:
            raise StoreError(f"a build is using the store {self.root}", hint="try again when it has ended")
        try:
            yield
        finally:
            locks.release(held)

    def sweep_locks(self) -> int:
        """Remove the lock files that nobody holds (a killed process leaves its own); returns how many."""
        swept = 0
        with explained(self.root):
            for path in _named(self.root / "locks"):
                held = locks.acquire(path)
                if held is not None:
                    locks.release(held, path)
                    swept += 1
        return swept

    def _lock_file(self, name: str) -> Path:
        return self.root / "locks" / _plain(name)

    @contextmanager
    def _locked(
        self,
        path: Path,
        on_wait: Callable[[], object] | None = None,
        *,
        shared: bool = False,
        unlink: bool = False,
    ) -> Iterator[None]:
        held = self._try(path, shared)
        if held is None and on_wait is not None:
            on_wait()
        while held is None:
            time.sleep(_POLL)
            held = self._try(path, shared)
        try:
            yield
        finally:
            locks.release(held, path if unlink else None)

    def _try(self, path: Path, shared: bool) -> int | None:
        with explained(self.root):
            return locks.acquire(path, shared=shared)

    # -- scratch folders ----------------------------------------------------------------------------------------------

    def scratch(self, prefix: str = "") -> Path:
        """A fresh folder for one task, `work/<16 hex>`; all of one store have paths of equal length.

        Its name starts with the first six characters of `prefix` (a key, say, in hex). It is removed by `release`,
        or by whoever opens the store after this process has ended.
        """
        name = (prefix[:6] + os.urandom(8).hex())[:16]
        path = self.work / _plain(name)
        with explained(self.work):
            held = locks.acquire(self._lock_file(f"work-{name}"))
            assert held is not None, "a random name is nobody else's"
            try:
                make_folder(path)  # after the lock: a folder without one belongs to a dead process
            except BaseException:
                locks.release(held, self._lock_file(f"work-{name}"))
                raise
        self._scratch[path] = held
        return path

    def release(self, scratch: Path) -> None:
        """Remove a folder that `scratch` gave."""
        _remove_tree(scratch)
        locks.release(self._scratch.pop(scratch), self._lock_file(f"work-{scratch.name}"))

    def sweep_scratch(self) -> int:
        """Remove the scratch folders of processes that have ended, with what still runs in them; returns how many.

        In a shared store those of other users stay: the next build of theirs removes them.
        """
        swept = 0
        with suppress(OSError):  # housekeeping: a store that can only be read is still good to look into
            for path in _named(self.work):
                if os.geteuid() not in (0, path.lstat().st_uid):
                    continue
                lock_file = self._lock_file(f"work-{path.name}")
                held = locks.acquire(lock_file)
                if held is not None:
                    end_strays(path)
                    _remove_tree(path)
                    locks.release(held, lock_file)
                    swept += 1
        return swept


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a plain file name: {name!r}")
    return name


def _named(folder: Path) -> Iterator[Path]:
    """All in a folder that has the name of something of ours."""
    return (path for path in folder.glob("*") if _NAME.fullmatch(path.name))


def _remove_tree(path: Path) -> None:
    try:
        path.unlink()  # a link or a file in the place of a folder; `rmtree` would wait for the other end of a FIFO
    except OSError:
        import shutil  # here, because it loads all compression libraries, and most commands remove nothing

        shutil.rmtree(path, ignore_errors=True)
