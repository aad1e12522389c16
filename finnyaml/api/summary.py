"""The end of a build in a few lines, made from its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finnyaml.api import accuracy
from finnyaml.text import counted, duration, relative, size

STATES = ("ran", "cached", "failed", "blocked", "not run")


def lines(record: Mapping[str, Any], written: int) -> list[str]:
    """The end of a build in a few lines; `written` files of the workspace are new."""
    if {task["state"] for task in record["tasks"].values()} == {"cached"} and not written:
        return up_to_date_lines(record)
    results = _results(record) if record["exit_code"] == 0 or written else []
    return [headline(record), *_found(record), *results]


def up_to_date_lines(record: Mapping[str, Any]) -> list[str]:
    """What is said when there is nothing to do."""
    steps = counted(sum(not task["looks"] for task in record["tasks"].values()), "step")
    return [f"{record['name']} is up to date: {steps}", *_found(record), *_results(record)]


def headline(record: Mapping[str, Any]) -> str:
    """How a build went, in one line."""
    states = [task["state"] for task in record["tasks"].values() if not task["looks"]]
    counts = ", ".join(f"{states.count(state)} {state}" for state in STATES if state in states)
    said = "is built" if record["exit_code"] == 0 else "is not complete"
    return f"{record['name']} {said}: {counts}, in {duration(record['seconds'])}"


def bundles(record: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The archive of each deployment bundle in the workspace, with what is known of it."""
    for name, task in record["tasks"].items():
        found = task.get("metrics", {}).get("bundle")
        if found:
            target = name.partition(".")[2]  # several targets have a folder each
            yield Path(record["workspace"], target, "bundle", f"{found['name']}.tar.gz"), found


def _found(record: Mapping[str, Any]) -> list[str]:
    numbers = {name: task["key_metrics"] for name, task in record["tasks"].items() if task.get("key_metrics")}
    told = [f"  {name}: {_rounded(found)}" for name, found in numbers.items()]
    return [*told, *accuracy.lines(record), *_bundle_lines(record)]


def _bundle_lines(record: Mapping[str, Any]) -> Iterator[str]:
    for path, found in bundles(record):
        lacks = f"; missing: {', '.join(found['missing'])}" if found["missing"] else ""
        yield f"  bundle: {relative(path)} ({size(found['bytes'])}{lacks})"


def _results(record: Mapping[str, Any]) -> list[str]:
    return [f"  results: {relative(Path(record['workspace']))}"]


def _rounded(found: Mapping[str, Any]) -> str:
    """Key numbers in one line, rounded for people."""
    return ", ".join(
        f"{name} {value:,.0f}" if isinstance(value, (int, float)) else f"{name} {value}"
        for name, value in found.items()
    )
