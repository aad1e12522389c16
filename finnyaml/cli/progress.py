"""The progress of a build: plain lines when piped, live on a terminal; both made from the same events."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from finnyaml.api.progress import Lines, label
from finnyaml.engine.events import Event, Listener
from finnyaml.text import wrapped

_PIECE = 1 << 16  # characters of a log at a time


@contextmanager
def watching(*, quiet: bool = False, verbose: bool = False) -> Iterator[Listener]:
    """A listener that shows what happens, in the way that fits the terminal; `verbose` also shows what steps print.

    `quiet` leaves only warnings.
    """
    with ExitStack() as stack:
        lines = Lines(sys.stderr)
        views: list[Listener] = [lines]
        if quiet:
            views = [lambda event: lines(event) if event["event"] == "warnings" else None]
        elif sys.stderr.isatty() and not verbose and os.environ.get("TERM") != "dumb":
            from finnyaml.cli.live import Live

            views = [stack.enter_context(Live())]
        if verbose:
            views.append(stack.enter_context(_following()))

        def listen(event: Event) -> None:
            for view in views:
                view(event)

        yield listen


@contextmanager
def _following() -> Iterator[Listener]:
    """Copies the log of each running step to standard error, as it comes."""
    logs: dict[str, Path] = {}
    ended: dict[str, threading.Event] = {}
    tails: list[threading.Thread] = []

    def listen(event: Event) -> None:
        kind, variant = event["event"], str(event.get("variant", ""))
        task = label(event, str(event.get("task", "")))
        if kind == "run_started":
            logs[variant] = Path(event["run"], "logs")
        elif kind == "task_started":
            ended[task] = threading.Event()
            log = logs[variant] / f"{event['task']}.log"
            tail = threading.Thread(target=_tail, args=(log, ended[task]), daemon=True)
            tails.append(tail)
            tail.start()
        elif kind in ("task_finished", "task_failed") and task in ended:
            ended[task].set()

    try:
        yield listen
    finally:
        for end in ended.values():
            end.set()
        for tail in tails:
            tail.join(timeout=1)


def _tail(path: Path, ended: threading.Event) -> None:
    """Copy a growing log to standard error until its task has ended."""
    position = 0
    while True:
        last = ended.wait(0.2)
        if path.exists():
            with path.open(errors="replace") as file:
                file.seek(position)
                while text := file.read(_PIECE):
                    text += file.readline(_PIECE)
                    sys.stderr.write("".join(f"    | {wrapped(line, None)}\n" for line in text.split("\n") if line))
                position = file.tell()
        if last:
            return
