"""The DAG of one recipe: every task with its needs, checked. The plan's other modules read it, none changes it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from finnyaml.errors import Problem, RecipeError
from finnyaml.finn import settings
from finnyaml.finn.catalog import Catalog
from finnyaml.kinds import KINDS
from finnyaml.kinds.code import CodeOf, no_code
from finnyaml.plan import contradictions, folds, phases, without_vivado
from finnyaml.plan.bundles import with_bundles
from finnyaml.plan.placed import Placed
from finnyaml.plan.points import SIMULATIONS, code_params, data_params, points_of, with_points
from finnyaml.plan.steps import Expansion
from finnyaml.plan.task import Task, references
from finnyaml.recipe.model import Processing, Recipe, Trust
from finnyaml.recipe.step_graph import Step, check_graph, check_targets, linked
from finnyaml.steps import open_rtl
from finnyaml.store.names import Names
from finnyaml.tools.needs import needs as tools_of

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True)
class Plan:
    """The tasks of a recipe in an order in which they can run, and its targets (name to task id).

    `toolchain` is `open` or `vivado`: what was taken, also where the recipe leaves it to what is installed. `code`
    names the code that runs tasks.
    """

    recipe: Recipe
    catalog: Catalog
    tasks: Mapping[str, Task]
    targets: Mapping[str, str]
    toolchain: str = "vivado"
    code: CodeOf = field(default=no_code, repr=False)

    @functools.cached_property
    def graph(self) -> networkx.DiGraph[str]:
        """The DAG as a networkx graph: an edge leads from a task to each that needs it; a node's `task` is the task."""
        import networkx

        graph: networkx.DiGraph[str] = networkx.DiGraph()
        graph.add_nodes_from((name, {"task": task}) for name, task in self.tasks.items())
        graph.add_edges_from((need, task.id) for task in self.tasks.values() for need in task.needs)
        return graph

    def ancestors(self, ids: Iterable[str]) -> set[str]:
        """The tasks `ids` and everything that has to be there before them: what they need, and the gates above them."""
        found: set[str] = set()
        waiting = list(ids)
        while waiting:
            task = waiting.pop()
            if task not in found:
                found.add(task)
                waiting.extend((*self.tasks[task].needs, *self.tasks[task].after))
        return found

    def points(self, steps: Iterable[str]) -> set[str]:
        """The verification points of these steps, with everything they need."""
        return self.ancestors(points_of(self.tasks.values(), set(steps)))

    def descendants(self, ids: Iterable[str]) -> set[str]:
        """The tasks `ids` and everything that needs them."""
        found = set(ids)
        for task in self.tasks.values():  # in topological order
            if found.intersection(task.needs):
                found.add(task.id)
        return found


