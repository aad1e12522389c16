"""What `finnyaml build` tells of a build that has ended."""

from __future__ import annotations

from finnyaml.cli import failures, loss
from finnyaml.cli.render import Console, summary_lines
from finnyaml.engine.report import Report


def tell(report: Report, console: Console) -> None:
    """Tell what failed and why, what to know beside it, and how it went."""
    session, outcome = report.session, report.outcome
    if outcome.failed:
        told = (
            failures.explain(session.plan.tasks[name], failure, session, report.folder)
            for name, failure in outcome.failed.items()
            if name not in outcome.verdicts
        )
        console.always("\n\n".join(told))
    for lines in (*loss.unexplained(outcome), *(loss.lines(place, session, outcome) for place in report.localised)):
        console.always("\n".join([*lines, ""]))
    console.problems(report.warnings)
    for note in report.notes:
        console.note(f"note: {note}")
    for line in summary_lines(report.record, report.written):
        console.out(line)
