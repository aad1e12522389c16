"""The first real cause in a log of Vivado, Vitis HLS, v++, a compiler or Python.

Tools say "error" all the time: in summaries, in the names of commands and files, in informational messages. And when
they fail, the first error is followed by many that only say that something failed before. So lines are ranked: the
first line of the best rank is the cause. Logs may be huge, so they are read line by line.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class ErrorLine:
    """A line of a log (counted from 1) that says what went wrong, and what to do where that is well known."""

    line: int
    text: str
    hint: str | None = None


class _Rank(IntEnum):
    """How much a line says about the cause; less is more."""

    CAUSE = 0
    EXCEPTION = 1
    FOLLOW_UP = 2
    SUSPICION = 3


_CHUNK = 1 << 13
_LONGEST = 2000

_WORTH_A_LOOK = re.compile(
    rb"error|fatal|critical warning|abnormal|killed|out of memory|allocate memory|memory exhausted|bad_alloc|exception"
    rb"|undefined reference|no space left|disk quota|license|sigkill|segmentation|core dumped|cannot find"
    rb"|exit(?:ed)?.{0,6} (?:code|status)|exited",
)
"""Most lines are dismissed by this alone: a search in their lower-case form, which is the quick way."""

_DECOY = re.compile(
    r"^\s*(?:INFO|Info|NOTE|STATUS|#)\b|^\s*#"  # a message that is none, a Tcl command echoed
    r"|^(?!\s*ERROR: \[).*\b\d+ (?:errors?|critical warnings?)\b"  # a summary: 0 Errors encountered
    r"|\[Timing 38-282\]|\bfailed to meet the timing\b"  # timing that is not met is a result
    r"|^Exception ignored\b|^The above exception\b|^During handling of\b",
    re.IGNORECASE,
)

_FOLLOW_UP = re.compile(
    r"failed due to earlier errors|\[Common 17-69\]|\[Common 17-70\]|due to failures in the following run"
    r"|\[(?:Vivado 12-13638|Vivado 12-8222)\]|Failed run(?:\(s\)|s\(s\))"
    r"|^(?:g?make)(?:\[\d+\])?: \*\*\*|ld returned \d+ exit status|returned non-zero exit status"
    r"|\[HLS 200-1715\]|\[v\+\+ 60-(?:599|661|703)\]|exit(?:ed)?(?: with)?(?: code| status)?[ :=]+(?:-?\d+)\b",
    re.IGNORECASE,
)

_CAUSE = re.compile(
    r"^\s*(?:\[[^\]]*\] ?)?(?:ERROR|FATAL|FATAL[_ ]ERROR)\s*:"  # Vivado, HLS, v++, xsim
    r"|^\s*@E \["  # Vivado HLS before 2018
    r"|^\s*FATAL_ERROR\b"
    r"|Abnormal program termination"
    r"|:\d+(?::\d+)?: (?:fatal )?error: |^\S*(?:g\+\+|gcc|clang\+\+|cc1plus|collect2|ld)\S*: (?:fatal )?error: "
    r"|undefined reference to |\bld: cannot find |^CMake Error\b"
    r"|No space left on device|Disk quota exceeded"
    r"|Out of memory|bad_alloc|Cannot allocate memory|virtual memory exhausted|MemoryError"
    r"|^Killed\b|\bKilled\s*(?:\(|$)|:\s+\d+ Killed\b|Segmentation fault|\bcore dumped\b"
    r"|SIGKILL|exit(?:ed)?(?: with)?(?: code| status)?[ :=]+(?:-9|137)\b",
)

_SUSPICION = re.compile(r"^\s*CRITICAL WARNING\s*:|\[Common 17-348\]")
_TRACEBACK = "Traceback (most recent call last):"
_RAISED = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?::|$)")

_HINTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), hint)
    for pattern, hint in (
        (
            r"\[Common 17-34[58]\]|valid license was not found|failed to get the license|license checkout",
            "No licence for this feature or device: set XILINXD_LICENSE_FILE to a licence file or to port@server, or "
            "choose a device that the free edition covers (`finnyaml doctor` shows which licence is found).",
        ),
        (
            r"No space left on device|Disk quota exceeded",
            "The disk is full: free some space (`finnyaml cache gc`), or put the store and TMPDIR on a larger disk.",
        ),
        (
            r"Out of memory|bad_alloc|Cannot allocate memory|virtual memory exhausted|MemoryError|Killed|SIGKILL"
            r"|exit(?:ed)?(?: with)?(?: code| status)?[ :=]+(?:-9|137)\b",
            "The process was killed, most likely because memory ran out: build with fewer `--jobs`, set "
            "NUM_DEFAULT_WORKERS to a smaller number, or use a machine with more memory.",
        ),
        (
            r"\[Coretcl 2-106\]|part could not be found|part '[^']*' is not (?:installed|found)|\[HLS 200-1023\]"
            r"|invalid .{0,40}\bpart\b|No parts? matched",
            "This Vivado/Vitis does not know the part: check `target.part`, and that its device family was chosen when "
            "the tools were installed.",
        ),
        (
            r"board_part.*(?:not found|invalid|could not)|\[Board 49-71\]",
            "Vivado does not know the board: FINN's board files may be missing (finn-plus: `finn deps update`).",
        ),
        (
            r"Abnormal program termination|Segmentation fault|core dumped|SIGSEGV",
            "The tool crashed. Running it again often helps; an hs_err_pid*.log beside the log says more.",
        ),
        (r"ap_int\.h|hls_stream\.h", "The headers of Vitis HLS were not found: set XILINX_HLS (settings64.sh does)."),
        (
            r"bnn-library\.h|weights\.hpp|activations\.hpp|mvau\.hpp|streamtools\.h",
            "FINN's C++ library was not found: run `finn deps update`, or point FINN_DEPS to where finn-hlslib is.",
        ),
        (r"cannot find -lz\b|zlib\.h", "Install the development files of zlib (package zlib1g-dev)."),
    )
)


def tool_logs(folder: Path, since: float = 0.0) -> list[Path]:
    """The logs that tools left below `folder` at or after `since` (seconds of the epoch), the oldest first.

    FINN does not pass on what Vivado and Vitis HLS say; they write it where they are called.
    """
    found = []
    for path in folder.rglob("*.log"):
        with contextlib.suppress(OSError):
            stat = path.stat()
            if path.is_file() and stat.st_mtime >= since:
                found.append((stat.st_mtime, path))
    return [path for _, path in sorted(found)]


def first_error_of(logs: Iterable[Path]) -> tuple[Path, ErrorLine] | None:
    """The cause among several logs: that of the first log which has one of the best rank."""
    best: tuple[_Rank, Path, ErrorLine] | None = None
    for log in logs:
        with contextlib.suppress(OSError), log.open("rb") as file:
            found = _search(file)
            if found is not None and (best is None or found[0] < best[0]):
                best = (found[0], log, found[1])
    return best[1:] if best else None


def hint_for(text: str) -> str | None:
    """What to do about a well-known failure."""
    return next((hint for pattern, hint in _HINTS if pattern.search(text)), None)


def _search(file: BinaryIO) -> tuple[_Rank, ErrorLine] | None:
    best: dict[_Rank, ErrorLine] = {}
    previous = ErrorLine(0, "")
    in_traceback = False
    for number, raw in _lines(file):
        line = ErrorLine(number, raw.decode("utf-8", "replace").rstrip())
        rank = _rank(line.text) if _WORTH_A_LOOK.search(raw.lower()) else None
        if _TRACEBACK in line.text:
            in_traceback = True
        elif in_traceback and line.text and not line.text[0].isspace():  # here it ends: with what was raised
            in_traceback = False
            if rank is None and _RAISED.match(line.text):
                rank = _Rank.EXCEPTION
        elif line.text.strip() == "while executing" and previous.text.strip() and not _DECOY.search(previous.text):
            rank, line = _Rank.EXCEPTION, previous  # Tcl's own kind of traceback; the message stands above it
        if rank is not None:
            best.setdefault(rank, line)
            if rank is _Rank.CAUSE:
                break
        previous = line
    if not best:
        return None
    rank = min(best)
    text = best[rank].text.strip()
    short = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return rank, ErrorLine(best[rank].line, short, hint_for(text))


def _rank(text: str) -> _Rank | None:
    if _DECOY.search(text):
        return None
    cause = _CAUSE.search(text)
    if _FOLLOW_UP.search(text) and not (cause and hint_for(text)):
        return _Rank.FOLLOW_UP
    if cause:
        return _Rank.CAUSE
    return _Rank.SUSPICION if _SUSPICION.search(text) else None


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines and their numbers; a line without end is given in pieces, so that it need not fit into memory."""
    number = 1
    while raw := file.readline(_CHUNK):
        yield number, raw
        number += raw.endswith(b"\n")
