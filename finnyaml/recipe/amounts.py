"""Amounts as people write them: `8h`, `16G`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finnyaml.recipe.model import Resources

_MINUTES = {"s": 1 / 60, "min": 1, "h": 60, "d": 1440}
_MIB = {"M": 1, "G": 1024, "T": 1024**2}


def resources(data: Mapping[str, Any]) -> Resources:
    """What a mapping with `cpus`, `memory` and `time` asks for, all of them optional; the schema has checked it."""
    memory, time = data.get("memory"), data.get("time")
    return Resources(
        data.get("cpus"), None if memory is None else _amount(memory, _MIB), None if time is None else minutes(time)
    )


def minutes(text: str) -> int:
    """A time in minutes, at least 1: whole minutes are what a batch system counts."""
    return _amount(text, _MINUTES)


def _amount(text: str, units: Mapping[str, float]) -> int:
    number = text.rstrip("".join(units))
    return max(1, round(float(number) * units[text[len(number) :].strip()]))
