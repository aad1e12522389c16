"""What a build would run, and why, as Python uses it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finnyaml.api import html
from finnyaml.engine.session import Session
from finnyaml.finn import aliases
from finnyaml.plan import graph
from finnyaml.plan.draw import MARKS
from finnyaml.plan.status import Status, verdict
from finnyaml.plan.task import Task
from finnyaml.recipe.build import default_id
from finnyaml.steps import open_rtl
from finnyaml.store.digests import digest_of
from finnyaml.text import counted
from finnyaml.tools import registry

READ = ("config", "file")
"""What variants differ in of all that a step may have read: settings, and the files of settings."""


@dataclass(frozen=True)
class PlannedTask:
    """One task of a plan: a step, a verification point (`verify.streamline`) or a bundle.

    `state` is `cached`, `stale` (it has to run), `waiting` (for the result of a stale task) or `blocked`. `uses` is the
    step or code that it runs, `needs` the tasks it takes from. `reasons` say why it has to run or waits, and what a
    blocked one lacks. `missing` are the tools it lacks here. `may_differ` says why a clean build may give another
    result than the one that is cached.
    """

    task: str
    uses: str
    state: str
    needs: tuple[str, ...]
    reasons: tuple[str, ...]
    missing: tuple[str, ...]
    may_differ: tuple[str, ...] = ()


class Plan:
    """The tasks of a recipe with their state, as it was when the plan was made.

    `str(plan)` is what `finnyaml plan` prints; a notebook shows a table. `pandas.DataFrame(plan.rows())` makes a frame.
    """

    def __init__(self, session: Session, statuses: Mapping[str, Status]) -> None:
        """Made by `Recipe.plan`."""
        self.name = session.recipe.name
        """The name of the recipe."""
        self.finn = str(session.catalog)
        """The FINN that would run it."""
        self.toolchain = session.plan.toolchain
        """`open` or `vivado`: what makes hardware of the layers."""
        self.targets: Mapping[str, str] = dict(session.plan.targets)
        """Each target with the step that it is built up to."""
        self.warnings = session.warnings
        """What is doubtful in the recipe."""
        self.notes = tuple(_taken(session.plan))
        """What else there is to know."""
        self.tasks: Mapping[str, PlannedTask] = {
            name: _planned(session.plan.tasks[name], status) for name, status in statuses.items()
        }
        """The selected tasks by id, in an order in which they can run."""
        self.exit_code = verdict(statuses)
        """What `finnyaml plan` gives the shell: TOOL_MISSING where a task cannot run here, else OK."""
        self.works = works(session.plan, statuses)
        """What each task is, to tell where those of two variants are one: hashable."""
        self._recipe = session.recipe.path
        self._statuses = statuses
        self.steps = {name for name in statuses if session.plan.tasks[name].is_step}
        self.shown = {name: _shown(session.plan.tasks[name]) for name in statuses}

    @property
    def up_to_date(self) -> bool:
        """Whether a build has nothing to run."""
        return all(task.state == "cached" for task in self.tasks.values())

    def rows(self) -> list[dict[str, Any]]:
        """A row per task: `task`, `uses`, `state`, and as text `needs`, `reasons`, `missing` and `may_differ`."""
        joined = (("needs", ", "), ("reasons", "; "), ("missing", ", "), ("may_differ", "; "))
        return [
            {**vars(task), **{name: mark.join(getattr(task, name)) for name, mark in joined}}
            for task in self.tasks.values()
        ]

    def to_json(self) -> dict[str, Any]:
        """The plan as data that JSON can hold: what `finnyaml plan --json` prints."""
        return {
            "recipe": str(self._recipe),
            "finn": self.finn,
            "toolchain": self.toolchain,
            "targets": self.targets,
            "tasks": {name: _plain(self.tasks[name], status) for name, status in self._statuses.items()},
        }

    def __repr__(self) -> str:
        return f"<finnyaml plan of {self.name}: {self._counted()[0]}>"

    def __str__(self) -> str:
        return "\n".join([*lines_of([(self, name, "") for name in self.tasks]), *self._counted()])

    def _repr_html_(self) -> str:
        rows = [(self.shown[name], _does(task), "; ".join(_few(task))) for name, task in self.tasks.items()]
        return html.table(("task", "state", "why"), rows, f"{self.name}: {'; '.join(self._counted())}")

    def _counted(self) -> list[str]:
        return counts_of([(self, name) for name in self.tasks])


def counts_of(rows: Sequence[tuple[Plan, str]]) -> list[str]:
    """How many tasks are in which state, in one or two lines."""
    steps = [plan.tasks[name].state for plan, name in rows if name in plan.steps]
    others = [plan.tasks[name].state for plan, name in rows if name not in plan.steps]
    more = [f"{len(others)} more that measure or deliver: {_counts(others)}"] if others else []
    return [f"{counted(len(steps), 'step')}: {_counts(steps)}", *more]


def lines_of(rows: Sequence[tuple[Plan, str, str]]) -> list[str]:
    """Tasks, each of a plan, as lines: its state and why; what is said behind its name, if anything."""
    shown = [f"{plan.shown[name]}{f' [{note}]' if note else ''}" for plan, name, note in rows]
    width = max(map(len, shown), default=0)
    lines = []
    for label, (plan, name, _) in zip(shown, rows, strict=True):
        task = plan.tasks[name]
        first, *rest = _few(task) or [""]
        lines.append(f"{MARKS[task.state]} {label:{width}}  {_does(task):7}  {first}".rstrip())
        lines += [f"  {' ' * width}           {reason}" for reason in rest]
    return lines


def works(plan: graph.Plan, statuses: Mapping[str, Status]) -> dict[str, str]:
    """What is known of each task before it runs: its key, or what it does with the results of which others."""
    found: dict[str, str] = {}
    for name, status in statuses.items():
        task = plan.tasks[name]
        if status.key:
            made = status.built.trace.artifact if status.built else None
            # What an earlier run has read, and is another value now, tells work of one key apart.
            read = [[reason.name, reason.new] for reason in status.reasons if reason.kind in READ]
            found[name] = digest_of([status.key, made, read])
        else:
            needs = [found.get(need) for need in task.needs]
            found[name] = digest_of([task.kind, task.uses, task.params, task.implementation, needs])
    return found


def _planned(task: Task, status: Status) -> PlannedTask:
    reasons = map(str, status.reasons) if status.state != "cached" else ()
    lacks = (f"needs {tool}, which is missing: {registry.tool(tool).hint}" for tool in status.missing)
    return PlannedTask(task.id, task.uses, status.state, task.needs, (*lacks, *reasons), status.missing, status.doubts)


def _plain(task: PlannedTask, status: Status) -> dict[str, Any]:
    return {
        "state": status.state,
        "uses": task.uses,
        "needs": list(task.needs),
        "key": status.key or None,
        "digest": status.built.digest if status.built else None,
        "missing": list(status.missing),
        "may_differ": list(status.doubts),
        "reasons": [{**vars(reason), "text": str(reason)} for reason in status.reasons],
    }


def _counts(states: Iterable[str]) -> str:
    """How many are in which state."""
    counts = Counter(states)
    told = f"{counts['cached']} up to date, {counts['stale']} to run, {counts['waiting']} after that"
    return f"{told}, {counts['blocked']} blocked" if counts["blocked"] else told


def _does(task: PlannedTask) -> str:
    return "run" if task.state == "stale" else task.state


def _few(task: PlannedTask) -> list[str]:
    """The reasons as people are told: of many tasks that one waits for, the first."""
    if task.may_differ:
        return [f"may differ: {'; '.join(task.may_differ)}"]
    if task.state == "waiting" and len(task.reasons) > 2:
        return [f"{task.reasons[0]}, and {len(task.reasons) - 1} others"]
    return list(task.reasons)


def _taken(plan: graph.Plan) -> list[str]:
    """The toolchain, where the recipe leaves it to what is installed and it stands for steps of FINN."""
    if plan.recipe.toolchain != "auto" or plan.toolchain != "open":
        return []
    written = {entry.pointer for entry in plan.recipe.steps.written if entry.uses in open_rtl.STEPS}
    stands = any(task.uses in open_rtl.STEPS and task.pointer not in written for task in plan.tasks.values())
    return ["toolchain: open (no Vivado here)"] if stands else []


def _shown(task: Task) -> str:
    """The id, with the step where the id says another one."""
    step = aliases.short(task.uses)
    kind = task.declared
    opaque = kind.opaque or kind.source or kind.looks
    says = opaque or task.id == default_id(task.uses) or task.id.endswith(f".{step}")
    return task.id if says else f"{task.id} ({step})"
