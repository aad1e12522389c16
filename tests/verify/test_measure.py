"""A verification point from graph and data to a measurement; and the reference that it compares with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import qonnx_make_model

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import DataSpec, InputSpec, Processing
from finnyaml.verify.data.dataset import DataSet, open_data
from finnyaml.verify.gates import Gate, verdict
from finnyaml.verify.measure import measure
from finnyaml.verify.metrics import MeanSquaredError, Metric, TopK
from finnyaml.verify.outputs import Stored, keep
from finnyaml.verify.reference import graph_reference, torch_reference

WEIGHT = np.random.default_rng(1).integers(-3, 4, (12, 5)).astype(np.float32)


def graph(weight: np.ndarray = WEIGHT, datatype: str = "UINT8", claimed: str = "INT32") -> ModelWrapper:
    """[1, 12] integers times a matrix: scores [1, 5]."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="MatMul_0")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 12), ("y", 5))]
    made = helper.make_graph([node], "g", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")])
    model = ModelWrapper(qonnx_make_model(made, opset_imports=[helper.make_opsetid("", 18)]))
    model.set_tensor_datatype("x", DataType[datatype])
    model.set_tensor_datatype("y", DataType[claimed])
    return model


def samples(folder: Path, count: int = 600, labelled: bool = True) -> DataSet:
    """Bytes, with the labels that WEIGHT gives them."""
    x = np.random.default_rng(0).integers(0, 256, (count, 12)).astype(np.uint8)
    np.savez(folder / "data.npz", x=x, y=(x @ WEIGHT).argmax(1))
    spec = {**vars(DataSpec("npz")), "file": "data.npz", "inputs_key": "x", "labels_key": "y" if labelled else None}
    return open_data(spec, lambda name: folder / name, folder)


def measured(folder: Path, model: ModelWrapper, metric: type[Metric] | None = None, **more: Any) -> dict[str, Any]:
    data = samples(folder)
    keep(lambda batch: batch.astype(np.float32) @ WEIGHT, data, folder / "source.npz", None)
    options = {"indices": False, "layout": None, "tolerance": None, **more}
    reference = options.pop("reference", Stored("source", folder / "source.npz", "outputs"))
    new = metric or (lambda: TopK(1))
    return measure(model, data, new, reference, folder / "point.npz", **options)


def test_a_graph_that_is_right(tmp_path: Path) -> None:
    found = measured(tmp_path, graph(), tolerance={"atol": 0.0, "rtol": 0.0})
    assert (found["state"], found["metric"], found["value"], found["shown"]) == ("measured", "top1", 1.0, "100.0 %")
    assert (found["samples"], found["agreement"], found["outside_tolerance"]) == (600, 1.0, 0)
    assert found["reference"] == {"name": "source", "value": 1.0, "shown": "100.0 %"}
    assert 0.99 < found["interval"][0] < found["interval"][1] == 1.0
    assert (found["violations"], found["fallbacks"], found["data_type"]) == ([], [], "uint8")
    with np.load(tmp_path / "point.npz") as kept:
        assert (kept["predictions"] == kept["labels"]).all() and kept["outputs"].shape == (600, 5)


def test_a_graph_that_is_wrong_is_measured_as_such(tmp_path: Path) -> None:
    found = measured(tmp_path, graph(np.roll(WEIGHT, 1, axis=1)), tolerance={"atol": 0.0, "rtol": 0.0})
    assert found["value"] < 0.6 and found["agreement"] == found["value"]
    assert found["reference"]["value"] == 1.0
    assert found["outside_tolerance"] > 590


def test_whether_all_is_integer_is_known_of_this_graph_and_the_one_before(tmp_path: Path) -> None:
    other = WEIGHT.copy()
    other[0, 0] += 1
    assert measured(tmp_path, graph())["before"] is None
    exact = {"before": Stored("source", tmp_path / "source.npz", "outputs"), "whole_before": True}
    found = measured(tmp_path, graph(other), **exact)
    assert found["integers"] and found["before"]["integers"]
    assert found["before"]["changed"] > 590
    assert not measured(tmp_path, graph(other), **{**exact, "whole_before": False})["before"]["integers"]
    floats = measured(tmp_path, graph(claimed="FLOAT32"), **exact)
    assert not floats["integers"] and not floats["before"]["integers"]


def test_shapes_that_do_not_fit_are_not_executable(tmp_path: Path) -> None:
    model = graph()
    model.set_initializer("w", np.ascontiguousarray(WEIGHT.T))
    model.set_tensor_shape("y", [1, 5])
    found = measured(tmp_path, model)
    assert found["state"] == "not executable"
    assert "MatMul dimension mismatch" in found["reason"]


def test_a_graph_that_an_exact_step_has_broken_fails_the_gate(tmp_path: Path) -> None:
    measured(tmp_path, graph())
    model = graph()
    model.set_initializer("w", np.ascontiguousarray(WEIGHT.T))
    found = measured(tmp_path, model, before=Stored("source", tmp_path / "source.npz", "outputs"))
    said = verdict(Gate(exact=True), found)
    assert said.state == "failed"
    (reason,) = said.reasons
    assert (
        reason.startswith("the graph cannot be executed any more, and after source it could: ") and "mismatch" in reason
    )
    assert verdict(Gate(exact=False), found).state == "not verified"
    halves = graph(WEIGHT / 2)  # an annotation that is not true
    assert (
        verdict(Gate(), measured(tmp_path, halves, before=Stored("s", tmp_path / "source.npz", "outputs"))).state
        == "failed"
    )


def test_a_layer_that_needs_its_code_to_be_executed_is_not_broken(tmp_path: Path) -> None:
    measured(tmp_path, graph())
    model = graph()
    model.graph.node[0].op_type, model.graph.node[0].domain = "NoSuchLayer", "finn.custom_op.fpgadataflow.hls"
    found = measured(tmp_path, model, before=Stored("source", tmp_path / "source.npz", "outputs"))
    assert verdict(Gate(exact=True), found).state == "not verified"


def test_errors_are_measured_against_the_reference(tmp_path: Path) -> None:
    found = measured(tmp_path, graph(WEIGHT + 1), MeanSquaredError)
    data = samples(tmp_path)
    sums = np.concatenate([batch.inputs.astype(float).sum(axis=1) for batch in data.batches(64)])
    assert found["value"] == pytest.approx(np.mean(np.square(sums)))
    assert (found["reference"]["value"], found["interval"]) == (0.0, None)


def test_values_outside_their_datatype_are_reported_with_their_node(tmp_path: Path) -> None:
    (item,) = measured(tmp_path, graph(claimed="INT8"))["violations"]
    assert (item["node"], item["tensor"], item["datatype"], item["place"]) == ("MatMul_0", "y", "INT8", "graph")
    sums = np.concatenate([batch.inputs.astype(np.float32) @ WEIGHT for batch in samples(tmp_path).batches(600)])
    assert (item["low"], item["high"]) == (sums.min(), sums.max())


def test_the_reference_itself_is_compared_with_nothing(tmp_path: Path) -> None:
    found = measured(tmp_path, graph(), reference=None)
    assert (found["value"], found["agreement"], "reference" in found) == (1.0, None, False)
    found = measured(tmp_path, graph(), MeanSquaredError, reference=None)
    assert (found["state"], "value" in found) == ("reference", False)
    assert (tmp_path / "point.npz").exists()


def test_stored_outputs_of_another_number_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "gold.npy", np.zeros((5, 5)))
    with pytest.raises(StepFailed, match=r"the reference gold\.npy has 5 rows, the data has 600 samples"):
        measured(tmp_path, graph(), reference=Stored("gold.npy", tmp_path / "gold.npy", None))


