"""The progress of a build: plain lines when piped, live on a terminal; both made from the same events."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from finnyaml.cli.console import write
from finnyaml.cli.lines import line_of
from finnyaml.engine.events import Event

if TYPE_CHECKING:
    from typing_extensions import Self


class Progress(Protocol):
    """A view of a running build."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def on_event(self, event: Event) -> None:
        """Show one event."""


def view(*, quiet: bool, verbose: bool = False) -> Progress:
    """The view that fits where progress goes; `verbose` also shows what steps print, `quiet` nothing else."""
    if not quiet and sys.stderr.isatty() and not verbose and os.environ.get("TERM") != "dumb":
        from finnyaml.cli.live import Live

        return Live()
    return _Lines(None if quiet else sys.stderr, verbose)


class _Lines:
    """Plain lines to a stream, if there is one; `verbose` shows what the steps print too, as it comes."""

    def __init__(self, stream: TextIO | None, verbose: bool) -> None:
        self._width = 0
        self._stream = stream
        self._verbose = verbose
        self._logs = Path()
        self._ended: dict[str, threading.Event] = {}
        self._tails: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for ended in self._ended.values():
            ended.set()
        for tail in self._tails:
            tail.join(timeout=1)

    def on_event(self, event: Event) -> None:
        """Print the event's line."""
        if event["event"] == "run_started":
            self._width = max(map(len, event["tasks"]), default=0)
            self._logs = Path(event["run"], "logs")
        if self._verbose:
            self._follow(event)
        line = line_of(event, self._width)
        if line is not None and self._stream is not None:
            write([line], self._stream)

    def _follow(self, event: Event) -> None:
        task = str(event.get("task", ""))
        if event["event"] == "task_started":
            self._ended[task] = threading.Event()
            tail = threading.Thread(target=_tail, args=(self._logs / f"{task}.log", self._ended[task]), daemon=True)
            self._tails.append(tail)
            tail.start()
        elif event["event"] in ("task_finished", "task_failed") and task in self._ended:
            self._ended[task].set()


def _tail(path: Path, ended: threading.Event) -> None:
    """Copy a growing log to standard error until its task has ended."""
    position = 0
    while True:
        last = ended.wait(0.2)
        if path.exists():
            with path.open(errors="replace") as file:
                file.seek(position)
                text = file.read()
                position = file.tell()
            if text:
                sys.stderr.write("".join(f"    | {line}\n" for line in text.splitlines()))
        if last:
            return
