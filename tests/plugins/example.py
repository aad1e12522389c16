"""The example package (`examples/plugin/`), built from `docs/extending.md`, and a project that uses it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.project import ROOT, Project

SOURCE = ROOT / "examples" / "plugin"
PACKAGE = "finnyaml_example"

WEIGHTS = np.random.default_rng(0).integers(-3, 4, (12, 4)).astype(np.float32)
IMAGES = np.random.default_rng(1).integers(0, 256, (400, 3, 4)).astype(np.uint8)
SCORES = (IMAGES.reshape(400, -1).astype(np.float32) @ WEIGHTS).clip(-900, 900)


def blocks() -> dict[str, str]:
    """The files that the page shows, by name."""
    page = (ROOT / "docs" / "extending.md").read_text()
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', page, re.MULTILINE | re.DOTALL))


def install(folder: Path) -> Path:
    """Build the package from the page as a wheel, and install it into a folder of its own."""
    source, wheels, target = folder / "source", folder / "wheels", folder / "installed"
    shutil.copytree(SOURCE, source)
    for name, text in blocks().items():
        (source / name).write_text(text)
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels), cwd=source)
    uv = shutil.which("uv") or ROOT / ".venv-tools" / "bin" / "uv"
    pip = [str(uv), "pip"] if Path(uv).exists() else [sys.executable, "-m", "pip"]
    options = ["--no-index", "--no-deps", "--target", str(target)]
    run(*pip, "install", *options, *map(str, wheels.iterdir()), cwd=folder)
    return target


def run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class Plugged(Project):
    """A project whose Python also has the packages in the folder `plugins`."""

    def __init__(self, folder: Path, store: Path, plugins: Path) -> None:
        super().__init__(folder, store, empty=True)
        self.plugins = plugins
        folder.mkdir()
        self.write("recipe.yaml", blocks()["recipe.yaml"])
        onnx.save(network(), folder / "model.onnx")
        idx(IMAGES, folder / "images.idx")
        idx(SCORES.argmax(axis=1).astype(np.uint8), folder / "labels.idx")

    def environment(self, **more: str) -> dict[str, str]:
        path = os.pathsep.join([str(self.plugins), str(ROOT)])
        return super().environment(**{"PYTHONPATH": path, "DATA": str(self.folder), **more})

    def edit(self, name: str, old: str, new: str) -> None:
        """Edit a file of the project, or with `finnyaml_example/` of the installed package."""
        path = (self.plugins if name.startswith(PACKAGE) else self.folder) / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


def network() -> onnx.ModelProto:
    """UINT8 [1, 12] to scores [1, 4]: a Relu that changes nothing, a matrix product, the package's own Saturate."""
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"], name="Relu_0"),
        helper.make_node("MatMul", ["positive", "w"], ["scores"], name="MatMul_0"),
        helper.make_node("Saturate", ["scores"], ["y"], name="Saturate_0", domain=f"{PACKAGE}.ops", limit=900.0),
    ]
    shapes = {"x": [1, 12], "positive": [1, 12], "scores": [1, 4], "y": [1, 4]}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    inner = [values["positive"], values["scores"]]
    weights = [numpy_helper.from_array(WEIGHTS, "w")]
    graph = helper.make_graph(nodes, "network", [values["x"]], [values["y"]], weights, value_info=inner)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(f"{PACKAGE}.ops", 1)]
    return helper.make_model(graph, opset_imports=opsets)


def idx(array: np.ndarray, path: Path) -> None:
    """Write uint8 values in the format of MNIST."""
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes())
