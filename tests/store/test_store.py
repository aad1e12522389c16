"""Artifacts, traces, memos and scratch folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from finnyaml.errors import StoreError
from finnyaml.store import Artifact, Entry, ObjectDamaged, Store, Trace
from finnyaml.store.disk import canonical, seal
from finnyaml.store.model import Part
from finnyaml.store.store import TRACES_PER_KEY
from tests.store.samples import age, object_file, overwrite, trace_file, trace_of, weighty

KEY = "ab12"


# -- artifacts


def test_an_artifact_comes_back_as_it_was(store: Store) -> None:
    files = {"model.onnx": Entry("1" * 64, "2" * 64), "ip/tool \u00e4\udcff.sh": Entry("3" * 64, "3" * 64, 0o755, 61)}
    files["big.onnx"] = Entry("5" * 64, "6" * 64, parts=(Part("7" * 64, 65536), Part("8" * 64, 70000)))
    artifact = Artifact("4" * 64, "model.onnx", files, ("old", "older"))
    digest = store.put_artifact(artifact)
    assert store.artifact(digest) == Store.open(store.root).artifact(digest) == artifact


def test_records_of_a_store_without_parts_are_read(store: Store) -> None:
    """As the versions before this one wrote them; where a model has no parts, they are still the same."""
    old = {"blob": "1" * 64, "digest": "2" * 64, "mode": 0o644, "pinned": None}
    record = {"digest": "4" * 64, "model": "model.onnx", "files": {"model.onnx": old}, "removed": []}
    artifact = Artifact("4" * 64, "model.onnx", {"model.onnx": Entry("1" * 64, "2" * 64)})
    assert store.artifact(store.put_bytes(canonical(record).encode())) == artifact
    assert json.loads(canonical(artifact.to_json())) == record


def test_equal_artifacts_have_one_record(store: Store) -> None:
    files = {"a": Entry("1" * 64, "1" * 64), "b": Entry("2" * 64, "2" * 64)}
    backwards = dict(reversed(files.items()))
    assert store.put_artifact(Artifact("d", None, files)) == store.put_artifact(Artifact("d", None, backwards))


@pytest.mark.parametrize("record", [None, b"[1]", b"{}", b"\xff", b'{"digest":1}'])
def test_a_record_that_is_none_is_damage(store: Store, record: bytes | None) -> None:
    digest = "0" * 64 if record is None else store.put_bytes(record)
    with pytest.raises(ObjectDamaged):
        store.artifact(digest)


# -- traces


def test_traces_come_back_newest_first(store: Store) -> None:
    traces = [trace_of(store, {"config": {"clock": clock}}, model=b"m%d" % clock) for clock in range(5)]
    for trace in traces:
        store.add_trace(KEY, trace)
    assert store.traces(KEY) == Store.open(store.root).traces(KEY) == tuple(reversed(traces))
    assert store.traces("other") == ()


def test_a_trace_with_equal_reads_replaces_the_old_one(store: Store) -> None:
    old, other = trace_of(store, {"config": {"clock": 5, "fps": None}}), trace_of(store, {"config": {"clock": 5.0}})
    new = replace(old, reads={"config": {"fps": None, "clock": 5}}, seconds=99.0)
    for trace in (old, other, new):
        store.add_trace(KEY, trace)
    assert store.traces(KEY) == (new, other)


class Traces(RuleBasedStateMachine):
    """One key against a plain list."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.open(Path(self.folder.name))
        self.expected: list[Trace] = []

    @rule(clock=st.integers(0, 25), seconds=st.floats(0, 1e6))
    def add(self, clock: int, seconds: float) -> None:
        trace = replace(trace_of(self.store, {"config": {"clock": clock}}, model=b"m"), seconds=seconds)
        self.store.add_trace(KEY, trace)
        self.expected = [trace, *(old for old in self.expected if old.reads != trace.reads)][:TRACES_PER_KEY]

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if self.expected:
            trace = data.draw(st.sampled_from(self.expected))
            self.store.drop_trace(KEY, trace)
            self.store.drop_trace(KEY, trace)
            self.expected.remove(trace)

    @rule()
    def forget(self) -> None:
        self.store.forget(KEY)
        self.expected = []

    @rule()
    def open_again(self) -> None:
        self.store = Store.open(self.store.root)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "store"):
            assert list(self.store.traces(KEY)) == self.expected
            assert self.store.trace_keys() == ([KEY] if self.expected else [])

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestTraces = Traces.TestCase
TestTraces.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_only_the_newest_traces_are_kept(store: Store) -> None:
    for clock in range(TRACES_PER_KEY + 4):
        store.add_trace(KEY, trace_of(store, {"config": {"clock": clock}}))
    kept = [trace.reads["config"]["clock"] for trace in store.traces(KEY)]
    assert kept == list(reversed(range(4, TRACES_PER_KEY + 4)))


