"""Entry point of the `finnyaml` command and of `python -m finnyaml`."""

from __future__ import annotations

import io
import signal
import sys
from typing import NoReturn

ENDS = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end a command as Ctrl-C does: `kill`, a batch system, a terminal that is closed."""


def main() -> int:
    """Run the command line; the quick path first, which imports next to nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal cannot show must not end a build
    from finnyaml.cli import quick

    if quick.up_to_date(sys.argv[1:]):
        return 0
    from finnyaml.cli.app import run

    for each in ENDS:
        if signal.getsignal(each) == signal.SIG_DFL:  # `nohup` means that a signal is not to be heard
            signal.signal(each, _interrupt)
    return run()


def _interrupt(*_: object) -> NoReturn:
    for each in ENDS:  # they often come together, and the second must not disturb the end
        signal.signal(each, signal.SIG_IGN)
    from finnyaml.errors import Ended

    raise Ended


if __name__ == "__main__":
    sys.exit(main())
