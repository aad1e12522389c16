"""A model with a large tensor, through a real build: kept once, given back whole, repaired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from finnyaml.store.tensors import LARGE
from tests.project import Project


def test_weights_are_kept_once_and_a_damaged_tensor_is_made_again(project: Project) -> None:
    values = np.arange(LARGE, dtype=np.float32)[np.newaxis]
    weight = numpy_helper.from_array(values, "weight")
    node = helper.make_node("Mul", ["x", "weight"], ["y"], name="Mul_0")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, LARGE]) for name in "xy")
    graph = helper.make_graph([node], "large", [x], [y], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), project.folder / "tiny.onnx")
    project.build()
    objects = list((project.store / "objects").glob("*/*"))
    large = {path: path.read_bytes() for path in objects if path.stat().st_size >= LARGE}
    assert sorted(large.values()) == sorted([values.tobytes(), (2 * values).tobytes()])  # of four models
    models = _models(project)
    assert len(models) == 4
    for path, content in large.items():
        path.chmod(0o600)
        path.write_bytes(b"?" + content[1:])
    for name in models:
        (project.folder / "build/intermediate_models" / name).unlink()
    project.build()
    assert _models(project) == models
    assert {path: path.read_bytes() for path in large} == large
    assert project.ran() == []


def _models(project: Project) -> dict[str, bytes]:
    folder: Path = project.folder / "build/intermediate_models"
    return {path.name: path.read_bytes() for path in folder.glob("*.onnx")}
