"""The phases of newer FINN versions: which one a name means, and what an entry with one becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from finnyaml.errors import Problem
from finnyaml.finn import aliases
from finnyaml.finn.catalog import Catalog, Phase
from finnyaml.plan.placed import Placed
from finnyaml.recipe.model import Recipe, StepEntry


def find(name: str, catalog: Catalog) -> Phase | None:
    """The phase of this name, with or without `phase_` before it."""
    return catalog.phases.get(name) or catalog.phases.get(f"phase_{name}")


def part_ids(phase: Phase) -> list[str]:
    """What the parts of a phase are called where the recipe does not say it."""
    short = phase.name.removeprefix("phase_")
    return [aliases.short(value) if kind == "step" else f"{short}.{value}" for kind, value in phase.parts]


def check(phase: Phase, entry: StepEntry, recipe: Recipe) -> Iterator[Problem]:
    """An entry cannot set something for several steps."""
    if entry.with_ and len(phase.parts) > 1:
        steps = ", ".join(aliases.short(value) for kind, value in phase.parts if kind == "step")
        message = f"{entry.uses} is {len(phase.parts)} steps, and `with:` is for one"
        hint = f"list its steps ({steps}) instead, or set it for the whole recipe"
        yield Problem(message, recipe.at((*entry.pointer, "with")), hint)


def parts(
    phase: Phase, entry: StepEntry, steps_for: Callable[[str, str, StepEntry], Iterable[Placed]]
) -> Iterator[Placed]:
    """All that an entry with a phase becomes: its needs are those of the first part, its id is that of the last.

    `steps_for` makes a step of FINN: of its name, the id of its task, and its entry.
    """
    ids = part_ids(phase)
    for number, (kind, value) in enumerate(phase.parts):
        part = entry if number == 0 else replace(entry, needs=None)
        task = ids[number]
        if entry.id:
            task = entry.id if number == len(ids) - 1 else f"{entry.id}.{value.removeprefix('step_')}"
        segment = Placed(task, "segment", ids[number], part, index=value)
        for item in steps_for(value, task, part) if kind == "step" else [segment]:
            yield replace(item, phase=phase.name, names=(*item.names, *((entry.id,) if entry.id else ())))


def results(placed: Iterable[Placed]) -> dict[str, str]:
    """By the names of phases to which the recipe gives no id: the task with the result, that of the last part."""
    return {
        name: item.id
        for item in placed
        if item.phase and not item.entry.id
        for name in (item.phase, item.phase.removeprefix("phase_"))
    }
