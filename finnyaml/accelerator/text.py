"""Reports and bundles as short plain text."""

from __future__ import annotations

import textwrap
from typing import Any, Iterable, Mapping

from .checks.classes import Fraction, percent
from .checks.report import Report, SelftestReport, Speed, ValidationReport
from .contract import Bundle, Port, User
from .devices.clock import promised_mhz

WIDTH = 120
"""Characters in a line of a problem."""


def info(bundle: Bundle) -> list[str]:
    """What a bundle is and expects; what is missing comes first."""
    data = bundle.data
    target, contract = data["target"], data["contract"]
    rows = [("missing", f"{item['what']}: {item['why']} ({item['remedy']})") for item in data["missing"]]
    rows.append(("for", f"{target['board']} ({target['part']}), {target['platform']}, {_clock(promised_mhz(bundle))}"))
    rows.append(("give", _wanted(bundle.input)))
    rows += [("", f"the host does: {what}") for what in bundle.input.does]
    rows += [("accelerator", _port(bundle.accelerator_input)), ("", _port(bundle.accelerator_output))]
    rows += [("", what) for what in contract["inside"]]
    rows += [("", f"the host does: {what}") for what in bundle.output.does]
    rows.append(("get", f"{_wanted(bundle.output)}: {bundle.output.meaning}"))
    rows.append(("accuracy", _accuracy(data["accuracy"])))
    rows.append(("speed", _estimate((data["performance"] or {}).get("estimated"))))
    finn = data["built_with"]["finn"]
    rows.append(("built with", f"finnyaml {data['built_with']['finnyaml']}, {finn['distribution']} {finn['version']}"))
    return [bundle.name, *_table(rows)]


def selftest(report: SelftestReport) -> list[str]:
    """A self-test, its verdict in the last line."""
    rows = [("files", f"{report.files} compared with bundle.json")]
    if report.clock_mhz is not None:
        rows.append(("clock", _clock(report.clock_mhz)))
    if report.runs:
        batches = ", ".join(str(batch) for batch in sorted({run.batch for run in report.runs}))
        failed = sum(bool(run.wrong) for run in report.runs)
        outcome = f"{failed} of {len(report.runs)} runs differ" if failed else "all outputs as in the build"
        rows.append(("golden", f"{report.samples} samples at batch {batches}, twice each: {outcome}"))
    if report.speed is not None:
        rows += _speed(report.speed, report.emulated)
        if report.counted is not None:
            rows.append(("instrumented", _counted(report.counted)))
        rows.append(("the build", _estimate(report.estimate)))
    where = "without a board" if report.emulated else "on the board"
    return _told("selftest", report, rows, f"as built, {where}")


def validation(report: ValidationReport) -> list[str]:
    """A validation, its verdict in the last line."""
    rows = []
    if report.found is not None:
        rows.append((report.metric, _fraction(report.found)))
    if report.expected is not None:
        rows.append(("the build", _fraction(report.expected)))
    if report.ok or report.found is None:  # else it is among the problems
        rows.append(("comparison", report.comparison))
    return _told("validate", report, rows, report.comparison)


def _speed(speed: Speed, emulated: bool) -> list[tuple[str, str]]:
    of = "; of the emulation, not of a board" if emulated else ""
    rate, whole = _rate(speed.accelerator_images_per_s), _rate(speed.images_per_s)
    time, whole_time = _ms(speed.accelerator_latency_ms), _ms(speed.latency_ms)
    return [
        ("throughput", f"{rate} images/s, {whole} with the host's part (batch {speed.batch}{of})"),
        ("latency", f"{time} ms for one image, {whole_time} ms with the host's part (batch 1{of})"),
    ]


def _counted(counted: Mapping[str, Any]) -> str:
    """What FINN's instrumentation counted on random data, without host and DMA."""
    text = f"latency {counted['latency']:,} cycles, interval {counted['interval']:,} cycles"
    if "fps" in counted:
        text += f": {_ms(counted['latency_ms'])} ms for one, {_rate(counted['fps'])} images/s"
    return f"{text}, for the accelerator alone on random data"


def _told(command: str, report: Report, rows: list[tuple[str, str]], well: str) -> list[str]:
    """All of a report; the last line says `well` or what is wrong."""
    found = [f"{command} {report.bundle}: {report.device}{', without a board' if report.emulated else ''}"]
    found += _table(rows)
    for problem in report.problems:
        found.append("")
        for number, line in enumerate(str(problem).splitlines()):
            indent = "  " if number else ""
            found += textwrap.wrap(line, WIDTH, initial_indent=indent, subsequent_indent="  ", break_on_hyphens=False)
    if report.notes:
        found += ["", *(f"note: {note}" for note in report.notes)]
    names = dict.fromkeys(problem.name for problem in report.problems)
    return [*found, "", f"FAILED: {', '.join(names)}" if names else f"OK: {well}"]


def _wanted(user: User) -> str:
    shape = ", ".join(["n", *map(str, user.shape)])
    layout = f" {user.layout}" if user.layout else ""
    limits = f", {user.range[0]:g} to {user.range[1]:g}" if user.range is not None else ""
    return f"{user.dtype} [{shape}]{layout}{limits}"


def _port(port: Port) -> str:
    shapes = f"{list(port.normal)}, folded {list(port.folded)}, packed {list(port.packed)} bytes"
    return f"{port.name}: {port.datatype.name} {shapes}"


def _accuracy(accuracy: Any) -> str:
    if not accuracy:
        return "not measured by the build"
    final = accuracy["final"]
    interval = f", 95 % interval {_interval(final['interval'])}" if final["interval"] else ""
    value = percent(final["value"]) if accuracy["k"] is not None else f"{final['value']:.4g}"
    return f"{accuracy['metric']} {value} of {final['samples']} samples after {final['step']}{interval}"


def _estimate(estimate: Any) -> str:
    if not estimate:
        return "no estimate"
    return (
        f"estimated {_rate(estimate['fps'])} images/s, {_ms(estimate['latency_ms'])} ms for one, "
        f"for the accelerator alone at {_clock(estimate['clock_mhz'])}"
    )


def _clock(mhz: float | None) -> str:
    return "a clock that is not known" if mhz is None else f"{mhz:g} MHz"


def _fraction(fraction: Fraction) -> str:
    return f"{fraction}, 95 % interval {_interval(fraction.interval)}"


def _interval(interval: Iterable[float]) -> str:
    return " to ".join(percent(value) for value in interval)


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ms(value: float) -> str:
    return f"{value:.3g}"


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max(len(label) for label, _ in rows)
    return [f"  {label.ljust(width)}  {text}" for label, text in rows]
