"""Remote stores: results go there and come from there; trouble costs time, and never gives a wrong result."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finnyaml.store import ObjectDamaged, Store, Trace
from finnyaml.store import mirrored as mirroring
from finnyaml.store import remote as remotes
from finnyaml.store.disk import seal
from finnyaml.store.mirrored import Mirrored
from finnyaml.store.remote import Remote, Unreachable
from finnyaml.store.upkeep import verify
from tests.store.samples import trace_of, weighty
from tests.store.servers import KINDS, Server, folder_of, free_port, s3

KEY = "ab" + "0" * 62
Attach = Callable[..., Mirrored]


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with KINDS[request.param](tmp_path / "server") as found:
        for name, value in found.variables.items():
            monkeypatch.setenv(name, value)
        yield found


@pytest.fixture
def attach(tmp_path: Path) -> Attach:
    """A store of its own, with a remote one; `said` collects what its user is told."""

    def attached(name: str, url: str, *, write: bool = True, key: bytes | None = None) -> Mirrored:
        store = Mirrored.open(tmp_path / name)
        said: list[str] = []
        store.said = said  # type: ignore[attr-defined]
        store.attach(Remote(url, key), url, write=write, notice=said.append)
        store.use_remote(fetch=True)
        return store

    return attached


def said(store: Mirrored) -> list[str]:
    found: list[str] = store.said  # type: ignore[attr-defined]
    return found


def put(store: Mirrored, key: str = KEY, **files: object) -> Trace:
    trace = trace_of(store, **(files or {"model": weighty(store), "log": b"a" * 10_000}))  # type: ignore[arg-type]
    store.add_trace(key, trace)
    store.finish()
    return trace


def taken(store: Mirrored, key: str = KEY) -> Trace | None:
    """The first result that a build could use."""
    return next((trace for trace in store.candidates(key) if store.complete(key, trace)), None)


def test_what_one_makes_another_has(server: Server, attach: Attach) -> None:
    made = put(one := attach("one", server.url))
    assert said(one) == []
    other = attach("other", server.url, write=False)
    assert taken(other) == made
    other.finish()
    assert said(other) == [f"1 result came from {server.url}"]
    alone = Store.open(other.root)
    assert alone.traces(KEY) == (made,)
    assert {digest: alone.read(digest) for digest in alone.reachable(made)} == {
        digest: one.read(digest) for digest in one.reachable(made)
    }
    assert verify(alone).sound


def test_it_is_asked_once_and_only_for_what_is_not_here(server: Server, attach: Attach) -> None:
    put(attach("one", server.url))
    other = attach("other", server.url)
    assert taken(other)
    server.files.rename(server.files.with_name("away"))
    assert taken(other)
    assert taken(other, "cd" + KEY[2:]) is None
    assert said(other) == []


def test_a_plan_brings_nothing_but_records(server: Server, attach: Attach) -> None:
    made = put(attach("one", server.url))
    looking = attach("looking", server.url)
    looking._fetch = False
    assert taken(looking) == made
    assert all(looking.has(digest) for digest in looking.reachable(made))
    assert len([*looking.objects()]) == 1
    assert Store.open(looking.root).traces(KEY) == ()


def test_traces_of_a_key_are_kept_side_by_side(server: Server, attach: Attach) -> None:
    one, two = attach("one", server.url), attach("two", server.url)
    first = trace_of(one, {"env": {"A": "1"}}, a=b"1")
    one.add_trace(KEY, first)
    one.finish()
    second = trace_of(two, {"env": {"A": "2"}}, a=b"2")
    two.add_trace(KEY, second)
    two.finish()
    third = attach("third", server.url)
    assert [*third.candidates(KEY)] == [second, first]


def test_push_and_pull(server: Server, attach: Attach) -> None:
    one = attach("one", server.url, write=False)
    for number in range(5):
        put(one, f"{number}{KEY[1:]}", a=f"{number}".encode())
    assert one.push() == 5
    assert one.push() == 0
    other = attach("other", server.url)
    assert other.pull() == 5
    assert other.pull() == 0
    assert other.trace_keys() == one.trace_keys()
    assert verify(Store.open(other.root)).sound


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "cut": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "another": lambda data: b"\0something else",
    "how it is kept": lambda data: b"\7" + data[1:],
    "compressed forms that are none": lambda data: b"\1no such thing",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_wrong_bytes_give_no_result(tmp_path: Path, attach: Attach, damage: Callable[[bytes], bytes]) -> None:
    with folder_of(tmp_path / "server") as server:
        put(attach("one", server.url))
        files = [path for path in server.files.rglob("*") if path.is_file()]
        assert len(files) == 6
        for path in files:
            right = path.read_bytes()
            path.write_bytes(damage(right))
            other = attach(path.name, server.url)
            assert taken(other) is None
            assert verify(Store.open(other.root)).sound
            assert said(other) == []
            path.write_bytes(right)
        assert taken(attach("last", server.url))


def test_traces_of_another_key_are_none(tmp_path: Path, attach: Attach) -> None:
    with folder_of(tmp_path / "server") as server:
        put(attach("one", server.url))
        other = "ac" + KEY[2:]
        (server.files / "traces/ac").mkdir()
        shutil.copy(server.files / "traces/ab" / KEY, server.files / "traces/ac" / other)
        assert taken(attach("other", server.url), other) is None


def test_only_what_is_signed_with_our_key_counts(tmp_path: Path, attach: Attach) -> None:
    with folder_of(tmp_path / "server") as server:
        ours, theirs = b"a secret of the lab", b"another secret here"
        signed = put(attach("one", server.url, key=ours))
        assert taken(attach("with", server.url, key=ours)) == signed
        assert taken(attach("wrong", server.url, key=theirs)) is None
        assert taken(attach("without", server.url)) == signed  # who asks for no signature sees all
        put(attach("stranger", server.url), a=b"unsigned")
        again = attach("again", server.url, key=ours)
        assert taken(again) is None  # the last one there signed nothing, and wrote over it
        document = server.files / "traces/ab" / KEY
        listed = json.loads(document.read_bytes().partition(b"\n")[2])
        listed["data"][0]["trace"]["seconds"] = 9.9
        document.write_bytes(seal(KEY, listed["data"]))
        assert taken(attach("forged", server.url, key=ours)) is None


def test_nobody_answers(attach: Attach) -> None:
    url = f"sftp://127.0.0.1:{free_port()}/nowhere"
    store = attach("one", url)
    made = put(store)
    assert store.remote is None
    assert taken(store) == made
    (first, second) = said(store)
    assert first.startswith(f"warning: {url} is left alone for now: ")
    assert second.startswith(f"1 result could not be sent to {url} yet")


def test_what_could_not_be_sent_is_sent_later(tmp_path: Path, attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    with folder_of(tmp_path / "server") as server:
        blocked = server.files
        blocked.parent.mkdir(parents=True)
        blocked.write_text("a file in its place")
        made = put(first := attach("one", server.url))
        assert len(said(first)) == 2
        blocked.unlink()
        again = attach("one", server.url)
        again.finish()
        assert said(again) == []
        assert taken(attach("other", server.url)) == made


def test_a_slow_one_is_left_alone(tmp_path: Path, attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is stopped, so it takes connections and never answers."""
    with s3(tmp_path / "server") as server:
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        put(attach("one", server.url))
        assert server.process is not None
        within = attach("within", server.url)
        assert within.reachable(next(iter(within.candidates(KEY))))
        server.process.send_signal(signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(remotes, "ANSWER", 0.5)
            other = attach("other", server.url)
            assert taken(other) is None
            assert "no answer within" in said(other)[0]
            patch.setattr(mirroring, "PATIENCE", 0.2)
            assert taken(within) is None
            assert said(within)[0].endswith("a result did not come within 2 s")  # what it took to make, rounded
        server.process.send_signal(signal.SIGCONT)
        assert taken(attach("third", server.url))


def test_nothing_is_written_where_only_reading_is_asked(server: Server, attach: Attach) -> None:
    put(attach("one", server.url, write=False))
    assert not server.files.exists()


def test_an_object_that_went_here_comes_from_there(server: Server, attach: Attach) -> None:
    made = put(one := attach("one", server.url))
    one.delete(made.log)
    assert one.read(made.log)
    one.use_remote(fetch=False)
    one.delete(made.log)
    with pytest.raises(ObjectDamaged):
        one.read(made.log)


def test_what_does_not_shrink_is_sent_as_it_is(tmp_path: Path) -> None:
    with folder_of(tmp_path / "server") as server:
        remote = Remote(server.url)
        store = Store.open(tmp_path / "store")
        for name, data in {"random": os.urandom(300_000), "even": b"a" * 300_000, "empty": b""}.items():
            digest = store.put_bytes(data)
            remote.send(digest, store.chunks(digest), tmp_path / "aside")
            size = (server.files / "objects" / digest[:2] / digest).stat().st_size
            assert (size == len(data) + 1) == (name != "even"), name
            assert b"".join(remote.fetch(digest, tmp_path / "aside")) == data


def test_an_unknown_host_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with KINDS["sftp"](tmp_path / "server") as server:
        monkeypatch.setenv("HOME", server.variables["HOME"])
        known = Path(server.variables["HOME"], ".ssh/known_hosts")
        known.write_text("")
        with pytest.raises(Unreachable, match="not found in known_hosts"):
            Remote(server.url).has("0" * 64)