def build(recipe: Recipe, catalog: Catalog, code: CodeOf, *, vivado: bool = True) -> tuple[Plan, tuple[Problem, ...]]:
    """The plan of a recipe for one FINN, and the warnings. `code` names the code that runs the tasks.

    `vivado`: whether it is installed here, which decides where the recipe says `toolchain: auto`.

    Raises:
        RecipeError: with every problem found.
    """
    toolchain = _toolchain(recipe, catalog, vivado=vivado)
    placed, base, configs, problems = _named(recipe, catalog, toolchain)
    sources = _source_tasks(recipe, code)
    needs = _needs(placed, [task.id for task in sources], recipe, problems)
    problems += without_vivado.not_with(recipe, placed, catalog)
    problems += without_vivado.unstitched(recipe, placed, needs)
    problems += folds.problems(recipe, placed)
    problems += contradictions.problems(recipe, catalog, placed, base, configs)
    if toolchain == "open":
        problems += without_vivado.problems(recipe, placed, base)
    steps = {item.uses for item in placed}
    defaults = {name: item.default for name, item in catalog.fields.items()}
    tasks = {task.id: task for task in sources}
    for item in placed:
        config, params = configs.get(item.id, base), _params(item, recipe, toolchain)
        at = (*item.entry.pointer, "with")
        own = frozenset(name for name, pointer in config.pointers.items() if pointer[: len(at)] == at)
        values = {**config.values}
        if item.open and values.get("auto_fifo_depths", defaults.get("auto_fifo_depths")):
            problems += without_vivado.unusable_strategy(recipe, catalog, config.values)
            values["auto_fifo_strategy"] = without_vivado.MINIMAL
        if "verify_steps" in values:
            asked = values.pop("verify_steps")
            kept = without_vivado.by_finn(asked or (), steps, catalog, toolchain)
            values |= {"verify_steps": kept} if kept or not asked else {}
        tasks[item.id] = Task(
            id=item.id,
            kind=item.kind,
            uses=item.uses,
            needs=needs.get(item.id, ()),
            pointer=item.entry.pointer,
            params=params,
            config=values,
            defaults=defaults,
            staged=config.staged,
            own_settings=own,
            setting_pointers=config.pointers,
            tools=tuple(sorted({*item.entry.tools, *_tools(item, {**defaults, **values}, catalog)})),
            expect=item.entry.expect or (None if KINDS[item.kind].users_code else "exact"),
            timeout=item.entry.timeout,
            trust=_trust(item, params, recipe),
            resources=item.entry.resources,
            implementation=code(*references(item.kind, item.uses, params)),
        )
    if any(problem.severity == "error" for problem in problems):
        raise RecipeError(_in_order(problems))
    verified = with_points(recipe, catalog, _ordered(tasks), code, toolchain)
    problems += verified.problems
    if verified.problems:
        raise RecipeError(_in_order(problems))
    ordered = _ordered(verified.tasks)
    plan = Plan(recipe, catalog, ordered, {}, toolchain, code)
    targets = _targets(plan)
    bundled = with_bundles(recipe, catalog, ordered, targets, code)
    plan = Plan(recipe, catalog, _fetching(_ordered(bundled), recipe), targets, toolchain, code)
    return plan, tuple(_in_order(problems))


def _fetching(tasks: dict[str, Task], recipe: Recipe) -> dict[str, Task]:
    """The tasks with the files from the network that their parameters name."""
    if not recipe.downloads:
        return tasks
    found = {}
    for name, task in tasks.items():
        staged = {
            path.removeprefix("@inputs/"): settings.Staged(download=recipe.downloads[path])
            for path in _texts(task.params)
            if path in recipe.downloads
        }
        found[name] = replace(task, staged={**task.staged, **staged}) if staged else task
    return found


def _texts(params: Any) -> Iterator[str]:
    if isinstance(params, str):
        yield params
    elif isinstance(params, Mapping | list):
        for item in params.values() if isinstance(params, Mapping) else params:
            yield from _texts(item)


def wrong_names(recipe: Recipe, catalog: Catalog, *, vivado: bool = True) -> list[Problem]:
    """What a recipe names that this FINN does not have: steps, flows, build options, boards; and warnings.

    Unlike `build`, for the usable part of a recipe too that has other errors.
    """
    return _named(recipe, catalog, _toolchain(recipe, catalog, vivado=vivado))[-1]


def _toolchain(recipe: Recipe, catalog: Catalog, *, vivado: bool) -> str:
    """What runs the steps that need Xilinx' tools: theirs too where nothing of ours can stand for them."""
    return recipe.toolchain if recipe.toolchain != "auto" else "vivado" if vivado or catalog.lacks else "open"


