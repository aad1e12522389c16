"""One process that looks at damaged inputs; `python -m tests.fuzz` starts it, and another where an input ends it."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from time import process_time
from typing import Any, TextIO

from tests.fuzz.targets import TARGETS, drawn
from tests.fuzz.watch import LIMIT

MEMORY = 4 << 30
"""Address space that may be taken beyond what is there before the first input."""
OFTEN = 500
"""After so many inputs it is said how many there were, so that little is lost where an input ends the process."""


def main(name: str, folder: str, warm: str, seed: str, first: str, end: str, step: str) -> None:
    """Look at the inputs of these numbers: a line of JSON for each fault, and now and then one with counts.

    The input that is looked at lies in `folder` as `<number>-<kind>`; one that shows a fault stays there.
    """
    sys.dont_write_bytecode = True
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    target = TARGETS[name](Path(folder, "target"), Path(warm))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    counts, longest = Counter[str](), 0.0
    for number in range(int(first), int(end), int(step)):
        kind, data = drawn(target, Random(f"{seed}-{number}"))
        place = Path(folder, f"{number}-{kind}")
        place.write_bytes(data)
        started = process_time()
        # Native code does not hear a Python handler: there the default action of this signal ends the process.
        signal.setitimer(signal.ITIMER_PROF, 4 * LIMIT)
        try:
            counts["taken" if target.check(kind, data) else "refused"] += 1
            place.unlink()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            counts["faults"] += 1
            _print(out, fault=[place.name, f"{type(error).__name__}: {error}"[:300], _where(error)])
        signal.setitimer(signal.ITIMER_PROF, 0)
        longest = max(longest, process_time() - started)
        if counts.total() == OFTEN:
            _print(out, counts=counts, longest=longest)
            counts.clear()
    _print(out, counts=counts, longest=longest)


def _print(out: TextIO, **told: Any) -> None:
    print(json.dumps(told), file=out, flush=True)


def _where(error: BaseException) -> str:
    """The last line of the package that the error came through: faults of one line are one fault."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/finnyaml/" in frame.filename and "site-packages" not in frame.filename]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}"


if __name__ == "__main__":
    main(*sys.argv[1:])
