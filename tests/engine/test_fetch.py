"""Files from the network, from a server of the test's own that does all that servers do."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from finnyaml.engine.fetch import TRIES, NotFetched, fetch
from finnyaml.recipe.model import Download
from finnyaml.store import CACHE, Store

DATA = bytes(range(256)) * 4096
SHA = hashlib.sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """What was asked of it, and how it behaves."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.breaks = 0
        """So many answers end in the middle."""
        self.ranges = True
        self.failures = 0
        """So many answers are 503."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def ranges_asked(self) -> list[str | None]:
        return [wanted for _, wanted in self.asked]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", {"/moved": "/file.npz", "/moved-away": "ftp://x/file"}[self.path])
            self.end_headers()
            return
        if not self.path.startswith("/file.npz"):
            self.send_error(404)
            return
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(503)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(DATA):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        body = DATA[start:]
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def remote(url: str, sha256: str = SHA) -> Download:
    return Download(url, sha256, ("model", "onnx"))


def get(of: Download, store: Store, *, offline: bool = False) -> list[tuple[int, int | None]]:
    told: list[tuple[int, int | None]] = []
    fetch(of, store, lambda received, size: told.append((received, size)), offline=offline)
    return told


def test_a_file_is_fetched_once(server: Server, store: Store) -> None:
    assert get(remote(server.url("file.npz")), store) == [(0, len(DATA))]
    assert store.read(SHA) == DATA
    assert get(remote(server.url("gone.npz")), store) == []  # the store has it, wherever it came from
    assert get(remote(server.url("file.npz")), store, offline=True) == []
    assert len(server.asked) == 1
    assert not any((store.root / CACHE / "fetch").iterdir())


def test_it_goes_on_where_the_connection_broke(server: Server, store: Store) -> None:
    server.breaks = 2
    half, more = len(DATA) // 2, len(DATA) * 3 // 4
    assert get(remote(server.url("file.npz")), store) == [(size, len(DATA)) for size in (0, half, more)]
    assert server.ranges_asked() == [None, f"bytes={half}-", f"bytes={more}-"]
    assert store.read(SHA) == DATA


def test_another_build_goes_on_from_there(server: Server, store: Store) -> None:
    server.breaks = TRIES
    with pytest.raises(NotFetched, match="the connection broke off") as refused:
        get(remote(server.url("file.npz")), store)
    assert "the next build goes on from there" in str(refused.value.hint)
    assert [told for told, _ in get(remote(server.url("file.npz")), store)] == [len(DATA) * 15 // 16]
    assert store.read(SHA) == DATA


def test_a_server_without_ranges_begins_anew(server: Server, store: Store) -> None:
    server.breaks, server.ranges = 1, False
    assert [told for told, _ in get(remote(server.url("file.npz")), store)] == [0, 0]
    assert store.read(SHA) == DATA


def test_more_than_there_is_begins_anew(server: Server, store: Store) -> None:
    part = store.root / CACHE / "fetch" / f"{SHA}-{os.getuid()}"
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA + b"more")
    get(remote(server.url("file.npz")), store)
    assert server.ranges_asked() == [f"bytes={len(DATA) + 4}-", None]
    assert store.read(SHA) == DATA


def test_a_server_that_is_busy_is_asked_again(server: Server, store: Store) -> None:
    server.failures = 1
    get(remote(server.url("file.npz")), store)
    assert store.read(SHA) == DATA
    server.failures = TRIES
    with pytest.raises(NotFetched, match="503"):
        get(remote(server.url("file.npz"), "0" * 64), store)


def test_redirects_are_followed_within_http(server: Server, store: Store) -> None:
    get(remote(server.url("moved")), store)
    assert [path for path, _ in server.asked] == ["/moved", "/file.npz"]
    with pytest.raises(NotFetched, match="cannot be fetched"):
        get(remote(server.url("moved-away"), "0" * 64), store)


def test_another_file_is_refused(server: Server, store: Store) -> None:
    with pytest.raises(NotFetched, match=f"its SHA-256 is {SHA}, not 0000") as refused:
        get(remote(server.url("file.npz"), "0" * 64), store)
    assert "model.onnx" in str(refused.value.hint)
    assert not store.has(SHA) and not any((store.root / CACHE / "fetch").iterdir())


def test_what_is_not_there(server: Server, store: Store) -> None:
    with pytest.raises(NotFetched, match="404") as refused:
        get(remote(server.url("none.npz?token=secret")), store)
    assert "secret" not in f"{refused.value.message}{refused.value.hint}" and "model.onnx" in str(refused.value.hint)
    assert len(server.asked) == 1
    with pytest.raises(NotFetched, match="--offline"):
        get(remote(server.url("file.npz")), store, offline=True)
    server.shutdown()
    server.server_close()
    with pytest.raises(NotFetched, match="refused"):
        get(remote(server.url("file.npz")), store)


def test_a_local_file(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a b.npz").write_bytes(DATA)
    get(remote(f"file://{tmp_path}/a%20b.npz"), store, offline=True)
    assert store.read(SHA) == DATA
    with pytest.raises(NotFetched, match="No such file"):
        get(remote(f"file://{tmp_path}/none", "0" * 64), store)
