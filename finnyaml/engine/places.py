"""Which tasks of a plan run elsewhere, and what is known here of the surroundings that they meet there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from finnyaml.errors import Problem
from finnyaml.finn import aliases
from finnyaml.kinds import KINDS
from finnyaml.plan.graph import Plan
from finnyaml.plan.task import Task
from finnyaml.site.load import Site
from finnyaml.site.needs import ALL, Place, place
from finnyaml.steps import builtin, open_rtl
from finnyaml.store import Store, Trace
from finnyaml.store.digests import digest_of
from finnyaml.text import did_you_mean
from finnyaml.tools import registry, variables

OF_A_PLACE = ("env", "environment", "tool")
"""Kinds of reads whose values a place may set: variables by its setup commands, versions of tools."""


def places(site: Site, plan: Plan) -> dict[str, Place]:
    """Where tasks run that do not run here, by id. RecipeError where the site file contradicts itself."""
    if not site.needs:
        return {}
    found = ((task.id, _place(site, task)) for task in plan.tasks.values())
    return {name: there for name, there in found if there is not None}


def _place(site: Site, task: Task) -> Place | None:
    names = (task.id, aliases.short(task.uses), task.uses, *(() if task.is_step else (task.kind,)))
    return place(site.executors, site.needs, task.tools, dict.fromkeys(names), task.resources)


def unknown(site: Site, plan: Plan) -> Iterator[Problem]:
    """Warnings of names under `needs` that no tool and no step has."""
    known = {ALL, *registry.TOOLS, *KINDS, *builtin.STEPS, *open_rtl.STEPS, *plan.tasks}
    known |= {name for step in plan.catalog.steps for name in (step, aliases.short(step))}
    known |= {task.uses for task in plan.tasks.values()}
    for name, needs in site.needs.items():
        if name not in known and "." not in name:  # of another recipe's code, or of a plug-in, nobody knows here
            hint = did_you_mean(name, known, else_="tools and steps here")
            yield Problem(f"needs.{name}: there is no tool and no step of this name", needs.where, hint, "warning")


def memo_of(there: Place) -> str:
    """The memo that says what the surroundings are there, as a task last met them."""
    return f"place-{digest_of([there.executor.name, there.executor.partition, list(there.setup)])[:32]}"


def surroundings(environ: Mapping[str, str]) -> dict[str, str]:
    """Digests of the variables here, as a trace would have them: to tell later which of them a place has set."""
    return {name: digest_of(variables.recorded(name, value)) for name, value in environ.items()}


def note(store: Store, memo: str, trace: Trace, here: Mapping[str, str], whole: Mapping[str, str]) -> None:
    """Note what a task met at a place and did not bring along.

    `here` has the variables of the submitting machine (`surroundings`), `whole` the digests of all of them.
    """
    known: dict[str, dict[str, Any]] = store.memo(memo) or {}
    found = {kind: dict(known.get(kind, {})) for kind in OF_A_PLACE}
    found["tool"].update(trace.reads.get("tool", {}))
    for name, value in trace.reads.get("env", {}).items():
        if (None if value is None else digest_of(value)) != here.get(name):
            found["env"][name] = value
        else:
            found["env"].pop(name, None)
    for name, value in trace.reads.get("environment", {}).items():
        found["environment"][name] = [whole.get(name), value]
    if found != known:
        store.put_memo(memo, found)
