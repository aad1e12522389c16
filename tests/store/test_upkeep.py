"""Counting, verifying, collecting."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from finnyaml.errors import StoreError
from finnyaml.store import Entry, Store, Trace
from finnyaml.store.tensors import cut
from finnyaml.store.upkeep import GRACE, Collected, collect, ls, usage, verify
from tests.store.samples import age, age_objects, model_bytes, object_file, overwrite, trace_file, trace_of, weighty

DAY = 86400.0


def fill(store: Store, keys: int) -> dict[str, Trace]:
    """A trace per key, with a file of 1000 bytes of its own and one that all share; the first was used longest ago."""
    traces = {f"key{i}": trace_of(store, own=b"%d" % i * 1000, shared=b"s" * 5000) for i in range(keys)}
    for days, (key, trace) in zip(range(keys, 0, -1), traces.items(), strict=True):
        store.add_trace(key, trace)
        age(trace_file(store, key), days * DAY)
    age_objects(store)
    return traces


def keys(store: Store) -> list[str]:
    return [key for key, _ in ls(store)]


def test_an_empty_store(store: Store) -> None:
    assert vars(usage(store)) == {"objects": 0, "bytes": 0, "traces": 0, "artifacts": 0}
    assert verify(store).sound
    assert collect(store, max_age_days=0, max_bytes=0) == Collected(0, 0, 0)


def test_usage_counts(store: Store) -> None:
    traces = fill(store, 3)
    store.add_trace("another", traces["key0"])
    used = usage(store)
    assert (used.objects, used.traces, used.artifacts) == (3 + 1 + 3 + 1, 4, 3)  # own, shared, records, log
    assert used.bytes == sum(status.st_size for _, status in store.objects()) > 8000


def test_ls_gives_every_trace(store: Store) -> None:
    traces = fill(store, 3)
    newer = trace_of(store, {"config": {"clock": 7}})
    store.add_trace("key1", newer)
    found = list(ls(store))
    assert found == [("key0", traces["key0"]), ("key1", newer), ("key1", traces["key1"]), ("key2", traces["key2"])]


# -- verify


@pytest.mark.parametrize("part", ["record", "file", "tensor", "log"])
@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_verify_drops_damaged_objects_and_the_traces_that_need_them(store: Store, part: str, damage: str) -> None:
    traces = fill(store, 2)
    hurt = trace_of(store, model=weighty(store))
    store.add_trace("hurt", hurt)
    assert verify(store).sound
    entry = store.artifact(hurt.artifact).files["model"]
    blobs = {"record": hurt.artifact, "file": entry.blob, "tensor": entry.parts[0].digest, "log": hurt.log}
    blob = blobs[part]
    file = object_file(store, blob)
    if damage == "deleted":
        file.unlink()
    else:
        overwrite(file, bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    found = verify(store)
    assert found.damaged_objects == ((blob,) if damage == "flipped" else ())
    assert found.incomplete_traces == ("hurt",)
    assert not found.sound
    assert dict(ls(store)) == traces
    assert verify(store).sound


def test_verify_drops_damaged_traces(store: Store) -> None:
    fill(store, 2)
    overwrite(trace_file(store, "key1"), b"x")
    assert verify(store).damaged_traces == ("key1",)
    assert keys(store) == ["key0"]


# -- collect


def test_what_traces_need_stays(store: Store) -> None:
    traces = fill(store, 3)
    assert collect(store) == Collected(0, 0, 0)
    assert dict(ls(store)) == traces
    assert verify(store).sound


def test_tensors_stay_as_long_as_one_of_their_models(store: Store) -> None:
    one, other = weighty(store), weighty(store)
    renamed = Entry(store.put_bytes(store.read(one.blob) + b"\x1a\x01p"), "digest", parts=one.parts)
    store.add_trace("one", trace_of(store, model=one))
    store.add_trace("renamed", trace_of(store, model=renamed))
    age_objects(store)
    assert one == other and collect(store) == Collected(0, 0, 0)
    store.forget("one")
    assert collect(store).objects == 2  # the frame and the record
    assert b"".join(store.content(renamed)) == model_bytes(1) + b"\x1a\x01p"
    store.forget("renamed")
    collect(store)
    assert not store.has(one.parts[0].digest)


def test_a_build_killed_between_the_tensors_and_their_model_leaves_nothing_that_counts(store: Store) -> None:
    cut(model_bytes(1), store.put_bytes)
    assert verify(store).sound and usage(store).objects == 1
    age_objects(store)
    entry = weighty(store)  # again, and to its end
    store.add_trace("one", trace_of(store, model=entry))
    collect(store)
    assert b"".join(store.content(entry)) == model_bytes(1)


def test_what_no_trace_needs_goes_once_it_is_old(store: Store) -> None:
    fill(store, 2)
    old, fresh = store.put_bytes(b"o" * 77), store.put_bytes(b"fresh")
    age(object_file(store, old), GRACE + 60)
    assert collect(store) == Collected(0, 1, 77)
    assert store.has(fresh) and not store.has(old)


def test_old_traces_go_with_what_only_they_need(store: Store) -> None:
    traces = fill(store, 4)  # used 4, 3, 2, 1 days ago
    done = collect(store, max_age_days=2.5)
    assert (done.traces, done.objects) == (2, 4)
    assert keys(store) == ["key2", "key3"]
    assert store.has(store.artifact(traces["key0"].artifact).files["shared"].blob)
    assert verify(store).sound


def test_the_least_recently_used_go_until_the_rest_fits(store: Store) -> None:
    fill(store, 5)
    before = usage(store).bytes
    done = collect(store, max_bytes=before - 1500)
    assert keys(store) == ["key2", "key3", "key4"]
    assert usage(store).bytes == before - done.bytes <= before - 1500
    collect(store, max_bytes=0)
    assert usage(store).objects == 0


def test_touched_keys_stay(store: Store) -> None:
    fill(store, 3)
    store.touch("key0")
    collect(store, max_age_days=1.5)
    assert keys(store) == ["key0", "key2"]


@pytest.mark.parametrize("by", ["digest", "record"])
def test_what_is_to_be_kept_stays(store: Store, by: str) -> None:
    traces = fill(store, 3)
    special = trace_of(store, a=b"1", b=b"2", c=b"3")
    store.add_trace("special", special)
    age(trace_file(store, "special"), 99 * DAY)
    keep = special.artifact if by == "record" else store.artifact(special.artifact).digest
    assert collect(store, max_age_days=0, max_bytes=0, keep={keep}).traces == len(traces)
    assert dict(ls(store)) == {"special": special}
    assert verify(store).sound


def test_collecting_drops_traces_that_lack_something(store: Store) -> None:
    traces = fill(store, 2)
    store.delete(store.artifact(traces["key0"].artifact).files["own"].blob)
    assert collect(store).traces == 1
    assert keys(store) == ["key1"]


def test_nothing_is_collected_while_a_build_runs(store: Store) -> None:
    fill(store, 2)
    with Store.open(store.root).session():
        with pytest.raises(StoreError, match="a build is using the store"):
            collect(store, max_bytes=0)
        assert keys(store) == ["key0", "key1"]
    collect(store, max_bytes=0)
    assert keys(store) == []


def test_a_build_waits_for_the_collection_to_end(store: Store) -> None:
    entered = threading.Event()

    def build() -> None:
        with Store.open(store.root).session():
            entered.set()

    with store.alone():
        thread = threading.Thread(target=build)
        thread.start()
        assert not entered.wait(0.2)
    thread.join()
    assert entered.is_set()


def test_debris_of_killed_processes_goes(store: Store) -> None:
    temporary = store.root / "tmp" / "123-abc"
    dead = store.root / "work" / "0123456789abcdef"
    for folder in (temporary.parent, dead, store.root / "locks"):
        folder.mkdir(parents=True, exist_ok=True)
    temporary.write_bytes(b"half")
    (store.root / "locks" / "key").touch()
    mine = store.scratch()
    collect(store)
    assert temporary.exists(), "it may be in the making"
    age(temporary, GRACE + 60)
    collect(store)
    assert not temporary.exists() and not dead.exists() and mine.is_dir()
    assert len(list((store.root / "locks").iterdir())) == 1


def test_memos_go_after_a_month(store: Store) -> None:
    for name in ("old", "new"):
        store.put_memo(name, name)
    age(store.root / "memos" / "old", 31 * DAY)
    age(store.root / "memos" / "new", 29 * DAY)
    collect(store)
    assert (store.memo("old"), store.memo("new")) == (None, "new")


@pytest.mark.parametrize("look", [usage, verify, collect, lambda store: list(ls(store))])
def test_files_that_are_not_ours_are_left_alone(store: Store, look: Callable[[Store], object]) -> None:
    fill(store, 1)
    strangers = [
        store.root / name for name in ("note", "objects/note", "objects/ab/note", "traces/note", "memos/.note")
    ]
    for stranger in strangers:
        stranger.parent.mkdir(parents=True, exist_ok=True)
        stranger.write_text("mine")
        age(stranger, 99 * DAY)
    look(store)
    assert all(Path(stranger).read_text() == "mine" for stranger in strangers)


def test_what_no_trace_needs_does_not_count_for_the_size(store: Store) -> None:
    traces = fill(store, 3)
    needed = usage(store).bytes
    store.put_bytes(b"in the making" * 1000)
    assert collect(store, max_bytes=needed) == Collected(0, 0, 0)
    assert collect(store, max_bytes=needed - 1).traces == 1
    assert keys(store) == [*traces][1:]


def test_of_keys_used_at_one_time_the_first_by_name_goes(store: Store) -> None:
    fill(store, 3)
    for key in keys(store):
        os.utime(trace_file(store, key), (1e9, 1e9))
    collect(store, max_bytes=usage(store).bytes - 1)
    assert keys(store) == ["key1", "key2"]


def test_all_traces_of_a_key_go_and_count(store: Store) -> None:
    traces = fill(store, 4)
    store.add_trace("key0", trace_of(store, {"config": {"clock": 7}}, more=b"m" * 3000))
    age(trace_file(store, "key0"), 9 * DAY)
    age_objects(store)
    assert collect(store, max_age_days=5).traces == 2
    assert dict(ls(store)) == {key: traces[key] for key in ("key1", "key2", "key3")}


def test_verify_counts_what_it_looked_at(store: Store) -> None:
    fill(store, 3)
    found = verify(store)
    assert (found.objects, found.traces) == (usage(store).objects, 3)


def test_compiled_simulators_go_after_a_month(store: Store) -> None:
    for name in ("old", "new"):
        folder = store.root / "cache" / "verilator" / name
        folder.mkdir(parents=True)
        (folder / "simulator").write_text("x")
        age(folder, (31 if name == "old" else 29) * DAY)
    collect(store)
    assert [path.name for path in (store.root / "cache/verilator").iterdir()] == ["new"]


def test_what_still_runs_in_the_scratch_folder_of_a_dead_process_ends(store: Store) -> None:
    dead, mine = store.root / "work" / "0123456789abcdef", store.scratch()
    dead.mkdir()
    running = [
        subprocess.Popen(["sleep", "3600"], env={"FINN_BUILD_DIR": str(folder / "build")}, start_new_session=True)
        for folder in (dead, mine)
    ]
    try:
        Store.open(store.root)
        assert running[0].wait() == -signal.SIGKILL and not dead.exists()
        assert running[1].poll() is None
    finally:
        for process in running:
            process.kill()
            process.wait()
