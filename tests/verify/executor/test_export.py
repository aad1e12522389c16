"""What is exported computes what the executor and qonnx compute, to the bit, and says nothing of who made it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.verify.executor import BatchedModel, Exported, NotExecutable, export
from finnyaml.verify.executor.segments import INEXACT_FUSIONS
from tests.verify.executor.graphs import agrees, custom, graph, node, reference
from tests.verify.executor.one_layer import Tensor, layer


def run(exported: Exported, samples: np.ndarray, weights: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
    """Run the exported parts with onnxruntime alone."""
    known: dict[str, Any] = {exported.input: samples.astype(np.float32)}
    known.update({exported.weights[t]: value.astype(np.float32) for t, value in (weights or {}).items()})
    for part in exported.parts:
        model = part.onnx()
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_ENABLE_ALL if part.optimise else levels.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=INEXACT_FUSIONS if part.optimise else [],
        )
        outputs = session.run(list(part.outputs), {t: known[t] for t in part.inputs})
        known.update(zip(part.outputs, outputs, strict=True))
    result: np.ndarray = known[exported.output]
    return result


def network(seed: int = 0) -> tuple[ModelWrapper, np.ndarray]:
    """Convolution-like: integers, a wide sum, thresholds that are watched, a scale; with random tensor names."""
    draw = np.random.default_rng(0)
    names = [f"{seed}-{name}" for name in draw.permutation(50)]
    weights = draw.integers(-7, 8, (12, 5)).astype(np.float32)
    thresholds = np.sort(draw.integers(-300, 300, (5, 3)).astype(np.float32), axis=1)
    t = dict(zip(["w", "a", "thr", "b", "s"], names, strict=False))
    model = graph(
        [
            node("MatMul", ["x", t["w"]], [t["a"]]),
            custom("MultiThreshold", [t["a"], t["thr"]], [t["b"]], out_dtype="UINT2"),
            node("Mul", [t["b"], t["s"]], ["y"]),
        ],
        {"x": [1, 12], t["a"]: [1, 5], t["b"]: [1, 5], "y": [1, 5]},
        {t["w"]: weights, t["thr"]: thresholds, t["s"]: np.float32(0.1)},
        {"x": "UINT8", t["w"]: "INT4", t["a"]: "INT9", t["b"]: "UINT2"},  # the sums are wider: they are watched
    )
    return model, draw.integers(0, 256, (9, 12)).astype(np.float32)


def test_it_computes_what_the_build_does() -> None:
    model, samples = network()
    agrees(model, samples)
    expected = reference(model, samples)["y"]
    for optimise in (True, False):
        exported = export(model, optimise=optimise)
        np.testing.assert_array_equal(run(exported, samples), expected)
        assert len(exported.parts) == 1 and exported.parts[0].outputs == (exported.output,)  # nothing that watches
        assert exported.parts[0].inputs == (exported.input,)


def test_equal_graphs_are_equal_bytes_whatever_the_names_are() -> None:
    first, second = (export(network(seed)[0]) for seed in (1, 2))
    assert [p.onnx().SerializeToString() for p in first.parts] == [p.onnx().SerializeToString() for p in second.parts]
    model = first.parts[0].onnx()
    assert (model.producer_name, model.doc_string, list(model.metadata_props)) == ("", "", [])


def test_parts_that_are_computed_differently_follow_each_other() -> None:
    """A product of reals is not optimised, one of integers is."""
    draw = np.random.default_rng(1)
    model = graph(
        [
            node("MatMul", ["x", "w"], ["a"]),
            node("Mul", ["a", "scale"], ["b"]),
            node("MatMul", ["b", "v"], ["y"]),
        ],
        {"x": [1, 6], "a": [1, 6], "b": [1, 6], "y": [1, 3]},
        {
            "w": draw.integers(-3, 3, (6, 6)).astype(np.float32),
            "scale": np.float32(0.3),
            "v": draw.random((6, 3), np.float32),
        },
        {"x": "INT8", "w": "INT3"},
    )
    samples = draw.integers(-128, 128, (20, 6)).astype(np.float32)
    exported = export(model)
    assert [part.optimise for part in exported.parts] == [True, False]
    np.testing.assert_array_equal(run(exported, samples), BatchedModel(model).run(samples)["y"])


def test_class_indices_stay_integers() -> None:
    model = graph(
        [node("TopK", ["x", "k"], ["values", "y"], axis=-1)],
        {"x": [1, 6], "values": [1, 2], "y": [1, 2]},
        {"k": np.array([2], np.int64)},
        elements={"y": onnx.TensorProto.INT64},
    )
    exported = export(model)
    assert exported.parts[0].onnx().graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.INT64
    samples = np.array([[0, 5, 1, 5, 2, 3]], np.float32)
    assert run(exported, samples).tolist() == [[1, 3]]


def test_a_node_that_only_qonnx_can_run_is_named() -> None:
    model = graph(
        [custom("MultiThreshold", ["x", "t"], ["y"], data_layout="")],
        {"x": [1, 3], "t": [3, 2], "y": [1, 3]},
        {},
    )
    model.graph.input.append(onnx.helper.make_tensor_value_info("t", 1, [3, 2]))
    with pytest.raises(NotExecutable, match="2 inputs"):
        export(model)
    model, _ = network()
    with pytest.raises(NotExecutable, match="is not a constant"):
        export(model, ["nothing"])
    weights = next(n.input[1] for n in model.graph.node if n.op_type == "MatMul")
    with pytest.raises(NotExecutable, match=r"MatMul.*loaded at run time"):
        export(model, [weights])
    model = graph([node("CumSum", ["x", "axis"], ["y"])], {"x": [1, 3], "y": [1, 3]}, {"axis": np.int64(1)})
    with pytest.raises(NotExecutable, match=r"CumSum CumSum_0 has no form in standard ONNX: no batched form"):
        export(model)


UNITS = {
    "integers": {"inputDataType": "INT4", "weightDataType": "INT3", "outputDataType": "INT10"},
    "bipolar": {"inputDataType": "BIPOLAR", "weightDataType": "BIPOLAR", "outputDataType": "UINT5"},
    "xnor": {"inputDataType": "BINARY", "weightDataType": "BINARY", "outputDataType": "UINT5", "binaryXnorMode": 1},
    "wide": {"inputDataType": "INT16", "weightDataType": "INT12", "outputDataType": "INT32"},
}


def values(datatype: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    from qonnx.util.basic import gen_finn_dt_tensor

    np.random.seed(seed)
    return np.asarray(gen_finn_dt_tensor(DataType[datatype], shape), np.float32)


@pytest.mark.parametrize("kind", UNITS)
def test_weights_of_a_unit_may_be_inputs(kind: str) -> None:
    """What comes out is what the layer with these weights in it computes, whichever they are."""
    about = UNITS[kind]
    made = layer(
        "MVAU",
        {
            "x": Tensor([1, 12], about["inputDataType"]),
            "w": Tensor([12, 5], about["weightDataType"], values(about["weightDataType"], (12, 5), 0)),
        },
        {"y": Tensor([1, 5], about["outputDataType"])},
        **{"MW": 12, "MH": 5, "PE": 1, "SIMD": 1, "noActivation": 1, "numInputVectors": [1], **about},
    )
    exported = export(made.model, ["w"])
    seen = []
    for seed in range(3):
        weights = values(about["weightDataType"], (12, 5), seed)
        model = copy.deepcopy(made.model)
        model.set_initializer("w", weights)
        expected = BatchedModel(model).run(made.samples)["y"]
        np.testing.assert_array_equal(run(exported, made.samples, {"w": weights}), expected)
        if kind != "wide":  # sums that float32 cannot hold are exact here, and rounded in FINN's Python
            np.testing.assert_array_equal(expected, reference_of(model, made.samples))
        seen.append(expected)
    assert not np.array_equal(seen[0], seen[1])


@pytest.mark.parametrize(
    ("output", "offset", "steps", "channels"),
    [("UINT2", 0, 3, 4), ("INT4", -8, 15, 4), ("BIPOLAR", 0, 1, 4), ("UINT2", 0, 3, 1)],
)
def test_thresholds_may_be_inputs(output: str, offset: int, steps: int, channels: int) -> None:
    def thresholds(seed: int) -> np.ndarray:
        drawn = np.random.default_rng(seed).integers(-128, 128, (channels, steps))
        ordered: np.ndarray = np.sort(drawn, axis=1).astype(np.float32)
        return ordered

    made = layer(
        "Thresholding",
        {"x": Tensor([1, 3, 3, 4], "INT8"), "t": Tensor([channels, steps], "INT8", thresholds(0))},
        {"y": Tensor([1, 3, 3, 4], output)},
        NumChannels=4,
        PE=1,
        numSteps=steps,
        ActVal=offset,
        inputDataType="INT8",
        weightDataType="INT8",
        outputDataType=output,
        numInputVectors=[1, 3, 3],
    )
    exported = export(made.model, ["t"])
    for seed in range(3):
        model = copy.deepcopy(made.model)
        model.set_initializer("t", thresholds(seed))
        expected = reference_of(model, made.samples)
        np.testing.assert_array_equal(run(exported, made.samples, {"t": thresholds(seed)}), expected)


def reference_of(model: ModelWrapper, samples: np.ndarray) -> np.ndarray:
    """FINN's own execution."""
    from qonnx.core.onnx_exec import execute_onnx

    name, output = model.graph.input[0].name, model.graph.output[0].name
    return np.concatenate([execute_onnx(model, {name: s[None].astype(np.float32)})[output] for s in samples])
