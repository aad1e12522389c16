"""From `bundle:` to tasks: for each target the contract of its accelerator, and the bundle that is filled from it.

The contract (with graphs and golden samples) follows from the model and the data; it costs seconds. The bundle adds
what reports, measurements and templates say; so a changed template only fills it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finnyaml.errors import Problem, RecipeError
from finnyaml.finn.catalog import Catalog
from finnyaml.kinds.code import CodeOf
from finnyaml.plan.points import PREFIX, data_params
from finnyaml.plan.task import Task, references
from finnyaml.recipe.model import SILENT, BundleSpec, Recipe
from finnyaml.store.names import Names

NAME = "bundle"
"""The id of the task, and the word for all of them on the command line."""

FOLDER = "out/bundle"
"""Where bundles lie in the tree of files."""

PARTS = f"{FOLDER}/.parts"
"""Where the contract's task leaves what the bundle is made from."""


def asked_by(target: str) -> bool:
    """Whether a target of the command line means a bundle, or its contract."""
    return target == NAME or target.startswith(f"{NAME}.")


def with_bundles(
    recipe: Recipe,
    catalog: Catalog,
    tasks: Mapping[str, Task],
    targets: Mapping[str, str],
    code: CodeOf,
) -> dict[str, Task]:
    """The tasks of a plan, in topological order, with those that make the bundle of each target.

    Raises:
        RecipeError: a step has the name of a bundle; no step cuts the accelerator out of the graph.
    """
    added: dict[str, Task] = {}
    if recipe.bundle is None:
        return dict(tasks)
    taken = [task for name, task in tasks.items() if asked_by(name)]
    if taken:
        message = f"{taken[0].id!r} cannot be the id of a step: it is the word for deployment bundles"
        hint = "give the step an `id:` of its own"
        raise RecipeError([Problem(message, recipe.at(taken[0].pointer), hint)])
    defaults = {name: item.default for name, item in catalog.fields.items()}
    for target, end in targets.items():
        own = f".{target}" if len(targets) > 1 else ""
        contract = _contract(recipe, recipe.bundle, tasks["model"], end, f"{NAME}.contract{own}", code)
        steps = _above(tasks, end)
        _check_partitioned(recipe, end, steps)
        points = [name for name, task in tasks.items() if task.kind == "verify" and task.checks in steps]
        added[contract.id] = contract
        params = {
            **_filling(recipe, recipe.bundle, recipe.name + own.replace(".", "-")),
            "points": [point.removeprefix(PREFIX) for point in points],
            "steps": list(steps),
        }
        added[NAME + own] = Task(
            id=NAME + own,
            kind="bundle",
            uses="bundle",
            needs=(end, contract.id, *points, *(name for name in steps if name != end)),
            pointer=("bundle",),
            params=params,
            config=tasks[end].config,
            defaults=defaults,
            setting_pointers=tasks[end].setting_pointers,
            checks=end,
            implementation=code(*references("bundle", "bundle", params)),
        )
    return {**tasks, **added}


def _contract(recipe: Recipe, spec: BundleSpec, source: Task, end: str, name: str, code: CodeOf) -> Task:
    names = Names(None, recipe.directory)
    params: dict[str, Any] = {
        "data": data_params(recipe.verify.data, names) if recipe.verify else None,
        "golden": spec.golden,
        "input": source.params["input"],
        "stages": {
            section: [{"kind": stage.kind, "options": dict(stage.options)} for stage in stages]
            for section, stages in (("preprocess", recipe.preprocess), ("postprocess", recipe.postprocess))
        },
        "folder": PARTS,
    }
    return Task(
        id=name,
        kind="contract",
        uses="contract",
        needs=(end,),
        pointer=("bundle",),
        params=params,
        checks=end,
        trust=recipe.verify.data.trust if recipe.verify else SILENT,
        implementation=code(*references("contract", "contract", params)),
    )


def _check_partitioned(recipe: Recipe, end: str, steps: Mapping[str, Task]) -> None:
    if any("dataflow_partition" in task.uses or task.declared.opaque for task in steps.values()):
        return
    message = f"there is nothing to deliver: up to {end}, no step cuts the accelerator out of the graph"
    hint = "add create_dataflow_partition, and the steps that lead to it"
    raise RecipeError([Problem(message, recipe.at(("steps",)), hint)])


def _above(tasks: Mapping[str, Task], end: str) -> dict[str, Task]:
    """The end and all steps before it, in the order of the plan."""
    found = {end}
    for name in reversed(list(tasks)):
        if name in found:
            found.update(tasks[name].needs)
    return {name: task for name, task in tasks.items() if name in found and task.is_step}


def _filling(recipe: Recipe, spec: BundleSpec, name: str) -> dict[str, Any]:
    """What the recipe says of the bundle itself, by names that travel."""
    names = Names(None, recipe.directory)
    return {
        "name": name,
        "recipe": dict(recipe.resolved),
        "templates": names.hide(spec.templates) if spec.templates else None,
        "files": dict(spec.files),
        "vars": dict(spec.vars),
        "parts": PARTS,
        "folder": FOLDER,
    }
