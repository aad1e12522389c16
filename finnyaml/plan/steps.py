"""From the steps a recipe lists to entries in order: flows and their edits, phases, names of other FINN versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from finnyaml import plugins
from finnyaml.errors import Problem
from finnyaml.finn import aliases
from finnyaml.finn.catalog import Catalog
from finnyaml.plan import folds, phases
from finnyaml.plan.placed import Placed
from finnyaml.recipe.build import default_id
from finnyaml.recipe.model import CodeRef, FlowEdit, Pointer, Recipe, StepEntry
from finnyaml.steps import builtin, open_rtl
from finnyaml.text import did_you_mean

FREE_DEPTHS = frozenset(("auto", "file", "depths", "strategy"))
"""Words of `fifo:` with which the recipe itself says what depths the FIFOs get."""


class Expansion:
    """Collects the placed entries and the problems of one recipe. `toolchain` is `open` or `vivado`."""

    def __init__(self, recipe: Recipe, catalog: Catalog, toolchain: str = "vivado") -> None:
        self.recipe = recipe
        self.catalog = catalog
        self.problems: list[Problem] = []
        self._open = toolchain == "open"
        sized = any(entry.uses == "rtl.size_fifos" for entry in recipe.steps.written)
        self._depths_given = sized or not FREE_DEPTHS.isdisjoint(recipe.settings.fifo)

    def placed(self) -> list[Placed]:
        """All entries in the order of the recipe."""
        steps = self.recipe.steps
        if steps.flow is None:
            return [placed for entry in steps.entries for placed in self._place(entry)]
        names = self.catalog.flows.get(steps.flow)
        pointer: Pointer = ("steps", "flow") if ("steps", "flow") in self.recipe.positions else ("steps",)
        if names is None:
            self._problem(
                f"{self.catalog} has no flow {steps.flow!r}", pointer, did_you_mean(steps.flow, self.catalog.flows, 3)
            )
            return []
        listed = [placed for name in names for placed in self._place(StepEntry(uses=name, pointer=pointer))]
        for edit in steps.edits:
            listed = self._edited(listed, edit)
        return listed

    def _edited(self, listed: list[Placed], edit: FlowEdit) -> list[Placed]:
        found = self._named(edit.anchor, listed)
        if not found:
            known = [item.id for item in listed]
            message = f"`{edit.op.partition('_')[0]}` matches nothing: the flow has no step {edit.anchor!r}"
            self._problem(message, edit.pointer, did_you_mean(edit.anchor, known, 3))
            return listed
        new = [placed for entry in edit.entries for placed in self._place(entry)]
        first, after = found[0], found[-1] + 1
        if edit.op == "insert_before":
            return listed[:first] + new + listed[first:]
        if edit.op == "insert_after":
            return listed[:after] + new + listed[after:]
        kept = [item for index, item in enumerate(listed) if index >= first and index not in found]
        return listed[:first] + new + kept

    def _named(self, anchor: str, listed: Sequence[Placed]) -> list[int]:
        """Where all that the entry of that id became stands; else what runs the step, or comes from the phase."""
        step, phase = aliases.resolve(anchor, self.catalog.steps), phases.find(anchor, self.catalog)
        by_id = [index for index, item in enumerate(listed) if anchor in (item.id, *item.names)]
        return by_id or [
            index
            for index, item in enumerate(listed)
            if (step and item.step == step) or (phase and item.phase == phase.name)
        ]

    def _place(self, entry: StepEntry) -> Iterator[Placed]:
        if entry.uses in plugins.installed("repairs"):
            named = CodeRef(entry.uses, entry.uses, plugin="repairs")
            yield self._repair(replace(entry, code=named))
            return
        if entry.code is not None:
            yield Placed(entry.id or default_id(entry.uses), "code", entry.uses, entry)
            return
        if entry.uses in open_rtl.STEPS:
            yield Placed(entry.id or default_id(entry.uses), entry.uses, entry.uses, entry)
            return
        if entry.uses in builtin.STEPS:
            yield self._repair(entry)
            return
        phase = phases.find(entry.uses, self.catalog)
        if phase is not None:
            self.problems += phases.check(phase, entry, self.recipe)
            yield from phases.parts(phase, entry, self._steps_for)
            return
        if aliases.left_out(entry.uses, self.catalog.steps):
            notice = f"{self.catalog} has no step {aliases.short(entry.uses)}, which a later one does again: left out"
            self._problem(notice, entry.pointer, None, "warning")
            return
        name = aliases.resolve(entry.uses, self.catalog.steps)
        if name is None:
            own = (*builtin.STEPS, *open_rtl.STEPS, *plugins.installed("steps"), *plugins.installed("repairs"))
            known = [*map(aliases.short, self.catalog.steps), *self.catalog.phases, *own]
            hint = did_you_mean(aliases.short(entry.uses), known, 3)
            self._problem(f"{self.catalog} has no step {entry.uses!r}", entry.pointer, hint)
            return
        written = aliases.short(entry.uses)  # also of an old name: it is what the recipe's `needs` and targets say
        if aliases.short(name) != written:
            notice = f"{entry.uses} is called {aliases.short(name)} in {self.catalog}"
            self._problem(notice, entry.pointer, None, "warning")
        yield from self._steps_for(name, entry.id or written, entry)

    def _repair(self, entry: StepEntry) -> Placed:
        if entry.with_:
            self._problem(f"{entry.uses} takes no settings", (*entry.pointer, "with"), "leave `with:` out")
        return Placed(entry.id or default_id(entry.uses), "repair", entry.uses, replace(entry, with_={}))

    def _steps_for(self, name: str, task: str, entry: StepEntry) -> Iterator[Placed]:
        """A step of FINN, or with the open toolchain what stands for it; the last has the id of the entry.

        Where the recipe wants the best folding, our search stands for FINN's step that chooses one.
        """
        if name == folds.CHOOSES and folds.wanted(self.recipe, entry):
            yield Placed(task, folds.KIND, folds.USES, entry, step=name, names=(task,))
            return
        if not self._open:
            yield Placed(task, "finn", name, entry, step=name)
            return
        outputs = entry.with_.get("outputs", self.recipe.settings.outputs)
        makes = open_rtl.OUTPUTS.get(name)
        idle = outputs is not None and makes is not None and makes not in outputs
        first, *further = (name,) if idle else open_rtl.SUBSTITUTES.get(name, (name,))
        if self._depths_given:
            further = []
        if first in open_rtl.STEPS:
            target = {key: value for key, value in entry.with_.items() if key == "target"}
            for key in entry.with_.keys() - {"outputs", "target"}:
                stands = f"{first} stands for {aliases.short(name)}"
                message = f"with the open toolchain, {stands}: it reads nothing of `{key}`"
                hint = f"list {first} itself, or set `toolchain: vivado`"
                self._problem(message, (*entry.pointer, "with", key), hint)
            yield Placed(task, first, first, replace(entry, with_=target), step=name)
            return
        inserts, kind = f"{task}.insert" if further else task, "finn_open" if first in open_rtl.RUN_OPEN else "finn"
        yield Placed(inserts, kind, first, entry, step=name, names=(task,))
        for step in further:
            silent = replace(entry, needs=None, with_={})
            yield Placed(task, step, step, silent, step=name, names=(task,))

    def _problem(self, message: str, pointer: Pointer, hint: str | None, severity: str = "error") -> None:
        self.problems.append(Problem(message, self.recipe.at(pointer), hint, severity))
