"""The end of a build in a few lines, made from its record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from finnyaml.engine.outcome import Report
from finnyaml.errors import ExitCode
from finnyaml.plan.doubts import IMPURE
from finnyaml.text import counted, duration, relative, size

STATES = ("ran", "cached", "failed", "blocked", "not run")


def lines(record: Mapping[str, Any], written: int) -> list[str]:
    """The end of a build in a few lines; `written` files of the workspace are new."""
    if {task["state"] for task in record["tasks"].values()} == {"cached"} and not written:
        return up_to_date_lines(record)
    results = _results(record) if record["exit_code"] == 0 or written else []
    return [headline(record), *_found(record), *_doubtful(record), *results]


def all_lines(reports: Sequence[Report]) -> list[str]:
    """The end of a build: of one recipe, or of variants of it, a line each."""
    if len(reports) == 1:
        return lines(reports[0].record, reports[0].written)
    told = [line for report in reports for line in lines(report.record, report.written)[:1]]
    incomplete = [str(report.session.recipe.variant) for report in reports if report.code]
    head = f"{counted(len(reports), 'variant')}: {len(reports) - len(incomplete)} complete"
    more = f", not complete: {', '.join(incomplete)}" if incomplete else ""
    return [*told, head + more, f"  results: {relative(reports[0].session.recipe.output)}"]


def all_up_to_date(records: Sequence[Mapping[str, Any]], output: Path) -> list[str]:
    """What is said when there is nothing to do: of one recipe, or of variants with their workspaces in `output`."""
    if len(records) == 1:
        return up_to_date_lines(records[0])
    told = [up_to_date_lines(record)[0] for record in records]
    return [*told, f"{counted(len(records), 'variant')}: {len(records)} complete", f"  results: {relative(output)}"]


def data(reports: Sequence[Report]) -> Mapping[str, Any]:
    """The JSON form of a build: its record, or that of each variant by its name."""
    if reports[0].session.recipe.variant is None:
        return reports[0].record
    variants = {str(report.session.recipe.variant): report.record for report in reports}
    return {"variants": variants, "exit_code": int(worst(report.code for report in reports))}


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The exit code of a build of several variants: a failed step says more than a gate, a gate more than a tool."""
    found = {*codes}
    return min(found - {ExitCode.OK}, default=ExitCode.OK)


def up_to_date_lines(record: Mapping[str, Any]) -> list[str]:
    """What is said when there is nothing to do."""
    steps = counted(sum(not task["looks"] for task in record["tasks"].values()), "step")
    return [f"{record['name']} is up to date: {steps}", *_found(record), *_doubtful(record), *_results(record)]


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
    told += _accuracy(record)
    for path, bundle in bundles(record):
        lacks = f"; missing: {', '.join(bundle['missing'])}" if bundle["missing"] else ""
        told.append(f"  bundle: {relative(path)} ({size(bundle['bytes'])}{lacks})")
    return told


def _doubtful(record: Mapping[str, Any]) -> list[str]:
    """Tasks of which a clean build may give another result, unless the recipe says so itself."""
    doubtful = {name: task.get("may_differ") for name, task in record["tasks"].items()}
    return [f"  {name} may differ: {'; '.join(why)}" for name, why in doubtful.items() if why and IMPURE not in why]


def _results(record: Mapping[str, Any]) -> list[str]:
    return [f"  results: {relative(Path(record['workspace']))}"]


def _rounded(found: Mapping[str, Any]) -> str:
    """Key numbers in one line, rounded for people."""
    return ", ".join(
        f"{name} {value:,.0f}" if isinstance(value, (int, float)) else f"{name} {value}"
        for name, value in found.items()
    )


def _accuracy(record: Mapping[str, Any]) -> list[str]:
    """One line for each run of steps that measure alike, in the order of the build; none where nothing is measured."""
    points = [task for task in record["tasks"].values() if "verdict" in task]
    if not points:
        return []
    rows = []
    for (shown, note), group in groupby(points, key=lambda task: (_shown(task["measurement"]), _note(task))):
        first, *others = [task["checks"] for task in group]
        rows.append((f"{first} ... {others[-1]}" if others else first, shown, note))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    told = (f"    {span.ljust(widths[0])}   {shown.rjust(widths[1])}  {note}".rstrip() for span, shown, note in rows)
    return [_head(points), *told]


def _head(points: list[Mapping[str, Any]]) -> str:
    measured = next((task["measurement"] for task in points if task["measurement"]["state"] == "measured"), None)
    if measured is None:
        return "  verification:"
    reference = measured.get("reference")
    against = f", {reference['shown']} in the reference ({reference['name']})" if reference else ""
    counts = {task["measurement"]["samples"] for task in points}
    many = f"{measured['samples']} samples" if len(counts) == 1 else f"{min(counts)} to {max(counts)} samples"
    return f"  {measured['metric']} of {many} after each step{against}:"


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
        differ = f"{samples - same} predictions differ"
        notes.append("all predictions as in the reference" if same == samples else differ)
    if (found := measurement.get("before")) and (changed := found["changed"]):
        notes.append(f"{changed} outputs changed" if changed > 1 else "1 output changed")
    if verdict["state"] == "failed":
        notes.append("FAILED")
    return ", ".join(notes)
