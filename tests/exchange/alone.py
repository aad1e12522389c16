"""What FINN alone makes of a build script: the graph after every step."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import onnx

from finnyaml.worker.content import model_digest
from tests.project import Project

PROGRAM = """\
import os, runpy, sys
from finnyaml.finn.door import open_door
open_door().steps_module  # FINN imports its simulator only where there is Vivado
import finn.builder.build_dataflow as build
from qonnx.core.modelwrapper import ModelWrapper

def one_after_the_other(path, cfg):
    os.makedirs(cfg.output_dir)
    if cfg.output_dir not in ("{output}", "output_{output}"):
        return 0
    model = ModelWrapper(path)
    for number, step in enumerate(build.resolve_build_steps(cfg)):
        model = step(model, cfg)
        model.save(f"alone-{{number:02}}.onnx")
    return 0

build.build_dataflow_cfg = one_after_the_other
sys.path.insert(0, os.getcwd())
runpy.run_path("build.py", run_name="__main__")
"""
"""FINN's own loop over its steps, without the report at its end that asks Vivado for its version."""


def digests(project: Project, output: str) -> list[str]:
    """Run build.py of the project in a copy; the graphs of the build whose output folder it is, one for each step."""
    alone = project.folder / "alone"
    shutil.copytree(project.folder, alone, ignore=shutil.ignore_patterns("build", "alone", "*.yaml"))
    (alone / "tmp").mkdir()
    environment = project.environment(FINN_BUILD_DIR=str(alone / "tmp"))
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(output=output)]
    done = subprocess.run(command, cwd=alone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [digest(path) for path in sorted(alone.glob("alone-*.onnx"))]


def digest(path: Path) -> str:
    """The canonical digest of a graph, whatever its inputs and outputs are called.

    Those of a partition may be tensors from within, with names that FINN alone draws by chance.
    """
    model = onnx.load(path)
    graph = model.graph
    ends = [item.name for item in (*graph.input, *graph.output)]
    names = {name: f"end_{number}" for number, name in enumerate(ends)}
    for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.name = names.get(item.name, item.name)
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = names.get(annotation.tensor_name, annotation.tensor_name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return model_digest(model)
