"""What ends a network is left to the host: the same answers, and an accelerator that ends in its last sums."""

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import Processing
from finnyaml.steps.host import leave_to_host
from finnyaml.steps.processing import postprocess
from finnyaml.verify.executor import BatchedModel
from tests.lint.graphs import Net, answers, images, run

TO_HARDWARE = "streamline convert_to_hw"


def classifier(ending, folder, top_k=None):
    """A 2-bit network of two matrix layers, with what `ending` puts behind it."""
    net = Net((1, 6), "INT4")
    two_bits = {"out_dtype": "INT2", "out_scale": 1.0, "out_bias": -1.0}
    x = net.sign(net.matmul("x", 6, 8), net.random.integers(-8, 8, (8, 2)).cumsum(axis=1) + 0.5, "NC", **two_bits)
    model = net.model(ending(net, net.matmul(x, 8, 5)))
    return model if top_k is None else postprocess(model, [Processing("top_k", {"k": top_k}, None, None)], folder)


def scaled(net, x):
    return net.node("Mul", x, net.constant(0.125))


def shifted(net, x):
    return net.node("Add", net.node("Mul", x, net.constant([[0.5, 0.25, 1.5, 3.0, 1.0]])), net.constant(0.3))


def plain(net, x):
    return x


@pytest.mark.parametrize(
    ("ending", "top_k", "left"),
    [(scaled, None, ["Mul"]), (shifted, None, ["Mul", "Add"]), (plain, 1, ["TopK"]), (shifted, 2, ["Mul", "TopK"])],
)
def test_the_end_of_a_network(ending, top_k, left, tmp_path):
    model = classifier(ending, tmp_path, top_k)
    data = images(model, 12)
    streamlined = run(model, "streamline", tmp_path)
    hardware = run(streamlined, "convert_to_hw", tmp_path)
    before = hardware.model.SerializeToString()
    made = leave_to_host(hardware)
    assert hardware.model.SerializeToString() == before
    assert [node.op_type for node in made.model.graph.node] == ["MVAU", "Thresholding", "MVAU", *left]
    assert len(made.changes) == len([node for node in hardware.graph.node if node.domain]) - 3 > 0
    assert made.notes == ()
    np.testing.assert_array_equal(answers(made.model, data), answers(streamlined, data))
    executed = BatchedModel(made.model)
    assert executed.fallbacks == ()
    np.testing.assert_array_equal(executed.run(data)[executed.outputs[0]], answers(streamlined, data))
    again = leave_to_host(made.model)
    assert again.changes == () and again.model.model == made.model.model and again.notes
    partition = run(made.model, "minimize_bit_width_initial create_dataflow_partition", tmp_path)
    assert [node.op_type for node in partition.graph.node] == ["MVAU", "Thresholding", "MVAU"]
    assert partition.get_tensor_datatype(partition.graph.output[0].name).is_integer()


def test_the_answers_are_those_of_finns_layers(tmp_path):
    """FINN's own hardware layers give the same labels: nothing is exchanged for something else."""
    model = run(classifier(plain, tmp_path, 3), TO_HARDWARE, tmp_path)
    layer = model.graph.node[-1]
    assert layer.op_type == "LabelSelect" and getCustomOp(layer).get_nodeattr("K") == 3
    data = images(model, 12)
    np.testing.assert_array_equal(answers(leave_to_host(model).model, data), answers(model, data))


def test_what_stands_inside_stays(tmp_path):
    """A scale per channel between two layers that streamlining has to leave is hardware."""
    net = Net((1, 6), "INT4")
    x = net.matmul("x", 6, 8)
    x = net.node(
        "Add", net.matmul(x, 8, 4), net.matmul(net.node("Mul", x, net.constant([[2.0] * 4 + [3.0] * 4])), 8, 4)
    )
    model = run(net.model(x), TO_HARDWARE, tmp_path)
    made = leave_to_host(model)
    assert "ElementwiseMul" in [node.op_type for node in made.model.graph.node]
    assert made.changes == (), "a sum of two branches is not a scale"


def test_too_early_and_too_late(tmp_path):
    model = classifier(scaled, tmp_path)
    with pytest.raises(StepFailed, match="no hardware layers yet") as caught:
        leave_to_host(model)
    assert "after convert_to_hw" in caught.value.hint
    hardware = run(model, TO_HARDWARE, tmp_path)
    parent = tmp_path / "intermediate_models" / "dataflow_parent.onnx"
    partition = run(hardware, "create_dataflow_partition", tmp_path, save_intermediate_models=True)
    for late in (ModelWrapper(str(parent)), run(partition, "specialize_layers", tmp_path)):
        with pytest.raises(StepFailed, match="cut out already"):
            leave_to_host(late)
