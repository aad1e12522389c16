"""The end of a build in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finnyaml.cli import accuracy
from finnyaml.text import counted, duration, relative, size


def summary_lines(result: Mapping[str, Any], written: int) -> list[str]:
    """The end of a build in a few lines."""
    if {task["state"] for task in result["tasks"].values()} == {"cached"} and not written:
        return up_to_date_lines(result)
    states = [task["state"] for task in result["tasks"].values() if not task["looks"]]
    counts = {
        state: states.count(state) for state in ("ran", "cached", "failed", "blocked", "not run") if state in states
    }
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    good = result["exit_code"] == 0
    lines = [f"{result['name']} {'is built' if good else 'is not complete'}: {told}, in {duration(result['seconds'])}"]
    lines += [*_figures_lines(result), *accuracy.lines(result), *_bundle_lines(result)]
    if good or written:
        lines.append(f"  results: {relative(Path(result['workspace']))}")
    return lines


def up_to_date_lines(result: Mapping[str, Any]) -> list[str]:
    """What is said when there is nothing to do."""
    steps = sum(not task["looks"] for task in result["tasks"].values())
    told = f"{result['name']} is up to date: {counted(steps, 'step')}"
    figures = [*_figures_lines(result), *accuracy.lines(result), *_bundle_lines(result)]
    return [told, *figures, f"  results: {relative(Path(result['workspace']))}"]


def _figures_lines(result: Mapping[str, Any]) -> list[str]:
    found = {name: task["key_figures"] for name, task in result["tasks"].items() if task.get("key_figures")}
    return [f"  {name}: {figures_line(item)}" for name, item in found.items()]


def _bundle_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Where each deployment bundle lies, and what it lacks."""
    for name, task in result["tasks"].items():
        found = task.get("figures", {}).get("bundle")
        if found:
            target = name.partition(".")[2]  # several targets have a folder each
            path = Path(result["workspace"], target, "bundle", f"{found['name']}.tar.gz")
            lacks = f"; missing: {', '.join(found['missing'])}" if found["missing"] else ""
            yield f"  bundle: {relative(path)} ({size(found['bytes'])}{lacks})"


def figures_line(found: Mapping[str, Any]) -> str:
    """Key figures in one line, rounded for people."""
    return ", ".join(
        f"{name} {value:,.0f}" if isinstance(value, (int, float)) else f"{name} {value}"
        for name, value in found.items()
    )