def _named(
    recipe: Recipe, catalog: Catalog, toolchain: str
) -> tuple[list[Placed], settings.FinnConfig, dict[str, settings.FinnConfig], list[Problem]]:
    """The entries in order, the settings of the recipe, those of entries with their own, and what is wrong in them."""
    expansion = Expansion(recipe, catalog, toolchain)
    placed = expansion.placed()
    base, wrong = settings.resolve(recipe, catalog)
    problems = [*expansion.problems, *wrong]
    configs = {}
    for item in placed:
        if not KINDS[item.kind].users_code and item.entry.uses not in open_rtl.STEPS and item.entry.with_:
            at = (*item.entry.pointer, "with")
            configs[item.id], further = settings.resolve(recipe, catalog, item.entry.with_, at)
            problems += [problem for problem in further if problem not in wrong]
    return placed, base, configs, problems


def _source_tasks(recipe: Recipe, code: CodeOf) -> list[Task]:
    names = Names(None, recipe.directory)
    spec = recipe.model.input
    input_spec = {"shape": list(spec.shape) if spec.shape else None, "datatype": spec.datatype, "layout": spec.layout}
    params: dict[str, Any] = {"input": input_spec}
    if recipe.model.brevitas is not None:
        kind, uses = "brevitas", recipe.model.brevitas.text
        params |= {"code": code_params(recipe.model.brevitas, names), "args": dict(recipe.model.args)}
        if recipe.model.export:  # without it, keys are as before
            params["export"] = dict(recipe.model.export)
        if recipe.model.weights is not None:
            params |= {"weights": names.hide(recipe.model.weights), "weights_key": recipe.model.weights_key}
    else:
        assert recipe.model.onnx is not None
        kind, uses = "onnx", recipe.model.onnx.name
        params["file"] = names.hide(recipe.model.onnx)
    implementation = code(*references(kind, uses, params))
    trust = recipe.model.trust
    tasks = [Task("model", kind, uses, (), ("model",), params, trust=trust, implementation=implementation)]
    for section, stages in (("preprocess", recipe.preprocess), ("postprocess", recipe.postprocess)):
        if stages:
            listed = {"stages": [_stage(stage, names) for stage in stages], "input": input_spec}
            needs = (tasks[-1].id,)
            implementation = code(*references("processing", section, listed))
            tasks.append(Task(section, "processing", section, needs, (section,), listed, implementation=implementation))
    return tasks


def _stage(stage: Processing, names: Names) -> dict[str, Any]:
    return {
        "kind": stage.kind,
        "options": dict(stage.options),
        "code": code_params(stage.code, names) if stage.code else None,
        "file": names.hide(stage.file) if stage.file else None,
    }


def _params(item: Placed, recipe: Recipe, toolchain: str) -> dict[str, Any]:
    if item.entry.code is not None:
        named = {"code": code_params(item.entry.code, Names(None, recipe.directory))}
        return {**named, "with": dict(item.entry.with_)} if item.kind == "code" else named
    if item.kind == "segment":
        return {"phase": item.phase, "index": item.index}
    if item.kind == folds.KIND:
        return folds.params(recipe, item.entry, rtl_only=toolchain == "open")
    if item.uses in open_rtl.STEPS:
        return _rtl_params(item, recipe)
    if item.uses == "step_specialize_layers":
        overlay = item.entry.with_.get("specialize", {})
        style = overlay.get("prefer", recipe.settings.specialize.get("prefer"))
        return {"prefer": style} if style else {}
    return {}


def _trust(item: Placed, params: Mapping[str, Any], recipe: Recipe) -> Trust:
    """What the recipe says of a step; of hardware that gets samples, also what it says of the data set."""
    if recipe.verify is None or not params.get("data"):
        return item.entry.trust
    return item.entry.trust & recipe.verify.data.trust