def test_a_trace_is_committed_after_all_its_blobs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = trace_of(store, model=weighty(store), report=b"the report")
    blobs = {object_file(store, blob).stat().st_ino for blob in store.reachable(trace)}
    assert len(blobs) == 5
    synced: set[int] = set()
    fsync, move = os.fsync, Path.replace

    def note(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    def commit(self: Path, target: Path) -> Path:
        assert target == trace_file(store, KEY)
        assert synced == blobs | {self.stat().st_ino}
        return move(self, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "replace", commit)
    store.add_trace(KEY, trace)
    assert store.traces(KEY) == (trace,)


@pytest.mark.parametrize("missing", ["record", "file", "part", "log"])
def test_a_trace_without_all_its_blobs_is_refused(store: Store, missing: str) -> None:
    trace = trace_of(store, model=weighty(store))
    entry = store.artifact(trace.artifact).files["model"]
    (part,) = entry.parts
    gone = {"record": trace.artifact, "file": entry.blob, "part": part.digest, "log": trace.log}[missing]
    store.delete(gone)
    with pytest.raises(ObjectDamaged) as error:
        store.add_trace(KEY, trace)
    assert error.value.digest == gone
    assert store.traces(KEY) == ()


TRACE_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a value changed": lambda document: document.replace(b'"clock":5.0', b'"clock":5.1'),
    "one bit flipped": lambda document: document[:-9] + bytes([document[-9] ^ 1]) + document[-8:],
    "truncated": lambda document: document[:-1],
    "emptied": lambda document: b"",
    "not JSON": lambda document: b"once upon a time",
    "not text": lambda document: b"\xff\x00" * 99,
    "of another key": lambda document: seal("cd34", []),
    "a list too few": lambda document: seal(KEY, 7),
    "no trace inside": lambda document: seal(KEY, [{"artifact": "x"}]),
    "no name inside": lambda document: seal(KEY, 1).replace(b"name", b"nose"),
}


@pytest.mark.parametrize("damage", TRACE_DAMAGES.values(), ids=TRACE_DAMAGES)
def test_a_damaged_trace_file_counts_as_no_trace_and_goes(store: Store, damage: Callable[[bytes], bytes]) -> None:
    trace = trace_of(store)
    store.add_trace(KEY, trace)
    file = trace_file(store, KEY)
    document = file.read_bytes()
    assert damage(document) != document
    overwrite(file, damage(document))
    assert store.traces(KEY) == ()
    assert not file.exists()
    store.add_trace(KEY, trace)
    overwrite(file, damage(document))
    store.add_trace(KEY, trace)
    assert store.traces(KEY) == (trace,)


def test_touch_notes_use_to_the_hour(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.touch("nothing")
    assert store.last_used("nothing") == 0
    store.add_trace(KEY, trace_of(store))
    age(trace_file(store, KEY), 86400)
    store.touch(KEY)
    assert store.last_used(KEY) == pytest.approx(time.time(), abs=60)
    monkeypatch.setattr(os, "utime", lambda *_: pytest.fail("once an hour is enough"))
    store.touch(KEY)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".hidden", "a\n", "x" * 300])
def test_what_is_no_plain_name_is_refused(store: Store, name: str) -> None:
    for use in (store.traces, store.memo, store.touch, store.forget):
        with pytest.raises(ValueError, match="not a plain file name"):
            use(name)


# -- memos


@pytest.mark.parametrize("data", [None, 7, "x", [1, 2.5, None], {"steps": {"streamline": ["a"]}, "version": "1.6.1"}])
def test_memos_come_back(store: Store, data: Any) -> None:
    assert store.memo("finn-1.6.1+local") is None
    store.put_memo("finn-1.6.1+local", "old")
    store.put_memo("finn-1.6.1+local", data)
    assert Store.open(store.root).memo("finn-1.6.1+local") == data


@pytest.mark.parametrize("damage", TRACE_DAMAGES.values(), ids=TRACE_DAMAGES)
def test_a_damaged_memo_is_none(store: Store, damage: Callable[[bytes], bytes]) -> None:
    store.put_memo("cd35", {"clock": 5.0})
    file = store.root / "memos" / "cd35"
    overwrite(file, damage(file.read_bytes()))
    assert store.memo("cd35") is None
    store.put_memo("cd35", 1)
    assert store.memo("cd35") == 1


