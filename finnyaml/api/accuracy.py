"""What the verification points of a build measured, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any


def lines(result: Mapping[str, Any]) -> list[str]:
    """One line for each run of steps that measure alike, in the order of the build; none where nothing is measured."""
    points = [task for task in result["tasks"].values() if "verdict" in task]
    if not points:
        return []
    rows = [(_span([str(task["checks"]) for task in group]), *row) for row, group in _alike(points)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    head = _head(points)
    return [
        head,
        *(f"    {span.ljust(widths[0])}   {shown.rjust(widths[1])}  {note}".rstrip() for span, shown, note in rows),
    ]


def _alike(points: list[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str], list[Mapping[str, Any]]]]:
    for row, group in groupby(points, key=lambda task: (_shown(task["measurement"]), _note(task))):
        yield row, list(group)


def _head(points: list[Mapping[str, Any]]) -> str:
    measured = next((task["measurement"] for task in points if task["measurement"]["state"] == "measured"), None)
    if measured is None:
        return "  verification:"
    reference = measured.get("reference")
    against = f", {reference['shown']} in the reference ({reference['name']})" if reference else ""
    counts = {task["measurement"]["samples"] for task in points}
    many = f"{measured['samples']} samples" if len(counts) == 1 else f"{min(counts)} to {max(counts)} samples"
    return f"  {measured['metric']} of {many} after each step{against}:"


def _span(steps: list[str]) -> str:
    return steps[0] if len(steps) == 1 else f"{steps[0]} ... {steps[-1]}"


def _shown(measurement: Mapping[str, Any]) -> str:
    return str(measurement["shown"]) if measurement["state"] == "measured" else "-"


def _note(task: Mapping[str, Any]) -> str:
    """Whatever is to be said beside the figure: how the predictions differ from the reference's, what the gate says."""
    measurement, verdict = task["measurement"], task["verdict"]
    if measurement["state"] == "reference":
        return "the reference"
    if measurement["state"] != "measured":
        return f"not verified: {measurement['reason']}"
    notes = []
    agreement, samples = measurement.get("agreement"), measurement["samples"]
    if agreement is not None and measurement["interval"] is not None:
        same = round(agreement * samples)
        notes.append(
            "all predictions as in the reference" if same == samples else f"{samples - same} predictions differ"
        )
    if verdict["state"] == "failed":
        notes.append("FAILED")
    return ", ".join(notes)
