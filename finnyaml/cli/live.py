"""Live progress on a terminal: finished tasks scroll by, running ones show their time and how far they are.

It fits the terminal, however many tasks run: those that have no row are only counted.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.text import Text

from finnyaml.api.progress import label, told, why
from finnyaml.engine.events import ENDS, Event
from finnyaml.text import PROGRESS, duration, visible

if TYPE_CHECKING:
    from typing_extensions import Self

STYLES = {
    "task_cached": "dim",
    "task_finished": "green",
    "task_failed": "bold red",
    "task_blocked": "yellow",
    "task_skipped": "dim",
    "input_changed": "yellow",
    "store_damaged": "yellow",
    "point_not_passed": "yellow",
    "point_note": "yellow",
}

_ROWS = 12
"""Of tasks that run, so many are shown at most."""

_TAIL = 2_000
"""Bytes at the end of a log in which a line on progress is looked for."""


class Live:
    """A rich view of the events of one build."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._width = self._done = 0
        self._steps: frozenset[str] = frozenset()
        self._started = time.monotonic()
        self._logs: dict[str, Path] = {}
        self._running: dict[str, _Running] = {}
        self._queued: dict[str, str] = {}
        self._left: dict[str, float | None] = {}
        self._failed = 0
        self._live = RichLive(self, console=self._console, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the terminal has gone
            self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        kind, task = event["event"], label(event, str(event.get("task", "")))
        variant = str(event.get("variant", ""))
        if kind == "run_started":
            self._logs[variant] = Path(event["run"], "logs")
            self._width = max([self._width, *(len(label(event, task)) for task in event["tasks"])])
            self._steps |= {label(event, step) for step in event["steps"]}
            self._left |= {label(event, each): event.get("expected", {}).get(each) for each in event["tasks"]}
            self._live.start()
        if kind == "task_started":
            log = Path(event.get("log") or self._logs[variant] / f"{event['task']}.log")
            self._queued.pop(task, None)
            node, expected = event.get("node", ""), event.get("expected")
            self._running[task] = _Running(event.get("time", time.time()), why(event["reasons"]), log, node, expected)
            return
        if kind in ("job_submitted", "task_queued"):
            self._running.pop(task, None)
            self._queued[task] = event.get("reason", "")
            return
        self._running.pop(task, None)
        self._queued.pop(task, None)
        if kind in ENDS:
            self._done += task in self._steps
            self._failed += kind == "task_failed"
            self._left.pop(task, None)
        if text := told(event, self._width, self._console.width):
            self._console.print(Text(text, style=STYLES.get(kind, "")))

    def __rich__(self) -> RenderableType:
        now = time.time()
        running = sorted(self._running.items(), key=lambda item: item[1].since)
        rows = max(3, min(_ROWS, self._console.height - 4))
        lines: list[RenderableType] = []
        for task, row in running if len(running) <= rows else running[: rows - 1]:
            shown = f" {task.ljust(self._width)} {row.told(now)}"
            text = Text(shown, no_wrap=True, overflow="ellipsis")
            lines.append(Text.assemble("  ", ("●", "cyan"), text))
        if len(running) > rows:
            lines.append(Text(f"    and {len(running) - rows + 1} more", style="dim"))
        for line in filter(None, (self._counts(), f"{self._done}/{len(self._steps)} steps, {self._clock(now)}")):
            lines.append(Text(f"  {line}", style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*lines)

    def _counts(self) -> str:
        """How many tasks there are of each state; empty where that is seen."""
        if not self._queued and len(self._running) <= 1:
            return ""
        told = [f"{len(self._running)} run"]
        if self._queued:
            why_not = Counter(reason for reason in self._queued.values() if reason not in ("", "None"))
            shown = (
                f" ({', '.join(f'{reason} {count}' for reason, count in why_not.most_common(2))})" if why_not else ""
            )
            told.append(f"{len(self._queued)} in the queue{shown}")
        if self._failed:
            told.append(f"{self._failed} failed")
        return ", ".join(told)

    def _clock(self, now: float) -> str:
        """How long it has run, and where all that is left took a known time before, how long it may go on."""
        told = duration(time.monotonic() - self._started)
        if not self._left or None in self._left.values():
            return told
        left = {task: seconds or 0 for task, seconds in self._left.items()}
        for task, row in self._running.items():
            left[task] = max(0, left.get(task, 0) - (now - row.since))
        rest = max(max(left.values()), sum(left.values()) / max(1, len(self._running)))
        return f"{told}, about {_about(rest)} left"


@dataclass(frozen=True)
class _Running:
    """A task that runs: since when, why, where it prints to, on which node, how long it may take (s)."""

    since: float
    reason: str
    log: Path
    node: str = ""
    expected: float | None = None

    def told(self, now: float) -> str:
        """How long it runs, of how long, where, and how far it is."""
        about = f" of about {_about(self.expected)}" if self.expected and self.expected >= 1 else ""
        on = f" on {self.node}" if self.node else ""
        return f"{duration(max(0, now - self.since)):>9}{about}{on}   {visible(_far(self.log) or self.reason)}"


def _about(seconds: float) -> str:
    """A time that nobody knows to the second."""
    return duration(seconds if seconds < 60 else round(seconds / 60) * 60).removesuffix(" 00 s")


def _far(log: Path) -> str:
    """How far a step says it is: the last such line at the end of its log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.removeprefix(PROGRESS) for line in reversed(lines) if line.startswith(PROGRESS)), "")
