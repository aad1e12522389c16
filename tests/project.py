"""A throw-away project for tests: a recipe with custom steps on a tiny real ONNX model, built by the real command.

Custom steps need no step of FINN, so such builds take a second or two; the worker, the recorder, the store and FINN's
configuration class are the real ones.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from finnyaml.store import CACHE
from finnyaml.tools import preload
from tests.signals import heard
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]

STEPS = '''
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper


def scale(model, cfg, by=2.0):
    """Multiply the one weight."""
    name = model.graph.initializer[0].name
    model.set_initializer(name, model.get_initializer(name) * np.float32(by))
    return model


def same(model, cfg):
    """Change nothing."""
    return model


def report(model, cfg):
    """Read one setting and write a report."""
    folder = Path(cfg.output_dir) / "report"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fps.txt").write_text(f"{cfg.target_fps}\\n")
    return model
'''

RECIPE = """
name: tiny
model: {onnx: tiny.onnx, input: {datatype: FLOAT32}}
steps:
  - {uses: "steps.py:scale", with: {by: 2.0}}
  - {uses: "steps.py:same"}
  - {uses: "steps.py:report"}
folding: {target_fps: 100}
"""


def tiny_model(path: Path) -> None:
    """A model with one input of 4 values and one elementwise product."""
    weight = numpy_helper.from_array(np.arange(4, dtype=np.float32).reshape(1, 4), "weight")
    node = helper.make_node("Mul", ["x", "weight"], ["y"], name="Mul_0")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    graph = helper.make_graph([node], "tiny", [x], [y], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)


def rewrite(path: Path, text: str) -> None:
    """Write to a file in place: with as many bytes as it had, its size and time stay."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def warm(folder: Path) -> Path:
    """A store below `folder` that is told what the installed FINN has, and has the library that tells what is read.

    That takes some 10 s, and 1 s. Nothing was built in it.
    """
    asked = Project(folder / "project", folder / "asked")
    done = asked.run("plan", "recipe.yaml")
    assert done.returncode == 0, done.stderr
    store = folder / "store"
    for memo in (asked.store / "memos").glob("*"):
        if not memo.name.startswith("stamp-"):
            (store / "memos").mkdir(parents=True, exist_ok=True)
            shutil.copy(memo, store / "memos")
    preload.library(store / CACHE)
    return store


class Project:
    """One project folder and the store that its builds use."""

    def __init__(self, folder: Path, store: Path, *, empty: bool = False) -> None:
        self.folder = folder
        self.store = store
        self._started: list[subprocess.Popen[str]] = []
        if empty:
            return
        folder.mkdir(parents=True, exist_ok=True)
        tiny_model(folder / "tiny.onnx")
        self.write("steps.py", STEPS)
        self.write("recipe.yaml", RECIPE)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project, dedented."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def step(self, body: str, options: str = "") -> None:
        """Replace the step `same` by one with another body, and give its entry further options."""
        head, _, tail = STEPS.partition("def same(model, cfg):\n")
        self.write("steps.py", f"{head}def same(model, cfg):\n    {body}\n\n\n{tail.partition('return model')[2]}")
        if options:
            self.write("recipe.yaml", RECIPE.replace('"steps.py:same"', f'"steps.py:same", {options}'))

    def pause(self) -> Path:
        """Replace the step `same` by one that prints `waiting`, and goes on once there is the file that is returned."""
        go_on = self.folder / "go-on"
        loop = f"    while not os.path.exists({str(go_on)!r}): time.sleep(0.05)\n    return model"
        self.step(f"import os, time; print('waiting', flush=True)\n{loop}")
        return go_on

    def printed(self, task: str, pattern: str) -> re.Match[str]:
        """Wait until a task of a running build has printed this; returns where."""
        logs = self.folder / "build/.finnyaml/runs"

        def look() -> re.Match[str] | None:
            found = (re.search(pattern, log.read_text()) for log in logs.glob(f"*/logs/{task}.log"))
            return next(filter(None, found), None)

        found = wait_until(look, lambda: self._started[-1].poll() is None)
        assert found is not None
        return found

    def environment(self, **more: str) -> dict[str, str]:
        """The environment that builds run in."""
        own = {"FINNYAML_STORE": str(self.store), "FINNYAML_SITE": "", "PYTHONPATH": str(ROOT)}
        return {**os.environ, **own, **more}

    def start(
        self, *arguments: str, terminal: int | None = None, under: Sequence[str] = (), **env: str
    ) -> subprocess.Popen[str]:
        """Start `finnyaml` in the project folder; output is piped, its errors go to `terminal` where one is given.

        `under`: a command that starts it, such as `nohup`.
        """
        with heard():
            process = subprocess.Popen(
                [*under, sys.executable, "-m", "finnyaml", *arguments],
                cwd=self.folder,
                env=self.environment(**env),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if terminal is None else terminal,
                text=True,
            )
        self._started.append(process)
        return process

    def kill(self) -> None:
        """End what was started here and still runs: after a test that failed on the way."""
        for process in self._started:
            process.kill()

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `finnyaml` to its end."""
        process = self.start(*arguments, **env)
        try:
            out, err = process.communicate()
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def build(self, *arguments: str, code: int = 0, **env: str) -> dict[str, Any]:
        """Build with `--json`, check the exit code, and return the record of the run."""
        done = self.run("build", "recipe.yaml", "--json", *arguments, **env)
        assert done.returncode == code, f"exit code {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.startswith("{") else {"error": done.stderr}

    def ran(self, *arguments: str, **env: str) -> list[str]:
        """Build and return the tasks that ran."""
        result = self.build(*arguments, **env)
        return [name for name, task in result["tasks"].items() if task["state"] == "ran"]

    def plan(self, *arguments: str) -> dict[str, Any]:
        """The plan as data."""
        done = self.run("plan", "recipe.yaml", "--json", *arguments)
        return json.loads(done.stdout)["tasks"]  # type: ignore[no-any-return]