def _rtl_params(item: Placed, recipe: Recipe) -> dict[str, Any]:
    """The settings of an RTL step; of one that computes with the hardware also the data set that has its frames."""
    own = item.entry.with_ if item.entry.uses == item.uses else {}  # else it stands for a step of FINN
    params = {**KINDS[item.kind].settings, **own}
    if not KINDS[item.kind].frames:
        return params
    data, wanted = None, params["frames"]
    if item.uses == "rtl.export":
        wanted = params["candidates"] = max(wanted, open_rtl.CANDIDATES)
    if recipe.verify is not None:
        spec = recipe.verify.data
        limit = min(wanted, spec.limit or wanted)
        data = data_params(replace(spec, limit=limit), Names(None, recipe.directory))
    return {**params, "data": data, "layout": recipe.model.input.layout, "file": f"{SIMULATIONS}/{item.id}.npz"}


def _tools(item: Placed, config: Mapping[str, Any], catalog: Catalog) -> tuple[str, ...]:
    if item.uses in open_rtl.STEPS:
        return KINDS[item.kind].tools
    if item.open:
        return ("g++",) if "node_by_node_rtlsim" in (config.get("verify_steps") or ()) else ()
    return tools_of(item.uses, config, distribution=catalog.distribution)


def _needs(
    placed: Sequence[Placed], sources: Sequence[str], recipe: Recipe, problems: list[Problem]
) -> dict[str, tuple[str, ...]]:
    """Each entry's needs by id: what it says, else the entry before it. What is wrong with them goes to `problems`."""
    known = {*sources, *(item.id for item in placed)}
    of_phases = phases.results(placed)
    complete = not any(problem.severity == "error" for problem in problems)
    steps = []
    for item in placed:
        if item.id in sources:
            message = f"the id {item.id!r} is taken by the recipe's own section"
            problems.append(Problem(message, recipe.at(item.entry.pointer), "give it an `id:` of its own"))
        needs = item.entry.needs
        if needs is not None:
            needs = tuple(need if need in known else of_phases.get(need, need) for need in needs)
        steps.append(Step(item.id, item.entry, needs))
    problems += check_graph(recipe, steps, sources if complete else None)
    return {name: tuple(need for need in needs if need in known) for name, needs in linked(steps, sources[-1]).items()}


def _ordered(tasks: Mapping[str, Task]) -> dict[str, Task]:
    """The tasks in topological order; among equals, in the order of the recipe."""
    position = {name: (index, 0, index) for index, name in enumerate(tasks)}
    for index, (name, task) in enumerate(tasks.items()):
        if task.checks is not None:  # a point stands behind its step, so that a gate falls as early as it can
            position[name] = (position[task.checks][0], 1, index)
        elif not task.is_step:
            position[name] = (0, 1, index)
    sorter = TopologicalSorter({name: (*task.needs, *task.after) for name, task in tasks.items()})
    sorter.prepare()
    ordered: dict[str, Task] = {}
    ready: list[tuple[tuple[int, int, int], str]] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, (position[name], name))
        _, name = heappop(ready)
        ordered[name] = tasks[name]
        sorter.done(name)
    return ordered


def _targets(plan: Plan) -> dict[str, str]:
    """The targets of the recipe; where it names none, every step that no step needs.

    Raises:
        RecipeError: a target that is not a task, or steps that no target needs.
    """
    steps = {name: task for name, task in plan.tasks.items() if task.is_step}
    needed = {need for task in steps.values() for need in task.needs}
    ends = [name for name in steps if name not in needed]
    recipe = plan.recipe
    if not recipe.targets:
        return {name: name for name in ends}
    problems = list(check_targets(recipe, steps, ()))
    if not problems:
        reached = plan.ancestors(recipe.targets.values())
        for name in steps:
            if name not in reached:
                where = recipe.at(plan.tasks[name].pointer)
                hint = "name it (or a step after it) in `targets:`, or remove it"
                problems.append(Problem(f"no target needs the step {name!r}", where, hint))
    if problems:
        raise RecipeError(_in_order(problems))
    return dict(recipe.targets)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    unique = list(dict.fromkeys(problems))
    return sorted(
        unique,
        key=lambda item: (str(item.where.file), item.where.line, item.where.column) if item.where else ("", 0, 0),
    )
