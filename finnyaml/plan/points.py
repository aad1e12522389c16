"""From `verify:` to tasks: the reference, one point per measured step, and the gates before expensive work.

A point measures the model that a step made; it never changes it. Its task has the key of what it measures (model, data,
metric); its limits are not part of that.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from finnyaml.errors import Problem
from finnyaml.finn import aliases
from finnyaml.finn.catalog import Catalog
from finnyaml.kinds.code import CodeOf
from finnyaml.plan import without_vivado
from finnyaml.plan.task import Task, references
from finnyaml.recipe.model import CodeRef, DataSpec, Limits, PointEntry, Pointer, Recipe, Verify
from finnyaml.steps import open_rtl
from finnyaml.store.names import Names
from finnyaml.text import did_you_mean
from finnyaml.verify.gates import Gate

PREFIX = "verify."
"""Ids of these tasks: `verify.streamline` measures `streamline`, `verify.source` is the reference."""

SOURCE = f"{PREFIX}source"
FOLDER = "out/verification"
"""Where predictions lie in the tree of files."""

SIMULATIONS = "out/rtl/simulation"
"""Where the outputs of simulated hardware lie in the tree of files."""

GOLDEN = {"verify_input_npy": "golden_input.npy", "verify_expected_output_npy": "golden_output.npy"}
"""FINN's configuration fields for its own verification, and the files made for them."""

RUN_WITHIN: Mapping[str, str] = {"step_hw_ipgen": "step_generate_hardware"}
"""Steps of FINN that another of its steps runs as a part of itself, with their verification."""

FRACTIONS = frozenset(("top_k", "agreement"))
"""Kinds of metrics that are a share of the samples."""

BISECT_SAMPLES = 1000
"""So many samples at most decide where accuracy is lost; each of some eight models is run on all of them."""

GOLDEN_SAMPLES = 1
"""FINN simulates sample by sample, in hardware simulation for minutes each."""


def id_of(step: str) -> str:
    """The id of the point that measures a step."""
    return PREFIX + step


@dataclass(frozen=True)
class Points:
    """What verification adds to a plan: further tasks, and what changes in those that are there."""

    tasks: Mapping[str, Task]
    problems: Sequence[Problem]


def with_points(recipe: Recipe, catalog: Catalog, tasks: Mapping[str, Task], code: CodeOf, toolchain: str) -> Points:
    """The tasks of a plan, with those that verify it; `tasks` are in topological order."""
    if recipe.verify is None:
        return Points(tasks, ())
    return _Builder(recipe, recipe.verify, catalog, tasks, code, toolchain).points()


