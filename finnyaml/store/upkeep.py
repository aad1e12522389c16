"""Looking after a store: how large it is, whether it is sound, and dropping what nobody needs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from finnyaml.files import discard
from finnyaml.store.disk import explained
from finnyaml.store.model import CACHE, Trace
from finnyaml.store.objects import ObjectDamaged
from finnyaml.store.store import Store

GRACE = 600.0  # seconds: what is younger may belong to a process that writes without a session
MEMO_DAYS = 30.0  # a memo or a compiled simulator can be made again, and is not needed once its sources have changed
_DAY = 86400.0


@dataclass(frozen=True)
class Usage:
    """How much a store holds; `bytes` are those of all objects, `artifacts` those that some trace refers to."""

    objects: int
    bytes: int
    traces: int
    artifacts: int


@dataclass(frozen=True)
class Verified:
    """What `verify` looked at, and what it found and dropped: objects by digest, traces by their key."""

    objects: int
    traces: int
    damaged_objects: tuple[str, ...]
    damaged_traces: tuple[str, ...]
    incomplete_traces: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing had to be dropped."""
        return not (self.damaged_objects or self.damaged_traces or self.incomplete_traces)


@dataclass(frozen=True)
class Collected:
    """What `collect` dropped; `bytes` are those of the dropped objects."""

    traces: int
    objects: int
    bytes: int


def ls(store: Store) -> Iterator[tuple[str, Trace]]:
    """All traces with their keys, by key, the newest of a key first."""
    for key in store.trace_keys():
        for trace in store.traces(key):
            yield key, trace


def usage(store: Store) -> Usage:
    """Count what the store holds."""
    sizes = [status.st_size for _, status in store.objects()]
    traces = [trace for _, trace in ls(store)]
    return Usage(len(sizes), sum(sizes), len(traces), len({trace.artifact for trace in traces}))


def verify(store: Store) -> Verified:
    """Read everything; drop objects that are not what their digest says, and traces that lack a blob.

    Safe while builds are running.
    """
    objects, damaged = 0, []
    for digest, _ in store.objects():
        objects += 1
        try:
            store.check(digest)
        except ObjectDamaged:
            damaged.append(digest)
    count, unreadable, incomplete = 0, [], []
    for key in store.trace_keys():
        traces = store.traces(key)
        count += len(traces)
        if not traces:
            unreadable.append(key)
        for trace in traces:
            if _blobs(store, trace) is None:
                store.drop_trace(key, trace)
                incomplete.append(key)
    return Verified(objects, count, tuple(damaged), tuple(unreadable), tuple(incomplete))


def collect(
    store: Store,
    *,
    max_age_days: float | None = None,
    max_bytes: int | None = None,
    keep: Collection[str] = frozenset(),
) -> Collected:
    """Drop what nobody needs: gc.

    First the traces of keys not used for `max_age_days` go, then those least recently used until what the others need
    fits into `max_bytes`; never those of a key with an artifact in `keep` (by its digest, or by its record's). Then
    every object that no trace needs, and what killed processes left behind. `StoreError` while a build is running.
    """
    with store.alone():
        dropped = _drop_traces(store, max_age_days, max_bytes, keep)
        needed = {blob for _, trace in ls(store) for blob in (*store.reachable(trace), *_fetched(trace))}
        objects, size, horizon = 0, 0, time.time() - GRACE
        for digest, status in store.objects():
            if digest not in needed and status.st_mtime < horizon:
                store.delete(digest)
                objects, size = objects + 1, size + status.st_size
        store.sweep_scratch()
        store.sweep_locks()
        _sweep_files(store, "tmp", horizon)
        caches = (path for path in (store.root / CACHE).glob("*") if not path.is_symlink())
        for folder in ("memos", "jobs", *(f"{CACHE}/{path.name}" for path in caches)):
            _sweep_files(store, folder, time.time() - MEMO_DAYS * _DAY)
    return Collected(dropped, objects, size)


def _fetched(trace: Trace) -> Iterator[str]:
    """Files that were laid in for a task: such as came from the network stay as long as what was made of them."""
    yield from (
        digest for name, digest in trace.reads.get("file", {}).items() if name.startswith("@inputs/") and digest
    )


def _drop_traces(store: Store, max_age_days: float | None, max_bytes: int | None, keep: Collection[str]) -> int:
    """Returns how many; afterwards every trace has all that it needs."""
    needs: dict[str, set[str]] = {}
    kept: set[str] = set()
    before = 0
    for key, trace in ls(store):
        before += 1
        blobs = _blobs(store, trace)
        if blobs is None:
            store.drop_trace(key, trace)
            continue
        needs.setdefault(key, set()).update(blobs)
        if trace.artifact in keep or store.artifact(trace.artifact).digest in keep:
            kept.add(key)
    used = {key: store.last_used(key) for key in needs}
    oldest_first = sorted(needs.keys() - kept, key=lambda key: (used[key], key))
    oldest = 0.0 if max_age_days is None else time.time() - max_age_days * _DAY
    users = Counter(blob for blobs in needs.values() for blob in blobs)
    sizes = {digest: status.st_size for digest, status in store.objects() if digest in users}
    total = sum(sizes.values())
    for key in oldest_first:
        if used[key] >= oldest and (max_bytes is None or total <= max_bytes):
            break
        store.forget(key)
        users.subtract(needs[key])
        total -= sum(sizes[blob] for blob in needs[key] if users[blob] == 0)
    return before - sum(1 for _ in ls(store))


def _blobs(store: Store, trace: Trace) -> set[str] | None:
    """Every blob the trace needs; None where one is missing."""
    try:
        blobs = store.reachable(trace)
    except ObjectDamaged:
        return None
    return blobs if all(store.has(blob) for blob in blobs) else None


def _sweep_files(store: Store, folder: str, horizon: float) -> None:
    with explained(store.root):
        for path in (store.root / folder).glob("[!.]*"):
            with suppress(FileNotFoundError):  # moved into place or removed by another process meanwhile
                if path.lstat().st_mtime < horizon:
                    discard(path)
