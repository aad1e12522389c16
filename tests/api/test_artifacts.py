"""Models, files and arrays of a build: always of that build, whatever lies in the workspace now."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import finnyaml
from tests.project import Project

Load = Callable[..., finnyaml.Recipe]


def weight(result: finnyaml.Result, step: str) -> list[float]:
    model = onnx.load(result.model(step))
    return [float(value) for value in numpy_helper.to_array(model.graph.initializer[0]).flatten()]


def test_a_model_is_that_of_its_build(load: Load) -> None:
    first = load().build()
    other = load({"steps.0.with.by": 5.0}).build(stop="scale")
    assert weight(other, "scale") == [0, 5, 10, 15]
    assert weight(first, "scale") == [0, 2, 4, 6]
    assert weight(first, "model") == [0, 1, 2, 3]
    assert first.model("scale").suffix == ".onnx"


def test_files_are_those_of_their_build(load: Load) -> None:
    first = load().build()
    other = load({"folding.target_fps": 200}).build()
    assert first.files("report")["report/fps.txt"].read_text() == "100\n"
    assert other.files("report")["report/fps.txt"].read_text() == "200\n"
    assert (other.workspace / "report/fps.txt").read_text() == "200\n"
    assert set(first.files("verify.same")) == {"verification/same.npz", "verification/same.json"}
    assert first.files("same") == {}


def test_paths_in_files_are_those_of_the_workspace(load: Load, tiny: Project) -> None:
    steps = (tiny.folder / "steps.py").read_text()
    tiny.write("steps.py", steps.replace('f"{cfg.target_fps}\\n"', "str(folder)"))
    one = load().build()
    assert one.files("report")["report/fps.txt"].read_text() == str(one.workspace / "report")
    two = load({"targets": {"small": "same", "large": "report"}}).build()
    assert two.files("report")["report/fps.txt"].read_text() == str(two.workspace / "large" / "report")


def test_predictions_are_arrays(load: Load, tiny: Project) -> None:
    result = load().build()
    answered = result.predictions("same")
    assert {name: (array.shape, array.dtype) for name, array in answered.items()} == {
        "index": ((40,), np.int64),
        "outputs": ((40, 4), np.float32),
        "predictions": ((40,), np.int64),
        "labels": ((40,), np.int64),
    }
    with np.load(tiny.folder / "data.npz") as data:
        np.testing.assert_allclose(answered["outputs"], data["x"] * [0, 2, 4, 6], rtol=1e-6)
        np.testing.assert_allclose(result.predictions("source")["outputs"], data["x"] * [0, 1, 2, 3], rtol=1e-6)


@pytest.mark.parametrize("name", ["smae", "step_same"])
def test_an_unknown_step(load: Load, name: str) -> None:
    result = load().build()
    with pytest.raises(finnyaml.RecipeError, match=f"there is no step '{name}'"):
        result.model(name)


def test_what_is_not_measured(load: Load) -> None:
    with pytest.raises(finnyaml.RecipeError, match="nothing is measured after 'model_'") as caught:
        load().build().predictions("model_")
    assert caught.value.hint == "did you mean 'model'?"


def test_a_graph_that_cannot_be_executed_has_no_predictions(load: Load, tiny: Project) -> None:
    steps = (tiny.folder / "steps.py").read_text()
    strange = 'model.graph.node[0].op_type = "NoSuchOperator"'
    tiny.write("steps.py", steps.replace('"""Change nothing."""', strange))
    result = load().build(stop="same")
    assert result.measurements["same"].verdict == "not verified" and result.measurements["same"].value is None
    with pytest.raises(finnyaml.FinnyamlError, match="could not be executed"):
        result.predictions("same")


def test_what_was_not_built_is_not_there(load: Load) -> None:
    result = load().build(stop="scale")
    with pytest.raises(finnyaml.FinnyamlError, match="same was not built"):
        result.model("same")


def test_what_the_store_no_longer_has(load: Load, tiny: Project) -> None:
    result = load().build()
    shutil.rmtree(tiny.store / "objects")
    with pytest.raises(finnyaml.StoreError, match="the store lacks object"):
        result.model("same")
