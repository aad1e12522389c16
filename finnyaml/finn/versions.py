"""Which versions of FINN finnyaml is tested with, and what it says where another one is installed."""

from __future__ import annotations

import re

OLDEST, NEWEST = "1.5.0", "1.6.1"
"""Of finn-plus; `make check-finn VERSION=...` builds with one of them. Older ones do not import without Vivado."""

OPEN_RTL = "finn-plus 1.6.0 or 1.6.1"
"""The FINNs with which the open RTL path runs: those before have FIFOs that hold and take other cycles."""

TESTED = f"finn-plus {OLDEST} to {NEWEST}, and FINN's branch dev of April 2026"


def untested(distribution: str, version: str) -> str | None:
    """What is to be said of an installed FINN that is not one of `TESTED`; None where there is nothing to say.

    FINN itself has no versions that one could tell apart: it is installed from a checkout, as 0.0.0.
    """
    found = _numbers(version)
    if distribution != "finn-plus" or not found or _numbers(OLDEST) <= found <= _numbers(NEWEST):
        return None
    older = "older" if found < _numbers(OLDEST) else "newer"
    return f"{distribution} {version} is {older} than what finnyaml is tested with ({TESTED})"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])[:3]))
