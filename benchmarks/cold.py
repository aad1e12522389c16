"""A first build of digits-cnv with an empty store, beside one plain Python process that does the same work (plain.py).

A store remembers what the installed FINN has (its steps, options and boards) for all recipes, so the fair comparison
is a store that knows its FINN and nothing else; the very first build of an installation is shown too. Each contestant
has a bytecode cache of its own, which its own first, unmeasured run fills: none profits from what another imported.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.bench import (
    DIGITS,
    ROOT,
    Project,
    clean_environment,
    in_turn,
    median,
    table,
    verdict,
)
from benchmarks.bench import (
    run as run_command,
)

ROUNDS = 3
PLAIN, COLD, FIRST = "one plain Python process", "finnyaml, FINN known", "finnyaml, FINN not known yet"

Parts = Mapping[str, float]


def run(folder: Path) -> None:
    """Print the times of both, and where they go."""
    contest = Contest(folder)
    contestants = {PLAIN: contest.plain, COLD: contest.cold, FIRST: contest.first}
    in_turn(contestants, 1)
    contest.parts.clear()
    contest.cpu.clear()
    seconds = in_turn(contestants, ROUNDS)
    best = {name: min(values) for name, values in seconds.items()}
    cpu = {name: min(contest.cpu[name]) for name in contestants}
    table(
        ["cold build of digits-cnv", "min", "median", "of plain (min)", "CPU (min)", "of plain"],
        [
            [
                name,
                f"{best[name]:.2f} s",
                f"{median(seconds[name]):.2f} s",
                f"{best[name] / best[PLAIN]:.2f}x",
                f"{cpu[name]:.2f} s",
                f"{cpu[name] / cpu[PLAIN]:.2f}x",
            ]
            for name in contestants
        ],
    )
    parts = {name: _medians(contest.parts[name]) for name in contestants}
    print(f"\nWhere the time goes (medians of {ROUNDS} rounds in turn, seconds):\n")
    table(
        ["part", *contestants],
        [[part, *(f"{parts[name].get(part, 0.0):.2f}" for name in contestants)] for part in parts[FIRST]],
    )
    print(f"\nBoth end in the same {contest.nodes} hardware nodes.")
    verdict("cold build to plain process", best[COLD] / best[PLAIN], 1.1)


class Contest:
    """Starts the contestants, each in a fresh folder, and keeps what they say of their parts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._end: list[tuple[str, str]] = []
        self.parts: dict[str, list[Parts]] = {}
        self.cpu: dict[str, list[float]] = {}
        Project.of_digits(folder / "asking", folder / "knows-finn").finnyaml("plan")  # builds nothing

    @property
    def nodes(self) -> int:
        """How many nodes the models have that the contestants end in."""
        return len(self._end)

    def plain(self) -> float:
        """One plain Python process."""
        output = self._fresh() / "output"
        environment = clean_environment(PYTHONPATH=str(ROOT), PYTHONPYCACHEPREFIX=str(self._folder / PLAIN))
        command = [sys.executable, str(Path(__file__).with_name("plain.py")), str(DIGITS), str(output)]
        with self._cpu(PLAIN):
            seconds, printed = run_command(command, DIGITS, environment)
        parts: dict[str, float] = json.loads(printed.splitlines()[-1])
        self._keep(PLAIN, {"start and end": seconds - sum(parts.values()), **parts}, output)
        return seconds

    def cold(self) -> float:
        """A build with a store that knows FINN and is empty otherwise."""
        folder = self._fresh()
        shutil.copytree(self._folder / "knows-finn", folder / "store")
        return self._build(COLD, folder)

    def first(self) -> float:
        """A build with no store."""
        return self._build(FIRST, self._fresh())

    def _build(self, name: str, folder: Path) -> float:
        project = Project.of_digits(folder / "digits-cnv", folder / "store")
        begin = time.time()
        with self._cpu(name):
            seconds, _ = project.finnyaml("build", PYTHONPYCACHEPREFIX=str(self._folder / name))
        workspace = project.folder / "build"
        (events,) = (workspace / ".finnyaml" / "runs").glob("*/events.jsonl")
        lines = [json.loads(line) for line in events.read_text().splitlines()]
        self._keep(name, _parts_of_run(lines, begin, begin + seconds), workspace)
        return seconds

    @contextmanager
    def _cpu(self, name: str) -> Iterator[None]:
        """Note the processor time of what starts and ends inside: it says more than the clock on a busy machine."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        yield
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu.setdefault(name, []).append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def _fresh(self) -> Path:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        return folder

    def _keep(self, name: str, parts: Parts, output: Path) -> None:
        """Note the parts, and make sure that everyone ended in the same model."""
        from onnx import load

        graph = load(str(output / "intermediate_models" / "step_hw_codegen.onnx")).graph
        end = [(node.name, node.op_type) for node in graph.node]
        assert self._end in ([], end), f"{name} ended in another model: {end}"
        self._end = end
        self.parts.setdefault(name, []).append(parts)


def _parts_of_run(events: list[dict[str, Any]], begin: float, end: float) -> Parts:
    """From the events of a run to seconds per part, in the words of plain.py where it has them."""
    finished = {event["task"]: event for event in events if event["event"] == "task_finished"}
    started = {event["task"]: event["time"] for event in events if event["event"] == "task_started"}
    tasks = {task: event["seconds"] for task, event in finished.items()}
    imports = sum(event["warm_up"] for event in finished.values())
    spans = {task: event["time"] - started[task] for task, event in finished.items()}
    first = next(iter(spans))
    run_started, last = events[0]["time"], max(event["time"] for event in finished.values())
    worker = spans[first] - tasks[first] - finished[first]["warm_up"]
    return {
        "start and end": run_started - begin + end - last,
        "worker start": worker,
        "imports": imports,
        **tasks,
        "between tasks": last - run_started - worker - imports - sum(tasks.values()),
    }


def _medians(rounds: list[Parts]) -> Parts:
    return {part: median(parts[part] for parts in rounds) for part in rounds[0]}
