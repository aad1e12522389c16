"""What is told of one node that a step changes, on a graph of four nodes: no FINN, so it is quick."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

from finnyaml.verify.bisect.result import Samples
from finnyaml.verify.bisect.within import find_loss

RANDOM = np.random.default_rng(0)
FIRST = RANDOM.integers(1, 4, (12, 8)).astype(np.float32) * RANDOM.choice([-1, 1], (12, 8)).astype(np.float32)
SECOND = RANDOM.integers(-3, 4, (8, 5)).astype(np.float32)
THRESHOLDS = np.sort(RANDOM.integers(-900, 900, (8, 3)), axis=1).astype(np.float32)
INPUTS = RANDOM.integers(0, 256, (100, 12)).astype(np.float32)


def network() -> ModelWrapper:
    """[1, 12] to [1, 5]: product, thresholds, product, scale."""
    threshold = {"domain": "qonnx.custom_op.general", "out_dtype": "INT3", "out_bias": -2.0}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="MatMul_0"),
        helper.make_node("MultiThreshold", ["a", "t"], ["b"], name="MultiThreshold_0", **threshold),
        helper.make_node("MatMul", ["b", "v"], ["c"], name="MatMul_1"),
        helper.make_node("Mul", ["c", "s"], ["y"], name="Mul_0"),
    ]
    sizes = {"x": 12, "y": 5, "a": 8, "b": 8, "c": 5}
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in sizes.items()}
    constants = {"w": FIRST, "v": SECOND, "t": THRESHOLDS, "s": np.array(0.00199, np.float32)}
    stored = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    inner = [infos[name] for name in "abc"]
    graph = helper.make_graph(nodes, "g", [infos["x"]], [infos["y"]], stored, value_info=inner)
    return ModelWrapper(qonnx_make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))


def turned_weight(model: Any) -> Any:
    weights = FIRST.copy()
    weights[4, 2] *= -1
    model.set_initializer("w", weights)
    return model


def shifted_outputs(model: Any) -> Any:
    getCustomOp(model.get_node_from_name("MultiThreshold_0")).set_nodeattr("out_bias", -1.0)
    return model


def moved_thresholds(model: Any) -> Any:
    thresholds = THRESHOLDS.copy()
    thresholds[3] += 2000
    model.set_initializer("t", thresholds)
    return model


def rounded_scale(model: Any) -> Any:
    model.set_initializer("s", np.array(0.002, np.float32))
    return model


def lost_scale(model: Any) -> Any:
    model.get_node_from_name("MatMul_1").output[0] = "y"
    model.graph.node.remove(model.get_node_from_name("Mul_0"))
    return model


@pytest.mark.parametrize(
    ("step", "node", "words"),
    [
        (turned_weight, "MatMul_0", "MatMul_0: weight [4, 2] changed sign"),
        (shifted_outputs, "MultiThreshold_0", "MultiThreshold_0: out_bias -2 -> -1"),
        (moved_thresholds, "MultiThreshold_0", "MultiThreshold_0: threshold row 3 moved by +2000"),
        (rounded_scale, "Mul_0", "Mul_0: final scale rounded to 3 decimals (0.00199 -> 0.002)"),
        (lost_scale, "MatMul_1", "MatMul_1: Mul_0 (Mul) behind it is gone"),
    ],
)
def test_the_node_and_what_is_different_of_it(step: Any, node: str, words: str) -> None:
    found = find_loss(network(), step, Samples(INPUTS), tolerance=0.0, step="made_up")
    assert found.tensor is not None
    assert found.cause is not None
    assert found.tensor.node == node
    assert found.cause.text.startswith(words)


def test_nothing_is_told_where_nothing_changes() -> None:
    found = find_loss(network(), lambda model: model, Samples(INPUTS), tolerance=0.0, step="made_up", changed=0.0)
    assert (found.transformation, found.cause) == (None, None)
