"""Properties of plans: their order, their cycles, and what the key of a task depends on."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from finnyaml.errors import RecipeError
from finnyaml.kinds.code import CodeOf
from finnyaml.plan import graph
from finnyaml.plan.graph import Plan
from finnyaml.plan.task import Task
from finnyaml.recipe.model import CodeRef, ModelSource, Recipe, Settings, StepEntry
from tests.plan.catalog import CATALOG, code_of, recipe_of

PATIENT = settings(deadline=None)
"""The machine may be busy."""

IDS = st.integers(1, 12).map(lambda count: [f"s{index}" for index in range(count)])


@st.composite
def lists(draw: st.DrawFn, *, acyclic: bool = False) -> list[StepEntry]:
    """Steps with needs drawn from all of them (or only from those before), or with none said."""
    ids = draw(IDS)
    entries = []
    for index, name in enumerate(ids):
        choices = ["model", *(ids[:index] if acyclic else ids)]
        needs = st.lists(st.sampled_from(choices), min_size=1, max_size=3, unique=True).map(tuple)
        entries.append(StepEntry("tidy_up", ("steps", index), name, draw(st.none() | needs)))
    return entries


def plan_of(recipe: Recipe, code: CodeOf = code_of) -> Plan:
    return graph.build(recipe, CATALOG, code)[0]


@PATIENT
@given(lists())
def test_a_list_of_needs_gives_a_plan_or_a_real_cycle(entries: list[StepEntry]) -> None:
    needs: dict[str, tuple[str, ...]] = {"model": ()}
    previous = "model"
    for entry in entries:
        needs[str(entry.id)] = (previous,) if entry.needs is None else entry.needs
        previous = str(entry.id)
    try:
        plan = plan_of(recipe_of(entries))
    except RecipeError as error:
        for problem in error.problems:
            cycle = problem.message.removeprefix("the steps need each other in a cycle: ").split(" -> ")
            if problem.message.endswith(" needs itself"):
                cycle = [problem.message.split("'")[1]] * 2
            assert cycle[0] == cycle[-1] and len(set(cycle)) == len(cycle) - 1
            assert all(need in needs[name] for name, need in pairwise(cycle))
    else:
        assert {name: task.needs for name, task in plan.tasks.items()} == needs
        order = list(plan.tasks)
        assert all(order.index(need) < order.index(name) for name, wanted in needs.items() for need in wanted)


@PATIENT
@given(lists(acyclic=True))
def test_where_the_recipe_is_in_order_the_plan_keeps_it(entries: list[StepEntry]) -> None:
    assert list(plan_of(recipe_of(entries)).tasks) == ["model", *(entry.id for entry in entries)]


@PATIENT
@given(lists(acyclic=True), st.randoms(use_true_random=False))
def test_ancestors_and_descendants_are_the_two_sides_of_one_relation(entries: list[StepEntry], random: Any) -> None:
    plan = plan_of(recipe_of(entries))
    one, other = random.choices(list(plan.tasks), k=2)
    assert (one in plan.ancestors([other])) == (other in plan.descendants([one]))
    assert plan.ancestors(plan.targets.values()) == set(plan.tasks)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
DIGESTS = st.text("0123456789abcdef", min_size=8, max_size=8)
TASKS = st.builds(
    Task,
    id=st.just("t"),
    kind=st.sampled_from(["finn", "code"]),
    uses=st.sampled_from(["step_tidy_up", "own.py:lean"]),
    needs=st.just(("a", "b")),
    pointer=st.just(("steps", 0)),
    params=st.dictionaries(st.text(max_size=5), VALUES, max_size=4),
    implementation=st.dictionaries(st.sampled_from(["finn", "finnyaml/worker"]), st.text(max_size=4), max_size=2),
)


def shuffled(value: Any) -> Any:
    """Equal data whose mappings were filled in the opposite order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(list(value))}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@PATIENT
@given(TASKS, DIGESTS, DIGESTS)
def test_the_order_of_mappings_does_not_count(task: Task, a: str, b: str) -> None:
    other = replace(task, params=shuffled(task.params), implementation=shuffled(task.implementation))
    assert task.key({"a": a, "b": b}) == other.key({"b": b, "a": a})