# -- scratch folders


def test_scratch_folders_are_fresh_and_have_paths_of_one_length(store: Store) -> None:
    paths = [store.scratch(prefix) for prefix in ("", "ab", "0123456789abcdef" * 4, "0123456789abcdef" * 4)]
    assert len(set(paths)) == 4
    assert {len(str(path)) for path in paths} == {len(str(store.root / "work")) + 17}
    assert paths[2].name.startswith("012345")
    for path in paths:
        (path / "deep" / "er").mkdir(parents=True)
        store.release(path)
    assert list((store.root / "work").iterdir()) == list((store.root / "locks").iterdir()) == []


def test_scratch_folders_of_the_living_stay_and_of_the_dead_go(store: Store) -> None:
    mine = store.scratch()
    code = (
        "import sys, os, signal; from pathlib import Path; from finnyaml.store import Store\n"
        "path = Store.open(Path(sys.argv[1])).scratch(); (path / 'file').touch(); print(path, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", code, store.root], capture_output=True, text=True)
    other = Path(ended.stdout.strip())
    assert other.is_dir() and other.parent == mine.parent
    again = Store.open(store.root)
    assert mine.is_dir() and not other.exists()
    assert again.sweep_scratch() == 0


def test_stores_share_a_folder_for_scratch(store: Store, tmp_path: Path) -> None:
    ours, theirs = (Store.open(root, tmp_path / "fast") for root in (store.root, tmp_path / "other"))
    paths = [each.scratch() for each in (ours, theirs)]
    assert all(path.parents[1] == tmp_path / "fast" for path in paths)
    Store.open(store.root, tmp_path / "fast").sweep_scratch()
    assert all(path.is_dir() for path in paths), "what is another store's has its lock there"
    for each, path in zip((ours, theirs), paths, strict=True):
        each.release(path)
        assert not path.exists()


def test_a_store_reached_by_a_link_gives_real_paths(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.root)
    assert Store.open(tmp_path / "link").root == store.root


# -- opening


def test_open_makes_little_and_works_again(tmp_path: Path) -> None:
    root = tmp_path / "new" / "store"
    digest = Store.open(root).put_bytes(b"x")
    assert (root / "version").read_text() == "format: 1\n"
    assert Store.open(root).read(digest) == b"x"


def test_a_newer_format_is_refused(store: Store) -> None:
    (store.root / "version").write_text("format: 2\n")
    with pytest.raises(StoreError, match="has format 2; this finnyaml knows format 1") as error:
        Store.open(store.root)
    assert "newer finnyaml" in str(error.value.hint)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"format: new\n"])
def test_a_damaged_version_is_said(store: Store, content: bytes) -> None:
    (store.root / "version").write_bytes(content)
    with pytest.raises(StoreError, match="version is damaged") as error:
        Store.open(store.root)
    assert error.value.hint == "write `format: 1` into it"


def test_everything_but_the_version_may_vanish_under_an_open_store(store: Store) -> None:
    store.add_trace(KEY, trace_of(store))
    subprocess.run(["rm", "-rf", store.root], check=True)
    assert store.traces(KEY) == ()
    trace = trace_of(store)
    store.add_trace(KEY, trace)
    assert store.traces(KEY) == (trace,)


def test_importing_the_store_is_quick() -> None:
    """By what is loaded, not by the clock."""
    code = "import sys, finnyaml.store.upkeep, finnyaml.store.tree; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    assert "finnyaml.store.upkeep" in loaded
    assert not loaded & {"asyncio", "multiprocessing", "shutil", "lzma", "tempfile", "subprocess", "yaml", "networkx"}


OUTSIDE = ("../x", "/etc/x", "out/../../x", "", "out//x", "./x", "a\0b")


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_record_that_names_a_place_outside(store: Store, path: str) -> None:
    record = Artifact("d", None, {path: Entry("1" * 64, "1" * 64)})
    digest = store.put_bytes(canonical(record.to_json()).encode())
    with pytest.raises(ObjectDamaged):
        store.artifact(digest)


@pytest.mark.parametrize("mode", [0o4755, 0o2755, -1, "0644"])
def test_a_record_with_a_mode_that_no_result_has(store: Store, mode: int) -> None:
    digest = store.put_bytes(canonical(Artifact("d", None, {"x": Entry("1" * 64, "1" * 64, mode)}).to_json()).encode())
    with pytest.raises(ObjectDamaged):
        store.artifact(digest)
