"""Anything may lie in the place of a file of the store: it is replaced, or refused with what to do. Nothing waits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from finnyaml.errors import StoreError
from finnyaml.files import discard
from finnyaml.store import ObjectDamaged, Store, Trace
from finnyaml.store.upkeep import collect, usage, verify
from tests.store.samples import object_file, trace_file, trace_of
from tests.things import THINGS, Thing, foreign_folder, inside

PLACES: dict[str, Callable[[Store, Trace], Path]] = {
    "an object": lambda store, trace: object_file(store, trace.log),
    "the record of an artifact": lambda store, trace: object_file(store, trace.artifact),
    "a trace": lambda store, trace: trace_file(store, "key"),
    "a memo": lambda store, trace: store.root / "memos" / "memo",
    "a lock": lambda store, trace: store.root / "locks" / "key",
    "the lock of gc": lambda store, trace: store.root / "gc.lock",
    "the lock of traces": lambda store, trace: store.root / "traces.lock",
    "the version": lambda store, trace: store.root / "version",
    "something half written": lambda store, trace: store.root / "tmp" / "1-abc",
    "a scratch folder": lambda store, trace: store.root / "work" / "a0a0",
    "a hidden file in work": lambda store, trace: store.root / "work" / ".nfs01",
    "a hidden file in locks": lambda store, trace: store.root / "locks" / ".nfs01",
    "objects": lambda store, trace: store.root / "objects",
    "a folder of objects": lambda store, trace: object_file(store, trace.log).parent,
    "traces": lambda store, trace: store.root / "traces",
    "a folder of traces": lambda store, trace: trace_file(store, "key").parent,
    "memos": lambda store, trace: store.root / "memos",
    "locks": lambda store, trace: store.root / "locks",
    "tmp": lambda store, trace: store.root / "tmp",
    "work": lambda store, trace: store.root / "work",
    "cache": lambda store, trace: store.root / "cache",
    "the store itself": lambda store, trace: store.root,
}


def use(root: Path) -> None:
    """All that commands do with a store; what is damaged is made again, as a build does."""
    store = Store.open(root)
    usage(store)
    store.memo("memo")
    store.put_memo("memo", [1])
    assert store.memo("memo") == [1]
    for _ in range(4):
        try:
            trace = made(store)
            assert store.traces("key") == (trace,)
            assert store.read(trace.log) and store.artifact(trace.artifact).files
            break
        except ObjectDamaged:
            continue
    else:
        raise AssertionError("it stays damaged")
    with store.lock("key"):
        store.release(store.scratch("a0"))
    store.touch("key")
    verify(store)
    collect(store)
    assert verify(Store.open(root)).sound
    assert Store.open(root).traces("key") == (trace,)


def made(store: Store) -> Trace:
    trace = trace_of(store, a=b"content")
    store.add_trace("key", trace)
    return trace


@pytest.mark.parametrize("thing", THINGS.values(), ids=THINGS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_in_the_place_of(
    tmp_path: Path, place: Callable[[Store, Trace], Path], thing: Thing, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = foreign_folder(tmp_path / "foreign")
    store = Store.open(tmp_path / "store")
    trace = made(store)
    path = place(store, trace)
    discard(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    thing(path, tmp_path / "foreign", monkeypatch)
    refused = None
    try:
        use(tmp_path / "store")
    except StoreError as error:
        refused = error
    if refused is not None:
        assert str(path) in refused.message or os.path.realpath(path) in refused.message
        assert refused.hint
        monkeypatch.undo()
        assert before.items() <= inside(tmp_path / "foreign").items()
        discard(path)  # what the hint says
        use(tmp_path / "store")
    assert before.items() <= inside(tmp_path / "foreign").items()