@PATIENT
@given(TASKS, DIGESTS)
def test_what_is_only_said_about_a_task_does_not_count(task: Task, digest: str) -> None:
    """Its name and place, and the settings: of those counts what the step reads, and that is in the trace."""
    other = replace(
        task,
        id="another",
        needs=("x", "y"),
        pointer=("steps", "flow"),
        config={"target_fps": 3},
        defaults={"board": "Pynq-Z2"},
        own_settings=frozenset({"target_fps"}),
        tools=("vivado",),
        timeout=5.0,
    )
    assert task.key({"a": digest, "b": "1"}) == other.key({"x": digest, "y": "1"})


def differ(one: Any, other: Any) -> bool:
    """Unequal as JSON: 1 and true, 1 and 1.0 are different values there."""
    return repr(shuffled(shuffled(one))) != repr(shuffled(shuffled(other))) and one != other


@PATIENT
@given(TASKS, VALUES, VALUES, DIGESTS, DIGESTS)
def test_each_part_counts(task: Task, old: Any, new: Any, a: str, b: str) -> None:
    inputs = {"a": a, "b": b}
    task = replace(task, params={**task.params, "value": old})
    keys = {
        task.key(inputs),
        replace(task, kind="segment").key(inputs),
        replace(task, uses="step_other").key(inputs),
        replace(task, implementation={**task.implementation, "onnx": "2"}).key(inputs),
        replace(task, params={**task.params, "value": [old]}).key(inputs),
        replace(task, params={**task.params, "one more": None}).key(inputs),
        task.key({"a": a, "b": b + "0"}),
    }
    assert len(keys) == 7
    if differ(old, new):
        assert replace(task, params={**task.params, "value": new}).key(inputs) != task.key(inputs)
    if a != b:  # which of the needs brings the model
        assert task.key({"a": b, "b": a}) != task.key(inputs)


def keys_of(plan: Plan) -> dict[str, str]:
    """Key per task, with the name of each needed task in place of its digest."""
    return {name: task.key({need: f"digest of {need}" for need in task.needs}) for name, task in plan.tasks.items()}


def project(folder: Path, *more: StepEntry, **parts: Any) -> Recipe:
    entries = (
        StepEntry("tidy_up", ("steps", 0)),
        StepEntry("own.py:lean", ("steps", 1), code=CodeRef("own.py:lean", "lean", file=folder / "own.py")),
        StepEntry("streamline", ("steps", 2)),
        *more,
    )
    model = ModelSource(
        CodeRef("../shared/net.py:net", "net", file=folder / "../shared/net.py"),
        args={"bits": 1},
        weights=folder / "weights.pth",
    )
    return recipe_of(entries, folder, **{"model": model, **parts})


def test_the_place_of_the_recipe_does_not_count() -> None:
    here, there = project(Path("/home/anna/net")), project(Path("/data/deep/down/elsewhere"))
    assert keys_of(plan_of(here)) == keys_of(plan_of(there))
    assert "anna" not in str([task.params for task in plan_of(here).tasks.values()])


def test_other_tasks_and_settings_do_not_count() -> None:
    folder = Path("/recipes/one")
    more = StepEntry("hw_codegen", ("steps", 3), "side", ("tidy_up",))
    targets = {"all": "side", "rest": "streamline"}
    longer = project(folder, more, settings=Settings(folding={"target_fps": 5}), name="x", targets=targets)
    keys = keys_of(plan_of(longer))
    assert keys.pop("side")
    assert keys == keys_of(plan_of(project(folder)))


def test_arguments_weights_and_code_are_in_the_keys_of_those_that_use_them() -> None:
    folder = Path("/recipes/one")
    base = keys_of(plan_of(project(folder)))
    source = project(folder).model
    for model in (
        replace(source, args={"bits": 2}),
        replace(source, weights=folder / "other.pth"),
        replace(source, weights_key="state_dict"),
        replace(source, brevitas=CodeRef("net.py:net", "net", file=folder / "net.py")),
        replace(source, input=replace(source.input, datatype="UINT8")),
    ):
        changed = keys_of(plan_of(project(folder, model=model)))
        assert {name for name in base if base[name] != changed[name]} == {"model"}
    other_code = keys_of(plan_of(project(folder), lambda *references: {**code_of(*references), "finn": "0.99 (89ab)"}))
    assert all(base[name] != other_code[name] for name in base)
