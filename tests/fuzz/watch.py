"""What code did while one input was looked at: whether it came to an end, and kept its hands off everything."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LIMIT = 5.0
"""Seconds of processor time that looking at one input may take: what else the machine does is not counted."""

STARTS = (
    *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn", "subprocess.Popen"),
    *("socket.bind", "socket.connect", "socket.getaddrinfo", "urllib.Request"),
)
CHANGES = (
    *("os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.setxattr"),
    *("os.symlink", "os.truncate", "os.utime", "shutil.copyfile", "shutil.copytree", "shutil.move", "shutil.rmtree"),
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class TooLong(BaseException):
    """It did not end in time. Not an Exception, so that nothing takes it for an error of its own."""


class _Watch:
    """What is watched for just now."""

    inputs = ""
    may_change = ""
    seen: list[str] | None = None


@contextmanager
def watched(inputs: str, may_change: str | None = None) -> Iterator[None]:
    """Let what runs inside read, and change what lies below `may_change`; nothing else.

    `inputs` is the folder that inputs lie in: no code from there may run. AssertionError where something else was
    changed, a program started, or a connection asked for; `TooLong` where there is no end.
    """
    _install()
    _Watch.inputs = os.path.join(inputs, "")
    _Watch.may_change = os.path.join(may_change, "") if may_change else "\0"
    signal.signal(signal.SIGVTALRM, _too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
    seen = _Watch.seen = []
    try:
        yield
    finally:
        _Watch.seen = None
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    assert not seen, f"it must only look, but: {', '.join(seen)}"


def _too_long(*_: object) -> None:
    raise TooLong(f"no end within {LIMIT:g} s of processor time")


def _install(done: list[bool] = []) -> None:  # noqa: B006 - a hook is for good, so it is put in once
    if not done:
        done.append(True)
        sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    seen = _Watch.seen
    if seen is None:
        return
    if event in STARTS:
        seen.append(f"{event} {arguments[0]!r}")
    elif event in CHANGES:
        seen.extend(f"{event} {path!r}" for path in arguments[:2] if isinstance(path, str) and not _allowed(path))
    elif event == "open":
        path, _, flags = arguments
        if isinstance(path, str) and isinstance(flags, int) and flags & _WRITING and not _allowed(path):
            seen.append(f"wrote {path!r}")
    elif event == "exec" and str(getattr(arguments[0], "co_filename", "")).startswith(_Watch.inputs):
        seen.append(f"ran {arguments[0].co_filename}")


def _allowed(path: str) -> bool:
    # Names without a folder are what `shutil.rmtree` removes in a folder that it has told of before.
    return (
        path.startswith(_Watch.may_change) or "__pycache__" in path or (_Watch.may_change != "\0" and "/" not in path)
    )
