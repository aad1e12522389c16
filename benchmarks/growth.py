"""How planning and finding nothing to do grow with the recipe: chains of 10, 100 and 1,000 tasks.

The tasks are trivial on purpose: custom steps that write one number into a model of one node. What remains is the cost
of finnyaml itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks.bench import Project, in_turn, table
from tests.project import tiny_model

SIZES = (10, 100, 1000)
ROUNDS = 5
COMMANDS = {"plan": ", 0 to run,", "build --json": '"state": "cached"', "build": "is up to date"}
"""What is measured, and what each prints when there is nothing to do."""

STEPS = '''
import numpy as np


def mark(model, cfg, number):
    """Write a number into the one weight, so that every task has a result of its own."""
    name = model.graph.initializer[0].name
    model.set_initializer(name, np.full_like(model.get_initializer(name), number))
    return model
'''


def run(folder: Path) -> None:
    """Print the times per size, and how they grow."""
    projects = {size: _chain(folder / str(size), folder / "store", size) for size in SIZES}
    projects[SIZES[0]].finnyaml("plan")  # asks FINN once for what it has
    built = {size: project.finnyaml("build")[0] for size, project in projects.items()}
    contestants = {(command, size): _timing(projects[size], command) for size in SIZES for command in COMMANDS}
    best = {which: min(values) for which, values in in_turn(contestants, ROUNDS).items()}
    header = ["tasks", "first build", "plan, all cached", "no-op by traces", "no-op, quick path"]
    costs = {size: [built[size], *(best[command, size] for command in COMMANDS)] for size in SIZES}
    table(header, [[f"{size:,}", *(f"{seconds:.2f} s" for seconds in costs[size])] for size in SIZES])
    print(f"\nMinimum of {ROUNDS} rounds in turn (the first build: once). What each task more costs:\n")
    table(header, [_per_task(small, large, costs) for small, large in pairwise(SIZES)])


def _per_task(small: int, large: int, costs: Mapping[int, Sequence[float]]) -> list[str]:
    more = [(b - a) / (large - small) * 1000 for a, b in zip(costs[small], costs[large], strict=True)]
    return [f"{small:,} to {large:,}", *(f"{milliseconds:.2f} ms" for milliseconds in more)]


def _timing(project: Project, command: str) -> Callable[[], float]:
    def finnyaml() -> float:
        seconds, output = project.finnyaml(*command.split())
        assert COMMANDS[command] in output, output
        assert '"ran"' not in output, output
        return seconds

    return finnyaml


def _chain(folder: Path, store: Path, size: int) -> Project:
    folder.mkdir()
    tiny_model(folder / "tiny.onnx")
    (folder / "steps.py").write_text(STEPS)
    entries = [
        f'  - {{id: t{number}, uses: "steps.py:mark", with: {{number: {number}}}}}' for number in range(size - 1)
    ]
    header = [f"name: chain-{size}", "model: {onnx: tiny.onnx, input: {datatype: FLOAT32}}", "steps:"]
    (folder / "recipe.yaml").write_text("\n".join([*header, *entries]) + "\n")
    return Project(folder, store)
