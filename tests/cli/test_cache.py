from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from finnyaml.cli import cache
from finnyaml.errors import RecipeError
from finnyaml.store import Artifact, Entry, Store, Trace
from finnyaml.text import age, size
from tests.cli.conftest import Command

OLD, NEW = "0" * 64, "1" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two results, one of them used 40 days ago."""
    made = Store.open(tmp_path / "store")
    for key, task in ((OLD, "old"), (NEW, "new")):
        blob = made.put_bytes(task.encode() * 1000)
        artifact = made.put_artifact(Artifact(blob, None, {"file": Entry(blob, blob)}))
        info = {"task": task, "uses": f"step_{task}"}
        made.add_trace(key, Trace(artifact, {}, 1.5, 0, "", time.time() - 3600, info))
    long_ago = time.time() - 40 * 86400
    for path in (made.root / "traces" / OLD[:2] / OLD, *(made.root / "objects").glob("*/*")):
        os.utime(path, (long_ago, long_ago))
    return made


def test_ls_shows_what_was_used_last_first(finnyaml: Command, store: Store) -> None:
    header, new, old, *_ = finnyaml("cache", "list", "--store", store.root).out.splitlines()
    assert header.split() == ["KEY", "TASK", "USES", "AGE", "USED", "SIZE", "TOOK"]
    assert new.split()[:3] == [NEW[:12], "new", "new"] and new.endswith("1.5 s")
    assert old.split()[3:7] == ["1", "h", "40", "d"]
    data = finnyaml("cache", "list", "--json", "--store", store.root).data
    assert [item["task"] for item in data] == ["new", "old"] and data[0]["bytes"] > 3000


def test_an_empty_store(finnyaml: Command, tmp_path: Path) -> None:
    assert "is empty" in finnyaml("cache", "list", "--store", tmp_path / "store").out
    assert finnyaml("cache", "size", "--json", "--store", tmp_path / "store").data["objects"] == 0


def test_du(finnyaml: Command, store: Store) -> None:
    assert finnyaml("cache", "size", "--json", "--store", store.root).data["traces"] == 2
    assert "results  2, of which 2 differ" in finnyaml("cache", "size", "--store", store.root).out


def test_gc_by_age(finnyaml: Command, store: Store) -> None:
    assert finnyaml("cache", "gc", "--json", "--store", store.root).data["dropped"]["traces"] == 0
    answer = finnyaml("cache", "gc", "--older-than", "30d", "--store", store.root)
    assert answer.code == 0 and answer.out.startswith("dropped  1 result and 2 objects")
    assert [item["task"] for item in finnyaml("cache", "list", "--json", "--store", store.root).data] == ["new"]


def test_gc_by_size(finnyaml: Command, store: Store) -> None:
    data = finnyaml("cache", "gc", "--max-size", "4K", "--json", "--store", store.root).data
    assert (data["dropped"]["traces"], data["left"]["traces"]) == (1, 1)


def test_verify_tells_and_drops_what_is_damaged(finnyaml: Command, store: Store) -> None:
    sound = finnyaml("cache", "verify", "--store", store.root)
    assert sound.code == 0 and sound.out.startswith("sound: 4 objects and 2 results")
    blob = next(path for path in (store.root / "objects").glob("*/*") if path.read_bytes() == b"old" * 1000)
    blob.chmod(0o644)
    blob.write_bytes(b"0ld" * 1000)
    damaged = finnyaml("cache", "verify", "--store", store.root)
    assert damaged.code == 1
    assert f"object {blob.name}" in damaged.out and f"result {OLD[:12]}" in damaged.out
    assert finnyaml("cache", "verify", "--json", "--store", store.root).data["sound"] is True


@pytest.mark.parametrize(("text", "found"), [("30d", 30), ("12h", 0.5), ("2w", 14), ("1.5 D", 1.5)])
def test_time_spans(text: str, found: float) -> None:
    assert cache.days(text) == found


@pytest.mark.parametrize(
    ("text", "found"), [("1K", 1024), ("10GB", 10 * 2**30), ("1.5 GiB", 1.5 * 2**30), ("2mb", 2**21)]
)
def test_sizes(text: str, found: float) -> None:
    assert cache.byte_count(text) == found


@pytest.mark.parametrize(
    "option", [["--older-than", "30"], ["--older-than", "soon"], ["--max-size", "10"], ["--max-size", "-1G"]]
)
def test_without_a_unit_nothing_is_dropped(finnyaml: Command, store: Store, option: list[str]) -> None:
    answer = finnyaml("cache", "gc", *option, "--store", store.root)
    assert answer.code == 2 and "hint: write" in answer.err
    with pytest.raises(RecipeError):
        cache.days("30")


def test_words_for_sizes_and_ages() -> None:
    assert [size(number) for number in (0, 1023, 1024, 150 * 2**20, 3 * 2**30)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "150 MiB",
        "3.0 GiB",
    ]
    assert [age(number) for number in (-1, 59, 60, 3600, 86400 * 12)] == ["0 s", "59 s", "1 min", "1 h", "12 d"]
