"""Ids, needs and targets of the steps, as far as the recipe alone says them.

A named flow and the phases of newer FINN versions bring steps that only FINN knows; then a name that the
recipe does not define may still be right, and the plan checks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from finnyaml.errors import Problem
from finnyaml.recipe.build import default_id
from finnyaml.recipe.model import Pointer, Recipe, StepEntry
from finnyaml.text import did_you_mean, quoted

SECTIONS = frozenset(("model", "preprocess", "postprocess"))
"""Ids of what the recipe's own sections make, for the first step of a branch; the plan knows which are there."""


def check_steps(recipe: Recipe) -> Iterator[Problem]:
    """Duplicate ids, unknown needs and targets, circles."""
    steps = recipe.steps
    written = steps.written
    by_id: dict[str, StepEntry] = {}
    for entry in written:
        name = step_id(entry)
        if name in by_id:
            yield _duplicate(recipe, entry, by_id[name])
        else:
            by_id[name] = entry
    complete = steps.flow is None and not any(name.startswith("phase_") for name in by_id)
    for entry in written:
        yield from _check_needs(recipe, entry, by_id, complete)
    yield from _circles(recipe, steps.entries, by_id)
    if complete and by_id:
        for target, name in recipe.targets.items():
            if name not in by_id and name not in SECTIONS:
                message = f"the target {quoted(target)} is the step {quoted(name)}, which does not exist"
                yield Problem(message, recipe.at(("targets", target)), _near(name, by_id))


def step_id(entry: StepEntry) -> str:
    """The id of `entry`, written or default."""
    return entry.id or default_id(entry.uses)


def _duplicate(recipe: Recipe, entry: StepEntry, first: StepEntry) -> Problem:
    place = recipe.at(_id_pointer(first))
    where = recipe.at(_id_pointer(entry))
    line = ""
    if place and where:
        file = "" if place.file == where.file else f" of {place.file.name}"
        line = f": line {place.line}{file} has it already"
    hint = "choose another id" if entry.id else f"give it an id of its own: {{uses: {entry.uses}, id: ...}}"
    return Problem(f"duplicate step id {quoted(step_id(entry))}{line}", where, hint)


def _id_pointer(entry: StepEntry) -> Pointer:
    return (*entry.pointer, "id" if entry.id else "uses")


def _check_needs(recipe: Recipe, entry: StepEntry, by_id: Mapping[str, StepEntry], complete: bool) -> Iterator[Problem]:
    for index, need in enumerate(entry.needs or ()):
        where = recipe.at((*entry.pointer, "needs", index))
        if need == step_id(entry):
            yield Problem(f"the step {quoted(need)} needs itself", where, "name the step that comes before it")
        elif complete and need not in by_id and need not in SECTIONS:
            message = f"the step {quoted(step_id(entry))} needs {quoted(need)}, which does not exist"
            yield Problem(message, where, _near(need, by_id))


def _near(name: str, ids: Mapping[str, StepEntry]) -> str | None:
    short = default_id(name)
    return f"its id is {quoted(short)}" if short in ids and short != name else did_you_mean(name, ids)


def _circles(recipe: Recipe, entries: tuple[StepEntry, ...], by_id: Mapping[str, StepEntry]) -> Iterator[Problem]:
    """Every circle once, at the `needs` that closes it."""
    needs: dict[str, tuple[str, ...]] = {}
    previous: tuple[str, ...] = ()
    for entry in entries:
        name = step_id(entry)
        wanted = previous if entry.needs is None else entry.needs
        needs.setdefault(name, tuple(need for need in wanted if need in by_id and need != name))
        previous = (name,)
    done: set[str] = set()
    for start in needs:
        # Depth first without recursion: a recipe may have thousands of steps in a row.
        trail: list[str] = []
        todo = [(start, iter((start,)))]
        while todo:
            name = next(todo[-1][1], "")
            if not name:
                todo.pop()
                if trail:
                    done.add(trail.pop())
            elif name in trail:
                circle = [*trail[trail.index(name) :], name]
                written = [by_id[step] for step in circle[:-1] if by_id[step].needs is not None]
                where = recipe.at((*written[-1].pointer, "needs"))
                message = f"the steps need each other in a circle: {' -> '.join(circle)}"
                yield Problem(message, where, "`a -> b` means that a needs b: remove one of these needs")
            elif name not in done:
                trail.append(name)
                todo.append((name, iter(needs[name])))
