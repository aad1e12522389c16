"""A store with another one elsewhere: what is missing here comes from there, what is made here goes there.

The build decides what it takes; this only brings it. A remote store that is slow, away or wrong costs time, and not
much of it: after the first trouble it is left alone, with one message, and what was to be sent is noted for later.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from finnyaml.store.disk import explained, unused
from finnyaml.store.model import Trace
from finnyaml.store.objects import ObjectDamaged
from finnyaml.store.remote import NotThere, Remote, Unreachable
from finnyaml.store.store import TRACES_PER_KEY, Store
from finnyaml.text import counted

AT_ONCE = 8
"""How many objects travel at a time."""

PATIENCE = 30.0
"""Seconds that a result may take to come, if it did not take longer to make; and to go, once a build has ended."""


class Mirrored(Store):
    """A `Store` that knows a remote one, once `attach` has named it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.remote: Remote | None = None
        """None where there is none, or where it is left alone."""
        self.received = 0
        """How many results came."""
        self._trouble: Unreachable | None = None
        self.shown = ""
        """The URL of the remote store, for people."""
        self._fetch = self._write = False
        self._notice: Callable[[str], None] = lambda _: None
        self._far: dict[str, tuple[Trace, ...]] = {}
        self._promised: set[str] = set()
        self._unsent: dict[tuple[str, str], Trace] = {}
        self._outbox: queue.SimpleQueue[tuple[str, Trace]] = queue.SimpleQueue()
        self._guard = threading.Lock()

    def attach(self, remote: Remote, shown: str, *, write: bool, notice: Callable[[str], None]) -> None:
        """Name the remote store. `write`: what is made here is sent. `notice` is told what a user should know."""
        self.remote, self.shown, self._write, self._notice = remote, shown, write and not self.read_only, notice

    # -- as builds use it ---------------------------------------------------------------------------------------------

    def use_remote(self, *, fetch: bool) -> None:
        """Bring results here and send some there from now on; or leave the remote store alone."""
        if not fetch:
            self.remote = None
        elif self._write and not self._fetch:
            for key, artifact in self.memo(self._memo) or ():
                for trace in self.traces(key):
                    if trace.artifact == artifact:
                        self._send_later(key, trace)
            threading.Thread(target=self._sending, daemon=True).start()
        self._fetch = fetch

    def candidates(self, key: str) -> Iterator[Trace]:
        """The traces of this store, then those that the remote one has besides."""
        own = self.traces(key)
        yield from own
        yield from (trace for trace in self._elsewhere(key) if trace not in own)

    def complete(self, key: str, trace: Trace) -> bool:
        """Bring what a trace of the remote store needs; then it is one of this store, too. A plan only looks."""
        if trace not in self._far.get(key, ()):
            return True
        try:
            needed = self.reachable(trace)
        except ObjectDamaged:
            return False
        if not self._fetch or self.read_only:
            self._promised |= needed
            return True
        missing = [digest for digest in needed if not super(Mirrored, self).has(digest)]
        if not self._bring(missing, max(PATIENCE, trace.seconds)):
            return False
        super().add_trace(key, trace)
        self._far[key] = tuple(other for other in self._far[key] if other != trace)
        self.received += 1
        return True

    def add_trace(self, key: str, trace: Trace) -> None:
        """Commit a trace here; it goes to the remote store beside the build."""
        super().add_trace(key, trace)
        if self._write:
            self._send_later(key, trace)

    def made_elsewhere(self, key: str, trace: Trace) -> None:
        """It goes to the remote store: the machines of a cluster may not reach that."""
        if self._write:
            self._send_later(key, trace)

    def has(self, digest: str) -> bool:
        """Whether the object is here, or was seen to belong to a result that the remote store has."""
        return super().has(digest) or digest in self._promised

    def finish(self) -> None:
        """Wait for what is on its way, but not long; note what is not there yet, for the next build."""
        if self.received:
            self._notice(f"{counted(self.received, 'result')} came from {self.shown}")
            self.received = 0
        if not self._write:
            return
        ends = time.monotonic() + PATIENCE
        while self._unsent and self.remote is not None and time.monotonic() < ends:
            time.sleep(0.02)
        if self._unsent and (self._trouble or self.remote):
            left = counted(len(self._unsent), "result")
            self._notice(
                f"{left} could not be sent to {self.shown} yet: the next build, or `finnyaml cache push`, does"
            )

    # -- all of it at once --------------------------------------------------------------------------------------------

    def push(self) -> int:
        """Send every result of this store that the remote one lacks; how many. Raises `Unreachable`."""
        sent = 0
        for key in self.trace_keys():
            there = self._asked().traces(key)
            for trace in reversed(self.traces(key)):
                if trace not in there:
                    self._send(key, trace)
                    sent += 1
        return sent

    def pull(self) -> int:
        """Bring every result of the remote store that this one lacks; how many. Raises `Unreachable`."""
        self._fetch = True
        brought = 0
        for key in self._asked().trace_keys():
            own = self.traces(key)
            for trace in reversed(self._elsewhere(key)):
                if trace not in own and self.complete(key, trace):
                    brought += 1
        self._asked()
        return brought

    def _asked(self) -> Remote:
        if self.remote is None:
            raise self._trouble or Unreachable("there is none")
        return self.remote

    # -- from there ---------------------------------------------------------------------------------------------------

    def _elsewhere(self, key: str) -> tuple[Trace, ...]:
        """What the remote store has of a key; asked once."""
        if key not in self._far and self.remote is not None:
            try:
                self._far[key] = self.remote.traces(key)
            except Unreachable as error:
                self._leave(error)
        return self._far.get(key, ())

    def _opened(self, digest: str) -> BinaryIO:
        try:
            return super()._opened(digest)
        except ObjectDamaged:
            if not self._bring([digest], PATIENCE):
                raise
        return super()._opened(digest)

    def _bring(self, digests: Collection[str], seconds: float) -> bool:
        """Fetch objects, several at a time; whether all came in time. The main thread waits so that Ctrl-C is seen."""
        remote, waiting = self.remote, queue.SimpleQueue[str]()
        if remote is None or self.read_only:
            return not digests
        for digest in digests:
            waiting.put(digest)
        results: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def fetch() -> None:
            while self.remote is not None:
                try:
                    digest = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    with explained(self.root):
                        self._write_object(remote.fetch(digest, unused(self.root)))
                    results.put(None)
                except BaseException as error:
                    results.put(error)

        for _ in range(min(AT_ONCE, len(digests))):
            threading.Thread(target=fetch, daemon=True).start()
        ends = time.monotonic() + seconds
        for _ in digests:
            try:
                error = _next(results, ends)
            except queue.Empty:
                error = Unreachable(f"a result did not come within {seconds:.0f} s")
            if isinstance(error, NotThere):
                return False
            if isinstance(error, Unreachable):
                self._leave(error)
                return False
            if error is not None:
                raise error
        return True

    def _leave(self, error: Unreachable) -> None:
        """Leave the remote store alone for the rest of this build."""
        with self._guard:
            left, self.remote = self.remote, None
        if left is not None:
            self._trouble = error
            self._notice(f"warning: {self.shown} is left alone for now: {str(error).strip()[:300]}")

    # -- to there -----------------------------------------------------------------------------------------------------

    @property
    def _memo(self) -> str:
        return f"unsent-{hashlib.sha256(self.shown.encode()).hexdigest()[:32]}"

    def _send_later(self, key: str, trace: Trace) -> None:
        with self._guard:
            self._unsent[key, trace.artifact] = trace
            self.put_memo(self._memo, [list(item) for item in self._unsent])
        self._outbox.put((key, trace))

    def _sending(self) -> None:
        while self.remote is not None:
            key, trace = self._outbox.get()
            try:
                self._send(key, trace)
            except (Unreachable, NotThere) as error:
                self._leave(
                    error if isinstance(error, Unreachable) else Unreachable(f"there is no such place: {error}")
                )
            except ObjectDamaged:
                continue  # it is gone here meanwhile
            except Exception as error:  # the disk, most likely; the build itself will say so
                self._leave(Unreachable(str(error)))
            else:
                with self._guard:
                    self._unsent.pop((key, trace.artifact), None)
                    self.put_memo(self._memo, [list(item) for item in self._unsent])

    def _send(self, key: str, trace: Trace) -> None:
        remote = self._asked()
        for digest in sorted(super().reachable(trace)):
            if not remote.has(digest):
                remote.send(digest, self.chunks(digest), unused(self.root))
        remote.add_trace(key, trace, TRACES_PER_KEY)


def _next(results: queue.SimpleQueue[BaseException | None], ends: float) -> BaseException | None:
    """The next result; short waits, so that Ctrl-C is seen at once. `queue.Empty` where none comes in time."""
    while True:
        try:
            return results.get(timeout=0.2)
        except queue.Empty:
            if time.monotonic() > ends:
                raise
