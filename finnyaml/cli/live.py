"""Live progress on a terminal: finished tasks scroll by, running ones show their time and how far they are."""

from __future__ import annotations

import contextlib
import os
import time
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
        self._running: dict[str, tuple[float, str, Path]] = {}
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
            self._live.start()
        if kind == "task_started":
            log = self._logs[variant] / f"{event['task']}.log"
            self._running[task] = (time.monotonic(), why(event["reasons"]), log)
            return
        self._running.pop(task, None)
        if kind in ENDS:
            self._done += task in self._steps
        if text := told(event, self._width, self._console.width):
            self._console.print(Text(text, style=STYLES.get(kind, "")))

    def __rich__(self) -> RenderableType:
        now = time.monotonic()
        lines: list[RenderableType] = []
        for task, (since, reason, log) in list(self._running.items()):
            shown = f" {task.ljust(self._width)} {duration(now - since):>9}   {visible(_far(log) or reason)}"
            text = Text(shown, no_wrap=True, overflow="ellipsis")
            lines.append(Text.assemble("  ", ("●", "cyan"), text))
        lines.append(Text(f"  {self._done}/{len(self._steps)} steps, {duration(now - self._started)}", style="dim"))
        return Group(*lines)


def _far(log: Path) -> str:
    """How far a step says it is: the last such line at the end of its log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.removeprefix(PROGRESS) for line in reversed(lines) if line.startswith(PROGRESS)), "")