class _Builder:
    def __init__(
        self,
        recipe: Recipe,
        verify: Verify,
        catalog: Catalog,
        tasks: Mapping[str, Task],
        code: CodeOf,
        toolchain: str,
    ) -> None:
        self._recipe = recipe
        self._verify = verify
        self._catalog = catalog
        self._tasks = dict(tasks)
        self._code = code
        self._toolchain = toolchain
        self._names = Names(None, recipe.directory)
        self._problems: list[Problem] = []
        self._sources = [name for name in ("model", "preprocess", "postprocess") if name in tasks]

    def points(self) -> Points:
        for name, task in self._tasks.items():
            if name.startswith(PREFIX):
                hint = "give it an `id:` of its own"
                self._problem(f"ids that begin with {PREFIX!r} are those of verification points", task.pointer, hint)
        asked, simulated = self._asked()
        samples = max((entry.limit or GOLDEN_SAMPLES for entry in simulated.values()), default=GOLDEN_SAMPLES)
        golden = self._simulate(simulated)
        self._send_enough(asked)
        added: dict[str, Task] = {}
        reference = self._verify.reference
        points = self._measured(asked)
        if golden or (points and reference.kind == "source"):
            added[SOURCE] = self._source_task(samples if golden else 0)
        if points and reference.kind == "step":
            points.setdefault(self._reference_step(), None)
        settled = self._settled()
        for name in self._tasks:  # in topological order, so that what stands above is drawn above
            if name in points:
                added[id_of(name)] = self._point(name, points, settled)
        if self._config("save_intermediate_models") is False:
            self._problem(
                "`save_intermediate_models: false` drops the dataflow parent, and without it what is left outside "
                "the accelerator cannot be run",
                ("finn", "save_intermediate_models"),
                "leave it out, or leave `verify` out",
            )
        return Points(self._gated({**self._tasks, **added}), self._problems)

    def _asked(self) -> tuple[dict[str, PointEntry], dict[str, PointEntry]]:
        """The points that the recipe lists: by step, and FINN's own simulations by name."""
        by_step: dict[str, PointEntry] = {}
        simulated: dict[str, PointEntry] = {}
        for entry in map(self._by_value, self._verify.points or ()):
            step = self._catalog.points.get(entry.after)
            ours = open_rtl.SIMULATED_IN.get(entry.after)
            answered = [task.id for task in self._tasks.values() if ours and task.uses == ours]
            if answered:
                by_step.update(dict.fromkeys(answered, entry))
                continue
            if ours and self._toolchain == "open":
                message, hint = without_vivado.unanswered(entry.after)
                self._problem(message, entry.pointer, hint)
                continue
            if step is not None and not entry.after.endswith("_python"):
                simulated[entry.after] = entry
                if entry.limits != Limits() or entry.on_fail not in (None, "stop"):
                    message = f"{entry.after} is judged by FINN, which knows right and wrong only"
                    self._problem(message, entry.pointer, "leave its limits out; `limit` says how many samples")
                continue
            found = list(self._named(step or entry.after))
            if not found:
                known = [*(name for name, task in self._tasks.items()), *self._catalog.points]
                shown = f"{entry.after}, which FINN runs in {aliases.short(step)}" if step else repr(entry.after)
                self._problem(
                    f"no step of this recipe has the point {shown}", entry.pointer, did_you_mean(entry.after, known, 3)
                )
            by_step.update(dict.fromkeys(found, entry))
        return by_step, simulated

    def _by_value(self, entry: PointEntry) -> PointEntry:
        """A point of FINN's by its value, where the recipe has its name: STREAMLINED_PYTHON."""
        field = self._catalog.fields.get("verify_steps")
        known = field.choice(entry.after) if field is not None and entry.after.isupper() else None
        return replace(entry, after=known) if known else entry

    def _named(self, name: str) -> Iterator[str]:
        """The steps of that id; else all that run the step of that name."""
        if name in self._tasks:
            if name in self._sources[:-1]:
                hint = f"measure after {self._sources[-1]}, where the graph takes the data as it is"
                self._problem(f"after {name} the graph lacks the stages that come later", ("verify", "points"), hint)
            yield name
            return
        real = aliases.resolve(name, self._catalog.steps)
        yield from (task.id for task in self._tasks.values() if real is not None and task.uses == real)

    def _measured(self, asked: Mapping[str, PointEntry]) -> dict[str, PointEntry | None]:
        """Steps to measure: those that are asked for, or else every step from where the graph is complete."""
        if self._verify.points is not None:
            return dict(asked)
        return dict.fromkeys(
            name
            for name, task in self._tasks.items()
            if name not in self._sources[:-1] and task.uses not in open_rtl.MODEL_KEPT
        )

    def _send_enough(self, asked: Mapping[str, PointEntry]) -> None:
        """Simulated hardware gets as many frames as its point has samples, unless the recipe says how many it gets."""
        for step, entry in asked.items():
            task = self._tasks[step]
            if task.uses != "rtl.simulate" or entry.limit is None:
                continue
            data, frames = self._data(entry.limit), task.params["frames"]
            if data["limit"] <= frames:
                continue
            if any(item.pointer == task.pointer and "frames" in item.with_ for item in self._recipe.steps.written):
                message = f"this point wants {data['limit']} samples, and rtl.simulate sends {frames} frames"
                self._problem(message, (*entry.pointer, "limit"), f"give {step} `frames: {data['limit']}`")
            else:
                self._tasks[step] = replace(task, params={**task.params, "frames": data["limit"], "data": data})

    def _point(self, step: str, points: Mapping[str, PointEntry | None], settled: set[str]) -> Task:
        verify, entry = self._verify, points[step]
        limits = _merged(entry.limits, verify.limits) if entry else verify.limits
        reference, needs = self._reference(step)
        before = self._before(step, points)
        params: dict[str, Any] = {
            "data": self._data(entry.limit if entry else None),
            "metric": self._metric(),
            "reference": reference,
            "layout": self._recipe.model.input.layout,
            "file": f"{FOLDER}/{step}.npz",
        }
        simulated = self._tasks[step].params if self._tasks[step].uses == "rtl.simulate" else None
        if simulated is not None:
            params["simulated"] = simulated["file"]
            params["data"] = {**params["data"], "limit": min(simulated["frames"], params["data"]["limit"] or 1 << 62)}
        if limits.atol is not None or limits.rtol is not None:
            params["tolerance"] = {"atol": limits.atol or 0.0, "rtol": limits.rtol or 0.0}
        if before:
            params["before"] = before
            needs = tuple(dict.fromkeys((*needs, id_of(before[0]))))
        return Task(
            id=id_of(step),
            kind="verify",
            uses=params["metric"]["name"],
            needs=(step, *needs),
            pointer=entry.pointer if entry else ("verify",),
            params=params,
            checks=step,
            gate=Gate(
                limits,
                (entry.on_fail if entry else None) or verify.on_fail,
                entry is not None,
                step in settled,
                self._exact(step, before),
            ),
            trust=verify.data.trust,
            implementation=self._code(*references("verify", params["metric"]["name"], params)),
        )

    def _before(self, step: str, points: Mapping[str, PointEntry | None]) -> list[str]:
        """The measured steps, the nearest first, since which no step is expected to change the outputs."""

        def samples(name: str) -> float:
            entry, task = points[name], self._tasks[name]
            sent = task.params["frames"] if task.uses == "rtl.simulate" else None
            limits = (self._verify.data.limit, entry.limit if entry else None, sent)
            return min((limit for limit in limits if limit is not None), default=float("inf"))

        reference = self._reference_step() if self._verify.reference.kind == "step" else None
        found: list[str] = []
        name = step
        while name != reference and self._tasks[name].expect != "change" and not self._tasks[name].declared.source:
            name = self._tasks[name].needs[0]
            if name in points and samples(name) >= samples(step):
                found.append(name)
        return found

    def _exact(self, step: str, before: list[str]) -> bool:
        """Whether all steps since the point before are known to be exact."""
        since = []
        while before and step != before[0]:
            since.append(self._tasks[step].expect)
            step = self._tasks[step].needs[0]
        return all(expect == "exact" for expect in since)

    def _settled(self) -> set[str]:
        """The steps after which no other sets the datatypes of hardware layers anew, as FINN's minimisations do."""
        provisional: set[str] = set()
        for name, task in reversed(self._tasks.items()):
            sets_types = "minimize_bit_width" in task.uses or task.uses == "widen_accumulators"
            if sets_types or name in provisional:
                provisional.update(task.needs)
        return self._tasks.keys() - provisional

    def _reference(self, step: str) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
        """Where a point finds the outputs of the reference, and the task that makes them."""
        spec = self._verify.reference
        if spec.kind == "source":
            return {"tree": f"{FOLDER}/source.npz", "name": "source"}, (SOURCE,)
        if spec.kind == "file":
            assert spec.file is not None
            return {"file": self._names.hide(spec.file), "key": spec.key, "name": spec.file.name}, ()
        first = self._reference_step()
        if first == step:
            return None, ()  # it is what the others are compared with
        return {"tree": f"{FOLDER}/{first}.npz", "name": first}, (id_of(first),)

    def _reference_step(self) -> str:
        wanted = self._verify.reference.step or ""
        found = next(self._named(wanted), None)
        if found is None:
            self._problem(
                f"the reference is not a step here: {wanted!r}",
                ("verify", "reference"),
                did_you_mean(wanted, self._tasks, 3),
            )
        return found or self._sources[-1]

    def _source_task(self, golden: int) -> Task:
        """The task that runs the model as its author wrote it."""
        model = self._tasks["model"]
        torch = self._recipe.model.brevitas is not None
        stages = {name: self._tasks[name].params["stages"] for name in self._sources[1:]} if torch else {}
        params = {
            "data": self._data(None),
            "model": dict(model.params) if torch else None,
            **stages,
            "layout": self._recipe.model.input.layout,
            "golden": golden,
            "file": f"{FOLDER}/source.npz",
        }
        needs = () if torch else (self._sources[-1],)
        kind = "torch_reference" if torch else "reference"
        implementation = self._code(*references(kind, model.uses, params))
        trust = self._verify.data.trust & self._recipe.model.trust if torch else self._verify.data.trust
        return Task(SOURCE, kind, model.uses, needs, ("verify",), params, trust=trust, implementation=implementation)

    def _simulate(self, asked: Mapping[str, PointEntry]) -> bool:
        """Hand golden samples to the steps whose own verification is wanted; whether there are any."""
        steps = {task.uses for task in self._tasks.values()}
        listed = without_vivado.by_finn(self._config("verify_steps") or (), steps, self._catalog, self._toolchain)
        wanted = dict.fromkeys([*listed, *asked])
        own = any(self._recipe.at(("finn", field)) and ("finn", field) in self._recipe.positions for field in GOLDEN)
        golden = False
        for point in wanted:
            step = self._catalog.points.get(point)
            runs = () if step is None else (step, RUN_WITHIN.get(step))
            tasks = [task for task in self._tasks.values() if task.uses in runs]
            if not tasks and point in asked:
                message = f"no step of this recipe runs {point}" + (f" (FINN runs it in {step})" if step else "")
                self._problem(message, asked[point].pointer, None)
            for task in tasks:
                config = {**task.config, "verify_steps": list(wanted)}
                needs = task.needs
                if not own:
                    golden = True
                    config |= {field: f"@tree/{FOLDER}/{file}" for field, file in GOLDEN.items()}
                    needs = (*needs, *(() if SOURCE in needs else (SOURCE,)))
                verifies = (*self._tasks[task.id].verifies, point)
                tools = ("g++",) if task.kind == "finn_open" else task.tools
                self._tasks[task.id] = replace(task, config=config, needs=needs, verifies=verifies, tools=tools)
        return golden

    def _gated(self, tasks: dict[str, Task]) -> dict[str, Task]:
        """Nothing that needs an external tool, or may need one, starts before the gates above it have passed."""
        points = {task.checks: task.id for task in tasks.values() if task.checks}
        above: dict[str, set[str]] = {}
        for name, task in self._tasks.items():
            above[name] = set(task.needs).union(*(above.get(need, ()) for need in task.needs))
            if task.calls_tools or task.kind == "segment":
                gates = tuple(points[step] for step in self._tasks if step in above[name] and step in points)
                tasks[name] = replace(tasks[name], after=gates)
        return tasks

    def _data(self, limit: int | None) -> dict[str, Any]:
        spec = self._verify.data
        limits = [item for item in (spec.limit, limit) if item is not None]
        return data_params(replace(spec, limit=min(limits) if limits else None), self._names)

    def _metric(self) -> dict[str, Any]:
        metric = self._verify.metric
        name = f"top{metric.k}" if metric.kind == "top_k" else metric.kind
        indices = any(stage.kind == "top_k" for stage in self._recipe.postprocess)
        if metric.code is None:
            return {"kind": metric.kind, "k": metric.k, "name": name, "indices": indices}
        code = code_params(metric.code, self._names)
        return {"kind": metric.kind, "code": code, "name": metric.code.function, "indices": indices}

    def _config(self, field: str) -> Any:
        return self._recipe.settings.finn.get(field)

    def _problem(self, message: str, pointer: Pointer, hint: str | None) -> None:
        self._problems.append(Problem(message, self._recipe.at(pointer), hint))


