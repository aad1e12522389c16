"""Everything that happens in a run, as data: one JSON line per event, always; the human view is made from them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from finnyaml.files import reading

Event = Mapping[str, Any]
Listener = Callable[[Event], None]

ENDS = frozenset(("task_cached", "task_finished", "task_failed", "task_blocked", "task_skipped"))
"""Events after which a task is done with."""


class EventLog:
    """Writes events to a file and passes them on. Safe to use from several threads."""

    def __init__(self, path: Path, listeners: tuple[Listener, ...] = ()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel gives it back whatever way we end
        self._listeners = listeners
        self._guard = threading.Lock()

    def emit(self, event: str, **facts: Any) -> None:
        """Record one event; `event` is its kind (`task_started`, ...), `facts` what belongs to it."""
        record = {"event": event, "time": round(time.time(), 3), **facts}
        with self._guard:
            if not self._file.closed:
                self._file.write(json.dumps(record, default=str) + "\n")
                for listener in self._listeners:
                    with contextlib.suppress(OSError):  # whoever watched has gone; the build goes on
                        listener(record)

    def close(self) -> None:
        """Close the file; events that still come are dropped."""
        with self._guard:
            self._file.close()


def being_written(path: Path) -> bool:
    """Whether the process that writes these events is still there."""
    try:
        with reading(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # there is no such file
    return False
