"""-1 and +1 with two bits: the same answers, no XNOR, and matrix layers that FINN makes in RTL."""

import os

import numpy as np
import pytest
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp

from benchmarks import networks
from finnyaml.errors import StepFailed
from finnyaml.finn import specialize
from finnyaml.graph.view import attributes
from finnyaml.recipe.model import InputSpec, Processing
from finnyaml.steps import processing, source
from finnyaml.steps.bipolar import represent_bipolar
from finnyaml.verify.executor import BatchedModel
from tests.lint.graphs import Net, answers, cnn, images, run

PARTS = ("xczu9eg-ffvb1156-2-e", "xc7z020clg400-1")
TO_HARDWARE = "streamline convert_to_hw minimize_bit_width_initial"


def brevitas(name, folder):
    """A network of Brevitas' examples for raw images, as tidy_up leaves it; untrained, with batch norms at random."""
    network = networks.NETWORKS[name]
    spec = InputSpec(network.shape, "UINT8", "NCHW")
    model = source.annotate_input(source.export_brevitas(network.make, {}, None, None, network.shape), spec)
    model = processing.preprocess(model, [Processing("to_tensor", {}, None, None)], spec, folder)
    return run(model, "qonnx_to_finn tidy_up", folder)


def batched(model, data):
    executed = BatchedModel(model)
    return executed.run(data.reshape(len(data), *executed.input_shape[1:]))[executed.outputs[0]].reshape(len(data), -1)


def bipolar(model):
    return [tensor for tensor in model.get_all_tensor_names() if model.get_tensor_datatype(tensor).name == "BIPOLAR"]


def decisions(model):
    layers = [node for node in model.graph.node if node.op_type == "MVAU"]
    return [{specialize.decision(model, node, part) for part in PARTS} for node in layers]


@pytest.mark.filterwarnings("ignore:The values of tensor")
@pytest.mark.parametrize(("name", "layers"), [("TFC_1W1A", 4), pytest.param("CNV_1W1A", 9, marks=pytest.mark.long)])
def test_networks_of_brevitas(name, layers, tmp_path, monkeypatch):
    monkeypatch.setenv("FINN_BUILD_DIR", os.fspath(tmp_path))
    model = brevitas(name, tmp_path)
    data = networks.images(networks.NETWORKS[name], 6).astype(np.float32)
    wanted = batched(model, data)
    assert len(np.unique(wanted, axis=0)) == 6
    repaired = represent_bipolar(model)
    assert repaired.notes == () and bipolar(repaired.model) == []
    assert sum("the weights of" in sentence for sentence in repaired.changes) == layers
    made = repaired.model
    np.testing.assert_array_equal(batched(made, data), wanted)
    for step in TO_HARDWARE.split():
        made = run(made, step, tmp_path)
        np.testing.assert_array_equal(batched(made, data), wanted, err_msg=step)
    matrices = [getCustomOp(node) for node in made.graph.node if node.op_type == "MVAU"]
    assert {layer.get_input_datatype(1).name for layer in matrices} == {"INT2"}
    assert decisions(made) == [{"rtl"}] * layers


def test_without_it_there_is_no_rtl(tmp_path):
    """The control: the same small network with one bit is XNOR, or has weights of one bit, and all HLS."""
    model = cnn()
    data = images(model, 8)
    assert decisions(run(model, TO_HARDWARE, tmp_path))[1:] == [{"hls"}] * 3
    repaired = represent_bipolar(model)
    assert len(repaired.changes) == 3 + 4
    made = run(repaired.model, TO_HARDWARE, tmp_path)
    assert decisions(made) == [{"rtl"}] * 4
    np.testing.assert_array_equal(answers(made, data), answers(model, data))


def test_it_changes_a_copy_and_only_once():
    model = cnn()
    before = model.model.SerializeToString()
    first = represent_bipolar(model)
    assert model.model.SerializeToString() == before
    second = represent_bipolar(first.model)
    assert (second.changes, second.notes) == ((), ("nothing is bipolar",))
    assert second.model.model == first.model.model


def forms():
    def pooled(net, x):
        return net.conv(net.pool(x), 3, 4)

    def joined(net, x):
        other = net.sign(net.conv("x", 4, 2), [[1.5]])
        return net.conv(net.node("Concat", x, other, axis=1), 3, 8)

    def flattened(net, x):
        return net.matmul(net.flat(x, 144), 144, 5)

    def shared_weights(net, x):
        weights = net.bipolar((4, 4, 1, 1))
        y = net.node("Conv", x, weights, kernel_shape=[1, 1])
        return net.node("Conv", net.sign(y), weights, kernel_shape=[1, 1])

    def weights_first(net, x):
        return net.node("MatMul", net.bipolar((3, 6)), x)

    return [pooled, joined, flattened, shared_weights, weights_first]


@pytest.mark.parametrize("form", forms(), ids=lambda form: form.__name__)
@pytest.mark.parametrize("per_channel", [True, False])
def test_whatever_stands_between(form, per_channel):
    net = Net((1, 2, 6, 6))
    thresholds = net.random.integers(-20, 20, (4, 1)) + 0.5 if per_channel else [[3.5]]
    model = net.model(form(net, net.sign(net.conv("x", 4, 2), thresholds)))
    data = images(model, 6)
    repaired = represent_bipolar(model)
    assert bipolar(repaired.model) == []
    np.testing.assert_array_equal(answers(repaired.model, data), answers(model, data))


