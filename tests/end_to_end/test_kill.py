"""Builds killed at random moments, again and again: the store stays sound, and the work goes on where it was."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from finnyaml.store import Store
from finnyaml.store.upkeep import verify
from tests.project import Project

KILLS = 20

CHAIN = "name: chain\nmodel: {onnx: tiny.onnx, input: {datatype: FLOAT32}}\nsteps:\n" + "".join(
    f'  - {{uses: "steps.py:scale", id: s{number}, with: {{by: {number + 1}}}}}\n' for number in range(12)
)


def test_a_build_killed_again_and_again(project: Project) -> None:
    project.write("recipe.yaml", CHAIN)
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    kept = 0
    for kill in range(KILLS):
        process = project.start("build", "recipe.yaml")
        time.sleep(chance.uniform(0.0, 3.0))
        victim = chance.choice(_workers(process.pid) or [process.pid]) if kill % 3 == 2 else process.pid
        _kill(victim)
        process.communicate(timeout=60)
        report = verify(Store.open(project.store))
        assert report.sound, f"seed {seed}, kill {kill}: {report}"
        done = len(Store.open(project.store).trace_keys())
        assert done >= kept, f"seed {seed}: finished work was lost"
        kept = done
        if kept > 10:
            _forget_some(project, chance)
            kept = len(Store.open(project.store).trace_keys())
    survived = project.build()
    clean = Project(project.folder.with_name("clean"), project.store.with_name("clean-store"))
    clean.write("recipe.yaml", CHAIN)
    expected = clean.build()
    assert _digests(survived) == _digests(expected)
    assert not list((project.store / "work").glob("*")), "sandboxes of killed builds are left"


def _forget_some(project: Project, chance: random.Random) -> None:
    """Drop a few traces, so that later builds have work to do."""
    store = Store.open(project.store)
    for key in chance.sample(store.trace_keys(), 8):
        store.forget(key)


def _workers(pid: int) -> list[int]:
    """The worker processes of a build."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _digests(result: dict[str, object]) -> dict[str, str]:
    return {name: task["digest"] for name, task in result["tasks"].items()}  # type: ignore[attr-defined]