def test_a_metric_of_labels_needs_labels(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"needs labels, and verify\.data has none"):
        measure(
            graph(), samples(tmp_path, labelled=False), lambda: TopK(1), None, tmp_path / "point.npz",
            indices=False, layout=None, tolerance=None,
        )  # fmt: skip


def test_what_cannot_be_executed_is_a_result_with_its_reason(tmp_path: Path) -> None:
    model = graph()
    model.graph.node[0].op_type = "NoSuchOperator"
    found = measured(tmp_path, model)
    assert (found["state"], found["metric"]) == ("not executable", "top1")
    assert found["reason"].startswith("NoSuchOperator MatMul_0 cannot be executed: ")
    assert "value" not in found


def test_data_that_the_input_cannot_hold_is_no_measurement(tmp_path: Path) -> None:
    found = measured(tmp_path, graph(datatype="INT8"))
    (item,) = found["violations"]
    assert (item["tensor"], item["datatype"], item["high"], item["place"]) == ("x", "INT8", 255, "input")
    (reason,) = verdict(Gate(), found).reasons  # 128 would arrive as -128
    assert reason == "the data has 128 to 255, which the input's type INT8 does not hold: it would overflow"


def test_a_torch_module_runs_with_the_stages_of_the_recipe(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 2 * 2, 5))
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 2, 2)).astype(np.uint8)
    stages = [Processing("to_tensor"), Processing("normalize", {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]})]
    mean, std = (np.float32(stages[1].options[name]).reshape(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        scores = module(torch.from_numpy((images / np.float32(255) - mean) / std)).numpy()
    spec = InputSpec((1, 3, 2, 2), "UINT8", "NCHW")
    assert np.allclose(torch_reference(module, spec, stages, [], tmp_path)(images), scores, atol=1e-6)
    best = torch_reference(module, spec, stages, [Processing("top_k", {"k": 2})], tmp_path)(images)
    assert (best == np.argsort(-scores, axis=1)[:, :2]).all()
    # The same data delivered channels last, as the recipe may say.
    last = InputSpec((1, 3, 2, 2), "UINT8", "NHWC")
    turned = torch_reference(module, last, stages, [], tmp_path)(images.transpose(0, 2, 3, 1))
    assert np.allclose(turned, scores, atol=1e-6)


def test_of_equal_scores_the_first_counts_as_in_finns_top_k(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    reference = torch_reference(torch.nn.Identity(), InputSpec((1, 3)), [], [Processing("top_k", {"k": 1})], tmp_path)
    assert reference(np.array([[1, 5, 5], [2, 2, 2]])).tolist() == [[1], [0]]


def test_a_graph_is_its_own_reference(tmp_path: Path) -> None:
    batch = next(samples(tmp_path).batches(9)).inputs
    assert (graph_reference(graph())(batch) == batch.astype(np.float32) @ WEIGHT).all()