def _merged(own: Limits, usual: Limits) -> Limits:
    """The limits of a point: its own, and of those that it does not set the section's."""
    return Limits(**{**vars(usual), **{name: value for name, value in vars(own).items() if value is not None}})


def moved(point: Task, step: str, earlier: Container[str]) -> Task:
    """The same measurement after another step; `earlier` are the steps before that one."""
    params = {name: value for name, value in point.params.items() if name not in ("simulated", "before")}
    params["file"] = f"{FOLDER}/{step}.npz"
    needs = (step, *_of_reference(point))
    if before := [name for name in point.params.get("before", ()) if name in earlier]:
        params["before"] = before
        needs = tuple(dict.fromkeys((*needs, id_of(before[0]))))
    return replace(point, id=id_of(step), needs=needs, params=params, checks=step)


def _of_reference(point: Task) -> tuple[str, ...]:
    """The task that makes the outputs of a point's reference, where one does."""
    reference = point.params["reference"]
    return (id_of(reference["name"]),) if reference and "tree" in reference else ()


def bisection(step: Task, point: Task, code: CodeOf, *, exact: bool = False) -> Task:
    """The task that finds where a step loses it, by the measure of `point`. It is in no plan; it runs when asked.

    `exact`: where the outputs change, be it for the better or the worse.
    """
    data = point.params["data"]
    params = {
        "step": {"kind": step.kind, "runner": step.declared.runner, "uses": step.uses, "params": dict(step.params)},
        **{name: point.params[name] for name in ("metric", "reference", "layout")},
        "data": {**data, "limit": min(data["limit"] or BISECT_SAMPLES, BISECT_SAMPLES)},
        "max_drop": point.gate.limits.max_drop if point.gate and point.params["metric"]["kind"] in FRACTIONS else None,
        "folder": f"{FOLDER}/bisect-{step.id}",
        "may_change": step.expect != "exact",
        **({"exact": True} if exact else {}),
    }
    return replace(
        step,
        id=f"bisect.{step.id}",
        kind="bisect",
        needs=(*step.needs, *(need for need in _of_reference(point) if need not in step.needs)),
        params=params,
        staged={**step.staged, **point.staged},
        own_settings=frozenset(),
        after=(),
        implementation=code(*references("bisect", step.uses, params)),
    )


def data_params(spec: DataSpec, names: Names) -> dict[str, Any]:
    """A data set as parameters of a task: files by names that travel."""
    return {
        "kind": spec.kind,
        "file": names.hide(spec.file) if spec.file else None,
        "inputs_key": spec.inputs_key,
        "labels_key": spec.labels_key,
        "labels_file": names.hide(spec.labels_file) if spec.labels_file else None,
        "code": code_params(spec.code, names) if spec.code else None,
        "args": dict(spec.args),
        "limit": spec.limit,
        "shuffle": spec.shuffle,
    }


def code_params(ref: CodeRef, names: Names) -> dict[str, Any]:
    """A reference to code as parameters of a task."""
    file = names.hide(ref.file) if ref.file else None
    text = ref.function if ref.file else ref.text
    params = {"text": text, "function": ref.function, "file": file, "module": ref.module}
    return {**params, "plugin": ref.plugin} if ref.plugin else params


def points_of(tasks: Iterable[Task], steps: set[str]) -> set[str]:
    """The points that measure any of these steps."""
    return {task.id for task in tasks if task.checks in steps}
