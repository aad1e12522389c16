"""Which versions of FINN finnyaml is tested with, and what it says where another one is installed."""

from __future__ import annotations

import re

from finnyaml.finn import identity

OLDEST, NEWEST = "1.5.0", "1.6.1"
"""Of finn-plus; `make check-finn VERSION=...` builds with one of them. Older ones do not import without Vivado."""

OPEN_RTL = "finn-plus 1.6.0 or 1.6.1"
"""The FINNs with which the open RTL path runs: those before have FIFOs that hold and take other cycles."""

TESTED = f"finn-plus {OLDEST} to {NEWEST}, and FINN's branch dev of April 2026"


def untested(distribution: str, version: str) -> str | None:
    """What is to be said of an installed FINN that is not one of `TESTED`; None where there is nothing to say.

    FINN itself has no versions that one could tell apart, since it is installed from a checkout, as 0.0.0. Its qonnx
    shows whether it is 0.10 or older.
    """
    found = _numbers(version)
    if distribution != "finn-plus" and _has_old_qonnx():
        old = "has the qonnx of FINN 0.10, with which verification does not run"
        return f"{distribution} {version} {old}; tested are {TESTED}"
    if distribution != "finn-plus" or not found or _numbers(OLDEST) <= found <= _numbers(NEWEST):
        return None
    older = "older" if found < _numbers(OLDEST) else "newer"
    return f"{distribution} {version} is {older} than what finnyaml is tested with ({TESTED})"


def _has_old_qonnx() -> bool:
    root = identity.package_root("qonnx")
    module = None if root is None else root / "util" / "basic.py"
    return module is not None and module.is_file() and "def get_preferred_qonnx_opset" not in module.read_text()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])[:3]))
