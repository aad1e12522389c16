"""How long steps took before: told when they start again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from finnyaml.engine.times import Times
from tests.engine.world import World, task


def test_times_of_earlier_runs_are_told(tmp_path: Path) -> None:
    world = World(tmp_path, task("a", "model"))

    def started(**selected: frozenset[str]) -> dict[str, float | None]:
        engine = world.prepared()
        engine.times = Times(world.store)
        engine.run(world.plan, world.selection(**selected))
        engine.events.close()
        return {event["task"]: event["expected"] for event in world.told("task_started")}

    assert started() == {"model": None, "a": None}
    assert started(forced=frozenset(["a"])) == {"a": 1.25}


def test_those_of_the_same_recipe_come_first(tmp_path: Path) -> None:
    world = World(tmp_path, task("a", "model"))
    recipe, other, step = world.plan.recipe, replace(world.plan.recipe, path=tmp_path / "other.yaml"), world.tasks["a"]
    times = Times(world.store)
    assert times.of([step], recipe) == {}
    times.note(step, other, 100.0)
    assert times.of([step], recipe) == {"a": 100.0}, "better than nothing"
    for seconds in (3.0, 1.0, 2.0):
        times.note(step, recipe, seconds)
    assert Times(world.store).of([step], recipe) == {"a": 2.0}
    assert Times(world.store).of([step], other) == {"a": 100.0}
    for _ in range(20):
        times.note(step, recipe, 5.0)
    assert Times(world.store).of([step], other) == {"a": 5.0}, "the oldest go"
