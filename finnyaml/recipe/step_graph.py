"""Ids, needs and targets of steps: of those that a recipe lists, and of all that a plan has.

A recipe alone does not say which steps a flow or a phase of FINN brings. Then the plan finds the mistake, in the same
words.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from finnyaml.errors import Problem, Where
from finnyaml.recipe.build import default_id
from finnyaml.recipe.model import Pointer, Recipe, StepEntry
from finnyaml.recipe.paths import LONGEST_ID
from finnyaml.text import did_you_mean, quoted

SECTIONS = ("model", "preprocess", "postprocess")
"""Ids of what the recipe's own sections make, for the first step of a branch."""


@dataclass(frozen=True)
class Step:
    """A step with the entry that brought it. `needs`: ids; None: the step before it."""

    id: str
    entry: StepEntry
    needs: tuple[str, ...] | None


def check_steps(recipe: Recipe) -> Iterator[Problem]:
    """What is wrong with the steps that the recipe lists, as far as it alone can say it."""
    if recipe.steps.flow is not None:
        return
    steps = [Step(entry.id or default_id(entry.uses), entry, entry.needs) for entry in recipe.steps.entries]
    if any(step.id.startswith("phase_") for step in steps):
        yield from check_graph(recipe, steps, None)
        return
    yield from check_graph(recipe, steps, SECTIONS)
    if steps:
        yield from check_targets(recipe, [step.id for step in steps], SECTIONS)


def check_graph(recipe: Recipe, steps: Sequence[Step], sections: Collection[str] | None) -> Iterator[Problem]:
    """Duplicate ids, needs that do not exist, cycles.

    `sections` are the sections of the recipe that may be needed; None: there are more steps than these, so any name may
    be right.
    """
    by_id: dict[str, Step] = {}
    for step in steps:
        yield from _check_length(f"the step id {quoted(step.id)}", step.id, recipe.at(_id_pointer(step)), "`id:`")
        if by_id.setdefault(step.id, step) is not step:
            yield _duplicate(recipe, step, by_id[step.id])
    for step in steps:
        yield from _check_needs(recipe, step, by_id, sections)
    yield from _cycles(recipe, by_id, linked(steps, "model"))


def check_targets(recipe: Recipe, ids: Collection[str], sections: Collection[str]) -> Iterator[Problem]:
    """Targets that are neither one of the steps `ids` nor one of these sections."""
    for target, name in recipe.targets.items():
        yield from _check_length(f"the target {quoted(target)}", target, recipe.at(("targets", target)), "name")
        if name not in ids and name not in sections:
            message = f"the target {quoted(target)} is the step {quoted(name)}, which does not exist"
            yield Problem(message, recipe.at(("targets", target)), _near(name, ids))


def linked(steps: Sequence[Step], first: str) -> dict[str, tuple[str, ...]]:
    """What each step needs by id (of two with one id, the first); `first` is what stands before the first of them."""
    needs: dict[str, tuple[str, ...]] = {}
    for step in steps:
        needs.setdefault(step.id, (first,) if step.needs is None else step.needs)
        first = step.id
    return needs


def _check_length(what: str, name: str, where: Where | None, shorter: str) -> Iterator[Problem]:
    length = len(os.fsencode(name))
    if length > LONGEST_ID:
        message = f"{what} is too long: {length} bytes, and files are named after it, so at most {LONGEST_ID}"
        yield Problem(message, where, f"give it a shorter {shorter}")


def _duplicate(recipe: Recipe, step: Step, first: Step) -> Problem:
    place, where = recipe.at(_id_pointer(first)), recipe.at(_id_pointer(step))
    line = ""
    if place and where:
        file = "" if place.file == where.file else f" of {place.file.name}"
        line = f": line {place.line}{file} has it already"
    hint = "choose another id" if step.entry.id else f"give it an id of its own: {{uses: {step.entry.uses}, id: ...}}"
    return Problem(f"duplicate step id {quoted(step.id)}{line}", where, hint)


def _id_pointer(step: Step) -> Pointer:
    return (*step.entry.pointer, "id" if step.entry.id else "uses")


def _check_needs(
    recipe: Recipe, step: Step, by_id: Mapping[str, Step], sections: Collection[str] | None
) -> Iterator[Problem]:
    pointer = (*step.entry.pointer, "needs")
    if step.needs == ():
        hint = "leave out `needs` for the entry before it, or name the step that makes the model"
        yield Problem(f"the step {quoted(step.id)} needs no step, so it would get no model", recipe.at(pointer), hint)
    for index, need in enumerate(step.needs or ()):
        where = recipe.at((*pointer, index))
        if need == step.id:
            yield Problem(f"the step {quoted(need)} needs itself", where, "name the step that comes before it")
        elif sections is not None and need not in by_id and need not in sections:
            message = f"the step {quoted(step.id)} needs {quoted(need)}, which does not exist"
            yield Problem(message, where, _near(need, by_id))


def _near(name: str, ids: Collection[str]) -> str | None:
    short = default_id(name)
    return f"its id is {quoted(short)}" if short in ids and short != name else did_you_mean(name, ids)


def _cycles(recipe: Recipe, by_id: Mapping[str, Step], needs: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    """Every cycle, at the last `needs` of it that is written."""
    order = {name: index for index, name in enumerate(by_id)}
    left = {name: [need for need in wanted if need in by_id and need != name] for name, wanted in needs.items()}
    while True:
        try:
            TopologicalSorter(left).prepare()
            return
        except CycleError as error:
            found = error.args[1][:0:-1]  # there, each is needed by the next
        start = found.index(min(found, key=order.__getitem__))
        cycle = found[start:] + found[:start]
        written = [name for name in cycle if by_id[name].needs is not None]
        where = recipe.at((*by_id[written[-1]].entry.pointer, "needs"))
        message = f"the steps need each other in a cycle: {' -> '.join([*cycle, cycle[0]])}"
        yield Problem(message, where, "`a -> b` means that a needs b: remove one of these needs")
        left[cycle[0]].remove([*cycle, cycle[0]][1])
