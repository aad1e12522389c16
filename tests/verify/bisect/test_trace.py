"""Tracing: every graph on the way, its path and level, and ModelWrapper as it was afterwards."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.util.basic import qonnx_make_model

from finnyaml.verify.bisect.history import history
from finnyaml.verify.bisect.result import Samples
from finnyaml.verify.bisect.within import find_loss
from tests.verify.bisect.faults import Nested


class Scale(Transformation):
    """Multiplies all weights."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def apply(self, model):
        model.set_initializer("w", model.get_initializer("w") * np.float32(self.factor))
        return model, False


class Fail(Transformation):
    def apply(self, model):
        raise RuntimeError("no")


@pytest.fixture
def model():
    weights = np.eye(20, dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="MatMul_0")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 20])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 20])],
    )
    wrapper = ModelWrapper(qonnx_make_model(graph))
    wrapper.set_initializer("w", weights)
    return wrapper


def paths(found):
    return ["/".join(state.path) for state in found.states]


def test_states_carry_their_path_and_level(model):
    def step(model):
        model = model.transform(Scale(2))
        model = model.transform(Nested(Scale(3), Scale(5)))
        model.set_initializer("w", model.get_initializer("w") * np.float32(7))
        return model

    found = history(model, step)
    assert paths(found) == ["", "Scale", "Nested/Scale", "Nested/Scale", ""]
    assert [state.level for state in found.states] == [0, 1, 2, 1, 0]
    weights = [found.model(index).get_initializer("w")[0, 0] for index in range(5)]
    assert weights == [1, 2, 6, 30, 210]


def test_a_transformation_that_changes_nothing_makes_no_state(model):
    found = history(model, lambda model: model.transform(Scale(1)).transform(Scale(2)).transform(Scale(1)))
    assert paths(found) == ["", "Scale"]


def test_constants_are_kept_once(model):
    def step(model):
        for number in range(50):
            model = model.transform(Nested())
            model.graph.node[0].name = f"name_{number}"
        return model

    found = history(model, step)
    assert len(found.states) == 51
    assert sum(len(state.skeleton) for state in found.states) < 51 * 1000  # the weights alone are 1600 bytes
    assert np.array_equal(found.model(30).get_initializer("w"), np.eye(20))


def test_the_wrapper_is_restored_even_if_the_step_raises(model):
    before = ModelWrapper.transform, ModelWrapper.cleanup
    with pytest.raises(RuntimeError, match="no"):
        history(model, lambda model: model.transform(Nested(Fail())))
    assert (ModelWrapper.transform, ModelWrapper.cleanup) == before


def test_another_graph_that_the_step_works_on_is_left_out(model):
    """As FINN does with the graphs of partitions and loops."""
    small = np.ones((3, 3), np.float32)
    other = ModelWrapper(
        qonnx_make_model(
            helper.make_graph(
                [helper.make_node("MatMul", ["x", "w"], ["y"])],
                "other",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
            )
        )
    )
    other.set_initializer("w", small)

    def step(model):
        model = model.transform(Scale(2))
        for _ in range(3):
            other.transform(Scale(2))
        return model.transform(Scale(-1))

    inputs = np.random.default_rng(0).normal(size=(40, 20)).astype(np.float32)
    found = find_loss(model, step, Samples(inputs, labels=inputs.argmax(axis=1)), tolerance=0.0, step="made_up")
    assert found.before == 1.0 and found.after < 0.2
    assert found.transformation.name == "Scale" and found.transformation.previous == "Scale"
    assert {item.reason for item in found.skipped} == {"another graph, which the step transforms on the way"}
