"""A throw-away project for tests: a recipe with custom steps on a tiny real ONNX model, built by the real command.

Custom steps need no step of FINN, so such builds take a second or two; the worker, the recorder, the store and FINN's
configuration class are the real ones.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

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


class Project:
    """One project folder and the store that its builds use."""

    def __init__(self, folder: Path, store: Path, *, empty: bool = False) -> None:
        self.folder = folder
        self.store = store
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

    def environment(self, **more: str) -> dict[str, str]:
        """The environment that builds run in."""
        return {**os.environ, "FINNYAML_STORE": str(self.store), "PYTHONPATH": str(ROOT), **more}

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Start `finnyaml` in the project folder; output is piped."""
        return subprocess.Popen(
            [sys.executable, "-m", "finnyaml", *arguments],
            cwd=self.folder,
            env=self.environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `finnyaml` to its end."""
        process = self.start(*arguments, **env)
        try:
            out, err = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
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