def test_activations_of_one_network_that_share_thresholds_with_others():
    net = Net((1, 4), "INT4")
    shared = net.constant([[0.5]])
    sign = net.sign("x", shared, "NC")
    count = net.sign("x", shared, "NC", out_dtype="UINT2", out_scale=1.0, out_bias=0.0)
    model = net.model(net.node("Add", net.matmul(sign, 4, 3), net.matmul(count, 4, 3)))
    first, second = (node for node in model.graph.node if node.op_type == "MultiThreshold")
    second.input[1] = first.input[1]
    data = images(model, 8)
    repaired = represent_bipolar(model)
    shapes = [
        repaired.model.get_initializer(node.input[1]).shape
        for node in repaired.model.graph.node
        if node.op_type == "MultiThreshold"
    ]
    assert shapes == [(1, 2), (1, 1)]
    np.testing.assert_array_equal(answers(repaired.model, data), answers(model, data))


def test_an_input_that_is_bipolar_stays_and_is_told():
    net = Net((1, 4), "BIPOLAR")
    model = net.model(net.matmul(net.sign(net.matmul("x", 4, 6), layout="NC"), 6, 3))
    name = model.graph.input[0].name
    data = np.random.default_rng(0).choice([-1, 1], (8, 4)).astype(np.float32)
    repaired = represent_bipolar(model)
    assert len(repaired.changes) == 2 and "MatMul_1" in repaired.changes[1]
    assert len(repaired.notes) == 1 and name in repaired.notes[0] and "stays BIPOLAR" in repaired.notes[0]
    assert set(bipolar(repaired.model)) == {name, repaired.model.graph.node[0].input[1]}, "still XNOR arithmetic there"
    np.testing.assert_array_equal(answers(repaired.model, data), answers(model, data))


def test_an_output_that_is_bipolar_stays_and_is_told():
    net = Net((1, 4), "INT4")
    model = net.model(net.sign(net.matmul("x", 4, 3), layout="NC"))
    repaired = represent_bipolar(model)
    assert bipolar(repaired.model) == [model.graph.output[0].name]
    assert len(repaired.changes) == 1 and "the network's output" in repaired.notes[0]


def test_weights_that_are_alone_bipolar():
    net = Net((1, 4), "INT4")
    repaired = represent_bipolar(net.model(net.matmul("x", 4, 3)))
    assert repaired.changes == ("the weights of MatMul_0 are INT2 (-1 or +1) instead of BIPOLAR",)


def refused():
    def other_scale(net):
        return net.conv(net.sign(net.conv("x", 4, 2), out_scale=1.0), 3, 4)

    def other_bias(net):
        return net.conv(net.sign(net.conv("x", 4, 2), out_bias=0.0), 3, 4)

    def two_thresholds(net):
        return net.conv(net.sign(net.conv("x", 4, 2), [[0.5, 1.5]]), 3, 4)

    def early(net):
        made = net.node("BipolarQuant", net.conv("x", 4, 2), net.constant(1.0), domain="qonnx.custom_op.general")
        return net.conv(made, 3, 4)

    def mixed(net):
        net.datatype = "BIPOLAR"
        return net.conv(net.node("Concat", "x", net.sign(net.conv("x", 4, 2)), axis=1), 3, 6)

    return [
        (other_scale, "out_scale 1, out_bias -1"),
        (other_bias, "out_bias 0"),
        (two_thresholds, "shape [1, 2]"),
        (early, "not a MultiThreshold yet"),
        (mixed, "joins values that stay BIPOLAR"),
    ]


@pytest.mark.parametrize(("form", "words"), refused(), ids=lambda value: getattr(value, "__name__", ""))
def test_what_would_not_be_exact_is_refused(form, words):
    net = Net((1, 2, 6, 6))
    with pytest.raises(StepFailed) as caught:
        represent_bipolar(net.model(form(net)))
    assert (
        words in caught.value.message and caught.value.message.startswith("represent_bipolar: ") and caught.value.hint
    )


def test_an_output_that_is_used_inside_too_is_refused():
    net = Net((1, 2, 6, 6))
    x = net.sign(net.conv("x", 4, 2))
    with pytest.raises(StepFailed, match="also makes the graph output"):
        represent_bipolar(net.model(net.conv(x, 3, 4), x))


def test_values_that_are_no_threshold_are_refused():
    net = Net((1, 4), "INT4")
    model = net.model(net.matmul(net.node("Sign", "x"), 4, 3))
    model.set_tensor_datatype(model.graph.node[0].output[0], DataType["BIPOLAR"])
    with pytest.raises(StepFailed, match="no MultiThreshold"):
        represent_bipolar(model)


@pytest.mark.parametrize(("steps", "words"), [("streamline", "XNOR"), (TO_HARDWARE, "hardware layer")])
def test_too_late(steps, words, tmp_path):
    late = run(cnn(), steps, tmp_path)
    assert any(attributes(node) for node in late.graph.node)
    with pytest.raises(StepFailed, match=words) as caught:
        represent_bipolar(late)
    assert "before streamline" in caught.value.hint
