"""`kill -9` at random moments, many times: whatever the store then says it has, it has."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from finnyaml.store import ObjectDamaged, Store
from finnyaml.store.upkeep import collect, ls, verify
from tests.store.samples import trace_of

KILLS = 40


def build(root: Path, kill: int) -> None:
    """What a build does to a store, without end; says when it has begun, and when a trace is there.

    The content says what it must be: letters of one kind. The first trace of each build is a new one.
    """
    store = Store.open(root)
    dice = random.Random()
    name, clock = "abcdefgh"[kill % 8], kill
    print("begun", flush=True)
    with store.session():
        while True:
            scratch = store.scratch(name)
            with store.lock(f"key-{name}"):
                file = scratch / "file"
                file.write_bytes(name.encode() * dice.randrange(1, 300_000))
                store.put_file(file)
                files = {f"f{i}": name.encode() * dice.randrange(1, 5000) for i in range(6)}
                store.add_trace(f"key-{name}", trace_of(store, {"config": {"clock": clock}}, **files))
                store.put_memo("versions", {"last": name * 100})
            store.release(scratch)
            print("done", flush=True)
            name, clock = dice.choice("abcdefgh"), dice.randrange(KILLS)


def test_a_store_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    root = tmp_path / "store"
    dice = random.Random(2)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    seen = 0
    for kill in range(KILLS):
        done = kill % 4
        command = [sys.executable, __file__, root, str(kill)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert child.stdout is not None
        with child.stdout:
            # Between two lines a build writes for some milliseconds: there it is killed.
            assert [child.stdout.readline() for _ in range(1 + done)] == ["begun\n", *["done\n"] * done]
            time.sleep(dice.random() * 0.02)
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL

        store = Store.open(root)
        assert not list((root / "work").glob("*")), "scratch folders of the dead are gone"
        found = verify(store)
        assert found.sound, f"after kill {kill}: {found}"
        for key, trace in ls(store):
            for path, entry in store.artifact(trace.artifact).files.items():
                try:
                    assert set(store.read(entry.blob)) == {ord(key[-1])}, path
                except ObjectDamaged:
                    raise AssertionError(f"{key} refers to a damaged object, which verify did not find") from None
        memo = store.memo("versions")
        assert memo is None or set(memo["last"]) <= set("abcdefgh")
        assert found.traces >= seen, "no trace that was there is lost"
        seen = found.traces
        if kill % 10 == 9:
            collect(store)
            assert not list((root / "locks").glob("*")) and verify(store).sound
    assert seen >= 3 / 4 * KILLS


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]))
