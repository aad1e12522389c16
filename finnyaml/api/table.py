"""The table of a sweep: the figures of all variants beside each other, and which of them are in the Pareto set."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnyaml.api import html
from finnyaml.api.pareto import front
from finnyaml.engine.figures import Figure, figures
from finnyaml.engine.inside import explained
from finnyaml.engine.outcome import Report
from finnyaml.engine.refusals import refuse
from finnyaml.engine.session import Session
from finnyaml.engine.workspace import load_json, write_json
from finnyaml.plan.status import Status
from finnyaml.recipe.model import Objective
from finnyaml.text import Whole, counted, few, percent

FILE = "table.json"
"""Where the table of the last build lies, in the output folder of the recipe."""

TITLES = {
    "lut": "LUT",
    "ff": "FF",
    "bram": "BRAM18",
    "uram": "URAM",
    "dsp": "DSP",
    "fifo_bits": "FIFO bits",
    "latency": "latency ns",
    "power": "power W",
}
ABSENT = "-"


@dataclass(frozen=True)
class Built:
    """A variant as the table sees it: its values from the matrix, its figures, and why it is not complete (or "")."""

    name: str
    values: Mapping[str, Any]
    figures: Mapping[str, Sequence[Figure]]
    lacks: str


@dataclass(frozen=True)
class Row:
    """A variant in the table.

    `figures` has the value of each objective, None where there is none; `why` says why it has none, or cannot be in
    the Pareto set. `best`: it is in that set.
    """

    variant: str
    values: Mapping[str, Any]
    figures: Mapping[str, float | None]
    why: tuple[str, ...]
    best: bool = False


@dataclass(frozen=True)
class Table:
    """The figures of the variants of a recipe. `str(table)` is what `finnyaml table` prints.

    `sources` says whose figure each objective is, in words: one source for all variants, because figures of two
    sources cannot be compared.
    """

    name: str
    objectives: tuple[Objective, ...]
    sources: Mapping[str, str | None]
    rows: tuple[Row, ...]
    _keys: Mapping[str, tuple[str, str] | None] = field(repr=False, default_factory=dict)

    @property
    def pareto(self) -> tuple[str, ...]:
        """The names of the variants in the Pareto set."""
        return tuple(row.variant for row in self.rows if row.best)

    def to_json(self) -> dict[str, Any]:
        """The table as plain data: what `finnyaml table --json` prints, and table.json in the output folder holds."""
        goals = {
            one.name: {
                "goal": one.goal,
                **({"min": one.min} if one.min is not None else {}),
                **({"max": one.max} if one.max is not None else {}),
                "from": self.sources[one.name],
            }
            for one in self.objectives
        }
        rows = [
            {
                "variant": row.variant,
                "values": dict(row.values),
                "figures": dict(row.figures),
                "pareto": row.best,
                "why": list(row.why),
            }
            for row in self.rows
        ]
        return {"name": self.name, "objectives": goals, "variants": rows, "pareto": list(self.pareto)}

    def to_csv(self) -> str:
        """The table as CSV: a line per variant, with its values, its figures and whether it is in the Pareto set.

        A figure that is not there is an empty cell.
        """
        variables = list(dict.fromkeys(name for row in self.rows for name in row.values))
        names = [one.name for one in self.objectives]
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        told = [f"{name} ({self.sources[name]})" if self.sources[name] else name for name in names]
        writer.writerow(["variant", *(f"vars.{name}" for name in variables), *told, "pareto", "why"])
        for row in self.rows:
            values = [_cell(row.values.get(name, "")) for name in variables]
            found = ["" if row.figures[name] is None else _number(row.figures[name]) for name in names]
            writer.writerow([row.variant, *values, *found, "yes" if row.best else "no", "; ".join(row.why)])
        return stream.getvalue()

    def to_latex(self) -> str:
        """The table as LaTeX, for the package booktabs; bold are the variants of the Pareto set."""
        header = ["variant", *(_title(one.name) for one in self.objectives)]
        lines = [rf"\begin{{tabular}}{{l{'r' * len(self.objectives)}}}", r"\toprule"]
        lines += [" & ".join(map(_latex, header)) + r" \\", r"\midrule"]
        for row in self.rows:
            name = rf"\textbf{{{_latex(row.variant)}}}" if row.best else _latex(row.variant)
            cells = [_latex(text) if text != ABSENT else "--" for text in self._cells(row)]
            lines.append(" & ".join([name, *cells]) + r" \\")
        said = "; ".join(f"{_title(one.name)}: {self._told(one)}" for one in self.objectives)
        return "\n".join([f"% {said}", *lines, r"\bottomrule", r"\end{tabular}", ""])

    def lines(self) -> list[str]:
        """The table for people: `*` before each variant of the Pareto set, then whose figures these are."""
        header = ["variant", *(_title(one.name) for one in self.objectives)]
        body = [[row.variant, *self._cells(row)] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]

        def line(mark: str, cells: Sequence[str]) -> str:
            first, *others = zip(cells, widths, strict=True)
            told = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
            return Whole(f"{mark} {'  '.join(told)}".rstrip())

        told = [line(" ", header)]
        told += [line("*" if row.best else " ", cells) for row, cells in zip(self.rows, body, strict=True)]
        told.append(f"* in the Pareto set: {len(self.pareto)} of {counted(len(self.rows), 'variant')}")
        told += [f"  {_title(one.name)}: {self._told(one)}" for one in self.objectives]
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            if row.why:
                reasons.setdefault("; ".join(row.why), []).append(row.variant)
        return [*told, *(f"  not compared: {few(names)} ({why})" for why, names in reasons.items())]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        names = ("variant", *(_title(one.name) for one in self.objectives), "Pareto set")
        rows = [[row.variant, *self._cells(row), "yes" if row.best else ""] for row in self.rows]
        return html.table(names, rows, self.name)

    def _cells(self, row: Row) -> list[str]:
        return [self._shown(one.name, row.figures[one.name]) for one in self.objectives]

    def _shown(self, name: str, value: float | None) -> str:
        if value is None:
            return ABSENT
        told = self.sources[name] or ""
        if name == "accuracy":
            return percent(value) if told.startswith(("top", "agreement")) else f"{value:.4g}"
        return f"{value:,.3f}" if name == "power" else f"{value:,.0f}"

    def _told(self, one: Objective) -> str:
        limits = [f"at least {_limit(one.min)}"] if one.min is not None else []
        limits += [f"at most {_limit(one.max)}"] if one.max is not None else []
        goal = "more is better" if one.goal == "maximize" else "less is better"
        return ", ".join([self.sources[one.name] or "nothing says it", goal, *limits])


def table_of(name: str, objectives: Sequence[Objective], found: Sequence[Built]) -> Table:
    """The table of some variants.

    Each objective gets one source: that of the recipe, else the most real one of those that the most complete variants
    have.
    """
    complete = [one for one in found if not one.lacks] or found
    keys = {one.name: _source(one, complete) for one in objectives}
    rows = [_row(one, objectives, keys) for one in found]
    compared = [at for at, row in enumerate(rows) if not row.why]
    points = [
        [_better(one, rows[at].figures[one.name]) for one in objectives]  # type: ignore[arg-type]
        for at in compared
    ]
    best = {compared[at] for at in front(points)}
    shown = tuple(Row(row.variant, row.values, row.figures, row.why, at in best) for at, row in enumerate(rows))
    return Table(name, tuple(objectives), {name: key and key[1] for name, key in keys.items()}, shown, keys)


def of_reports(reports: Sequence[Report]) -> Table | None:
    """The table of a build; None where the recipe has no objectives, or not all of it was to be built."""
    recipe = reports[0].session.recipe
    if not recipe.objectives or any(report.selection.partial for report in reports):
        return None
    return table_of(_plain_name(reports[0].session), recipe.objectives, [*map(built_of, reports)])


def built_of(report: Report) -> Built:
    """A variant that was built, or failed."""
    session, outcome = report.session, report.outcome
    found = figures(session.plan, outcome.there, session.store)
    recipe = session.recipe
    lacks = "stopped before it was complete" if outcome.cut_short else "not complete: not verified"
    if failed := [*outcome.failed, *outcome.deferred]:
        lacks = f"not complete: {few(failed)} failed"
    elif outcome.blocked:
        lacks = f"not complete: {few([*outcome.blocked])} cannot run here"
    return Built(recipe.variant or recipe.name, recipe.values, found, lacks if report.code else "")


def of_statuses(found: Iterable[tuple[Session, Mapping[str, Status]]]) -> Table:
    """The table of what the store has of some variants, without building."""
    sessions = []
    rows = []
    for session, statuses in found:
        built = {name: status.built for name, status in statuses.items() if status.built is not None}
        refused = [name for name, item in built.items() if refuse(session.plan.tasks[name], item) is not None]
        stale = [name for name in statuses if name not in built]
        lacks = f"not complete: {few(refused)} failed" if refused else ""
        lacks = lacks or (f"not up to date: {few(stale)}" if stale else "")
        told = figures(session.plan, built, session.store)
        rows.append(Built(session.recipe.variant or session.recipe.name, session.recipe.values, told, lacks))
        sessions.append(session)
    return table_of(_plain_name(sessions[0]), sessions[0].recipe.objectives, rows)


def save(table: Table, output: Path) -> None:
    """Write the table as data, unless that is what lies there."""
    file, data = output / FILE, table.to_json()
    if load_json(file) != json.loads(json.dumps(data)):
        with explained(output):
            write_json(file, data)


def _plain_name(session: Session) -> str:
    recipe = session.recipe
    return recipe.name if recipe.variant is None else recipe.name.removesuffix(f"-{recipe.variant}")


def _source(one: Objective, found: Sequence[Built]) -> tuple[str, str] | None:
    """The source of an objective, and the same in words."""
    ranks: dict[tuple[str, str], list[int]] = {}
    for each in found:
        for rank, figure in enumerate(each.figures[one.name]):
            if one.source in (None, figure.source):
                ranks.setdefault((figure.source, figure.told), []).append(rank)
    return max(ranks, key=lambda key: (len(ranks[key]), -sum(ranks[key])), default=None)


def _row(one: Built, objectives: Sequence[Objective], keys: Mapping[str, tuple[str, str] | None]) -> Row:
    values: dict[str, float | None] = {}
    why = [one.lacks] if one.lacks else []
    for objective in objectives:
        name, key = objective.name, keys[objective.name]
        there = {(figure.source, figure.told): figure.value for figure in one.figures[name]}
        value = values[name] = there.get(key) if key is not None else None
        title = _title(name)
        if value is not None:
            if objective.min is not None and value < objective.min:
                why.append(f"{title} is less than {_limit(objective.min)}")
            if objective.max is not None and value > objective.max:
                why.append(f"{title} is more than {_limit(objective.max)}")
        elif not one.lacks:
            wanted = objective.source or (key and key[1])
            only = few([told for _, told in there])
            why.append(f"no {title} from {wanted}, only from {only}" if there else f"no step says {title}")
    return Row(one.name, one.values, values, tuple(why))


def _better(one: Objective, value: float) -> float:
    return value if one.goal == "maximize" else -value


def _title(name: str) -> str:
    return TITLES.get(name, name)


def _number(value: float | None) -> str:
    return json.dumps(value)


def _limit(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(sign, f"\\{sign}" if sign in "&%$#_{}" else sign) for sign in text)
