"""Exact repairs: on FINN's own steps the repaired network gives the answers that it was trained to give."""

import numpy as np
import pytest
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_datatypes import InferDataTypes

from finnyaml.errors import StepFailed
from finnyaml.graph.view import View, attributes
from finnyaml.lint.padding import unrepresentable
from finnyaml.steps.repairs import clip_thresholds, correct_annotations, keep_bipolar_weights, represent_padding
from tests.lint.graphs import HARDWARE, Net, answers, cnn, images, run

TO_HARDWARE = "streamline convert_to_hw minimize_bit_width_initial"


def bipolar(model):
    return [node.name for node in model.graph.node if attributes(node).get("out_dtype") == "BIPOLAR"]


def test_padding_on_the_real_finn(tmp_path):
    model = cnn()
    data = images(model, 12)
    wanted = answers(model, data)
    assert (answers(run(model, "streamline", tmp_path), data) != wanted).any(), "there is nothing to repair"
    before = model.model.SerializeToString()
    repaired = represent_padding(model)
    assert model.model.SerializeToString() == before
    assert len(repaired.changes) == 2
    assert bipolar(repaired.model) == ["MultiThreshold_2"], "what is not padded stays a bit"
    made = repaired.model
    np.testing.assert_array_equal(answers(made, data), wanted)
    for step in TO_HARDWARE.split():
        made = run(made, step, tmp_path)
        np.testing.assert_array_equal(answers(made, data), wanted, err_msg=step)
    assert not list(unrepresentable(View(made)))
    kinds = [node.op_type for node in made.graph.node]
    assert kinds.count("MVAU") == 4 and kinds.count("FMPadding") == 3


def test_nothing_to_repair_changes_nothing():
    net = Net((1, 2, 6, 6))
    model = net.model(net.conv(net.sign(net.conv("x", 4, 2)), 3, 4, pad=0))
    repaired = represent_padding(model)
    assert repaired.changes == ()
    assert repaired.model.model == model.model
    assert represent_padding(represent_padding(cnn()).model).changes == ()


def padded_forms():
    def direct(net, x):
        return net.conv(x, 3, 4)

    def pooled(net, x):
        return net.conv(net.pool(x), 3, 4)

    def transposed(net, x):
        there = net.node("Transpose", x, perm=[0, 2, 3, 1])
        return net.conv(net.node("Transpose", there, perm=[0, 3, 1, 2]), 3, 4)

    def reshaped(net, x):
        shape = net.constant([1, 4, 4, 9], kind=np.int64)
        return net.conv(net.node("Reshape", x, shape), 3, 4)

    def same(net, x):
        weights = net.bipolar((3, 4, 3, 3))
        return net.node("Conv", x, weights, kernel_shape=[3, 3], auto_pad="SAME_UPPER")

    def scaled(net, x):
        return net.conv(net.node("Mul", x, net.constant(0.25)), 3, 4)

    def separate(net, x):
        pads = net.constant([0, 0, 1, 1, 0, 0, 1, 1], kind=np.int64)
        return net.conv(net.node("Pad", x, pads, net.constant(0.0), mode="constant"), 3, 4, pad=0)

    def upsampled(net, x):
        scales = net.constant([1, 1, 2, 2])
        return net.conv(net.node("Resize", x, "", scales, mode="nearest"), 3, 4)

    return [direct, pooled, transposed, reshaped, same, scaled, separate, upsampled]


@pytest.mark.parametrize("form", padded_forms(), ids=lambda form: form.__name__)
@pytest.mark.parametrize("per_channel", [True, False])
def test_whatever_stands_between(form, per_channel):
    net = Net((1, 2, 6, 6))
    thresholds = net.random.integers(-20, 20, (4, 1)) + 0.5 if per_channel else [[3.5]]
    model = net.model(form(net, net.sign(net.conv("x", 4, 2), thresholds)))
    data = images(model, 6)
    repaired = represent_padding(model)
    assert len(repaired.changes) == 1 and bipolar(repaired.model) == []
    assert repaired.model.get_initializer("MultiThreshold_0_param0").shape == (4 if per_channel else 1, 2)
    np.testing.assert_array_equal(answers(repaired.model, data), answers(model, data))


def test_channels_last():
    net = Net((1, 6, 6, 4), "INT4")
    x = net.sign("x", net.random.integers(-4, 4, (4, 1)) + 0.5, layout="NHWC")
    model = net.model(net.conv(net.node("Transpose", x, perm=[0, 3, 1, 2]), 3, 4))
    data = images(model, 6)
    repaired = represent_padding(model)
    assert len(repaired.changes) == 1 and bipolar(repaired.model) == []
    np.testing.assert_array_equal(answers(repaired.model, data), answers(model, data))


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_a_padding_that_can_be_represented_is_left(value):
    net = Net((1, 4, 6, 6), "INT4")
    pads = net.constant([0, 0, 1, 1, 0, 0, 1, 1], kind=np.int64)
    x = net.node("Pad", net.sign("x"), pads, net.constant(value), mode="constant")
    assert represent_padding(net.model(net.conv(x, 3, 4, pad=0))).changes == ()


def test_one_branch_is_padded_and_one_is_not(tmp_path):
    net = Net((1, 2, 6, 6))
    x = net.sign(net.conv("x", 4, 2))
    one = net.sign(net.conv(x, 3, 4, pad=1))
    other = net.sign(net.conv(x, 3, 4, pad=0))
    left = net.matmul(net.flat(one, 3 * 36), 3 * 36, 5)
    model = net.model(net.node("Add", left, net.matmul(net.flat(other, 3 * 16), 3 * 16, 5)))
    data = images(model, 8)
    repaired = represent_padding(model)
    assert len(repaired.changes) == 1
    assert bipolar(repaired.model) == ["MultiThreshold_1", "MultiThreshold_2"]
    np.testing.assert_array_equal(answers(run(repaired.model, "streamline", tmp_path), data), answers(model, data))


def test_all_that_is_joined_with_padded_values_is_repaired():
    """QONNX takes the data type of a Concat from its first input."""
    net = Net((1, 2, 6, 6))
    first, second, third = (net.sign(net.conv("x", 4, 2), [[number + 0.5]]) for number in range(3))
    padded = net.conv(net.node("Concat", first, second, axis=1), 3, 8)
    other = net.conv(net.node("Concat", third, second, axis=1), 3, 8, pad=0)
    size = 3 * 16
    left = net.matmul(net.flat(net.conv(padded, 3, 3, pad=0), size), size, 5)
    model = net.model(net.node("Add", left, net.matmul(net.flat(other, size), size, 5)))
    data = images(model, 6)
    repaired = represent_padding(model)
    assert len(repaired.changes) == 3
    assert "joined with such values" in " ".join(repaired.changes)
    np.testing.assert_array_equal(answers(repaired.model, data), answers(model, data))


def test_thresholds_that_nodes_share():
    net = Net((1, 2, 6, 6))
    shared = net.constant([[0.5]])
    one, other = net.sign(net.conv("x", 4, 2), shared), net.sign(net.conv("x", 4, 2), shared)
    third = net.sign(net.conv("x", 4, 2), shared)
    total = net.node("Add", net.conv(one, 3, 4), net.conv(other, 3, 4))
    model = net.model(net.node("Add", total, net.conv(third, 3, 4, pad=0, size=1)))
    users = [node.input[1] for node in model.graph.node if node.op_type == "MultiThreshold"]
    for node in model.graph.node:
        if node.op_type == "MultiThreshold":
            node.input[1] = users[0]
    data = images(model, 6)
    repaired = represent_padding(model)
    assert len(repaired.changes) == 2
    shapes = {
        node.name: repaired.model.get_initializer(node.input[1]).shape
        for node in repaired.model.graph.node
        if node.op_type == "MultiThreshold"
    }
    assert shapes == {"MultiThreshold_0": (1, 2), "MultiThreshold_1": (1, 2), "MultiThreshold_2": (1, 1)}
    np.testing.assert_array_equal(answers(repaired.model, data), answers(model, data))


def refused():
    def other_bias(net):
        return net.conv(net.sign(net.conv("x", 4, 2), out_bias=0.0), 3, 4)

    def two_thresholds(net):
        return net.conv(net.sign(net.conv("x", 4, 2), [[0.5, 1.5]]), 3, 4)

    def sign(net):
        return net.conv(net.node("Sign", net.conv("x", 4, 2)), 3, 4)

    def computed(net):
        values = net.node("Transpose", net.node("Transpose", "x", perm=[0, 1, 3, 2]), perm=[0, 1, 3, 2])
        return net.conv(net.sign(net.conv("x", 4, 2), values), 3, 4)

    def graph_input(net):
        net.datatype = "BIPOLAR"
        return net.conv("x", 3, 2)

    def half(net):
        pads = net.constant([0, 0, 1, 1, 0, 0, 1, 1], kind=np.int64)
        return net.node("Pad", net.sign(net.conv("x", 4, 2)), pads, net.constant(0.5), mode="constant")

    return [
        (other_bias, "out_bias 0"),
        (two_thresholds, "shape [1, 2]"),
        (sign, "no MultiThreshold"),
        (computed, "computed thresholds"),
        (graph_input, "pads the graph input"),
        (half, "with 0.5"),
    ]


@pytest.mark.parametrize(("form", "words"), refused(), ids=lambda value: getattr(value, "__name__", ""))
def test_what_would_not_be_exact_is_refused(form, words):
    net = Net((1, 2, 6, 6))
    model = net.model(form(net), tidy=form.__name__ != "computed")
    if form.__name__ == "computed":
        for node in model.graph.node:
            if node.op_type == "MultiThreshold":
                model.set_tensor_datatype(node.output[0], DataType["BIPOLAR"])
    with pytest.raises(StepFailed) as caught:
        represent_padding(model)
    assert words in caught.value.message and caught.value.hint


def test_an_output_of_the_network_keeps_its_type():
    net = Net((1, 2, 6, 6))
    x = net.sign(net.conv("x", 4, 2))
    with pytest.raises(StepFailed, match="also makes the graph output"):
        represent_padding(net.model(net.conv(x, 3, 4), x))


def test_too_early_and_too_late(tmp_path):
    late = run(cnn(), "streamline", tmp_path)
    with pytest.raises(StepFailed, match="XNOR") as caught:
        represent_padding(late)
    assert "before streamline" in caught.value.hint
    net = Net((1, 2, 6, 6))
    quantizer = net.node("BipolarQuant", net.conv("x", 4, 2), net.constant(1.0), domain="qonnx.custom_op.general")
    with pytest.raises(StepFailed, match="BipolarQuant") as caught:
        represent_padding(net.model(net.conv(quantizer, 3, 4)))
    assert "after qonnx_to_finn" in caught.value.hint


def quantized(narrow=1, signed_input=0, seed=0):
    """8 values through an 8-bit and a 2-bit signed quantizer, in QONNX; the output is that of a 4-bit one."""
    net = Net((1, 8), "UINT8", seed)

    def quant(x, scale, bits, signed, narrow):
        given = [net.constant(value) for value in (scale, 0.0, bits)]
        return net.node(
            "Quant", x, *given, domain="qonnx.custom_op.general", signed=signed, narrow=narrow, rounding_mode="ROUND"
        )

    def product(x, size, outputs, scale):
        weights = net.constant(net.random.integers(-2, 2, (size, outputs)), "INT2")
        return net.node("Mul", net.node("MatMul", x, weights), net.constant(scale))

    x = quant("x", 1.0, 8, signed_input, 0)
    x = net.flat(quant(product(x, 8, 16, 0.0137), 0.25, 2, 1, narrow), 16)
    return net.model(quant(product(x, 16, 4, 1.531), 0.5, 4, 1, 0))


def test_annotations_on_the_real_finn(tmp_path):
    """The bias of a signed quantizer, moved away before it is absorbed, leaves 0..2 annotated INT2."""
    from finn.transformation.streamline.reorder import MoveScalarLinearPastInvariants

    model = quantized()
    data = images(model, 16)
    wanted = answers(model, data)
    tidy = run(model, "qonnx_to_finn tidy_up", tmp_path).transform(MoveScalarLinearPastInvariants())
    broken = run(tidy, "streamline", tmp_path)
    with pytest.raises(Exception, match="Signed output requires actval < 0"):
        run(broken, "convert_to_hw", tmp_path)
    repaired = correct_annotations(broken)
    assert repaired.changes == ("MultiThreshold_1 yields 0 to 2: UINT2 instead of INT2",)
    product = next(node for node in repaired.model.graph.node if node.name == "MatMul_1")
    assert repaired.model.get_tensor_datatype(product.input[0]).name == "UINT2"
    made = repaired.model
    for step in ("", "convert_to_hw", "minimize_bit_width_initial"):
        made = run(made, step, tmp_path)
        np.testing.assert_array_equal(answers(made, data), wanted, err_msg=step)
    forced = broken.transform(InferDataTypes())
    getCustomOp(forced.get_node_from_name("MultiThreshold_1")).set_nodeattr("out_bias", -1.0)
    assert (answers(forced, data) != wanted).any(), "out_bias = -1, the usual advice, is not exact"


def test_annotations_that_are_right_are_left(tmp_path):
    made = run(quantized(), "qonnx_to_finn tidy_up streamline", tmp_path)
    assert correct_annotations(made).changes == ()


@pytest.mark.parametrize(
    ("claimed", "bias", "steps", "right"),
    [
        ("INT2", 0.0, 2, "UINT2"),
        ("INT8", 0.0, 254, "UINT8"),
        ("INT2", 0.0, 1, "UINT2"),  # a one-bit type would be taken for a bipolar one
        ("UINT2", 0.0, 4, "UINT3"),
        ("INT2", -2.0, 5, "INT3"),
        ("INT2", -1.0, 2, None),
        ("UINT2", 0.0, 3, None),
        ("INT4", -8.0, 15, None),
        ("BIPOLAR", -1.0, 1, None),
        ("FLOAT32", -0.5, 3, None),
    ],
)
def test_the_true_annotation(claimed, bias, steps, right):
    net = Net((1, 4), "INT8")
    scale = 2.0 if claimed == "BIPOLAR" else 1.0
    x = net.sign("x", [np.arange(steps)], "NC", out_dtype=claimed, out_scale=scale, out_bias=bias)
    model = net.model(x)
    repaired = correct_annotations(model)
    assert len(repaired.changes) == (right is not None)
    assert repaired.model.get_tensor_datatype(repaired.model.graph.output[0].name).name == (right or claimed)


def test_negative_thresholds_on_the_real_finn(tmp_path):
    """A signed quantizer on unsigned data ends FINN's first bit-width minimisation on a bare assertion."""
    model = quantized(signed_input=1)
    data = images(model, 16)
    streamlined = run(model, "qonnx_to_finn tidy_up streamline", tmp_path)
    with pytest.raises(AssertionError) as caught:
        run(streamlined, "convert_to_hw minimize_bit_width_initial", tmp_path)
    assert str(caught.value) == ""
    repaired = clip_thresholds(streamlined)
    assert repaired.changes == ("128 negative thresholds of MultiThreshold_0 are 0 (its input is UINT8)",)
    made = run(repaired.model, "convert_to_hw minimize_bit_width_initial", tmp_path)
    np.testing.assert_array_equal(answers(made, data), answers(model, data))
    assert clip_thresholds(repaired.model).changes == ()


def test_thresholds_that_a_signed_input_shares_are_not_clipped():
    net = Net((1, 4), "UINT4")
    shared = net.constant([[-1.5, 1.5]])
    low = {"out_dtype": "INT2", "out_scale": 1.0, "out_bias": -1.0, "layout": "NC"}
    first = net.sign("x", shared, **low)
    model = net.model(net.sign(first, net.constant([[-1.5, 1.5]]), **low))
    for node in model.graph.node:
        node.input[1] = model.graph.node[0].input[1]
    data = images(model, 6)
    repaired = clip_thresholds(model)
    assert len(repaired.changes) == 1
    assert [repaired.model.get_initializer(node.input[1]).min() for node in repaired.model.graph.node] == [0, -1.5]
    np.testing.assert_array_equal(answers(repaired.model, data), answers(model, data))


def matrix(data="INT2", weights="INT2", kind="MVAU_hls", **more):
    """A product of 6 values with 6 x 3 weights of -1 and +1, as FINN's hardware layer."""
    net = Net((1, 6), data)
    domain = HARDWARE + ("" if kind == "MVAU" else f".{kind[-3:]}")
    given = {"MW": 6, "MH": 3, "SIMD": 1, "PE": 1, "noActivation": 1, "mem_mode": "internal_decoupled", **more}
    types = {"inputDataType": data, "weightDataType": weights, "outputDataType": "INT8"}
    y = net.node(
        kind, "x", net.bipolar((6, 3)), domain=domain, numInputVectors=[1], backend="fpgadataflow", **given, **types
    )
    model = net.model(y, tidy=False)
    model.graph.node[0].name = "layer"
    model.set_tensor_shape(y, [1, 3])
    return model


def generic(model):
    """The layer before specialisation, which qonnx can execute."""
    node = model.graph.node[0]
    node.op_type, node.domain = "MVAU", HARDWARE
    return model


@pytest.mark.parametrize("data", ["INT2", "UINT2", "INT8", "UINT8", "TERNARY"])
def test_bipolar_weights_are_exact_where_they_are_kept(data):
    model = matrix(data)
    repaired = keep_bipolar_weights(model)
    assert repaired.changes == ("the weights of layer are BIPOLAR (1 bit) instead of INT2",)
    node = repaired.model.graph.node[0]
    template = getCustomOp(node).get_template_param_values()
    assert template["TWeightI"] == "Recast<Binary>" and template["TSrcI"].startswith("Slice<"), "FINN adds or subtracts"
    values = images(model, 8)
    np.testing.assert_array_equal(answers(generic(repaired.model), values), answers(generic(matrix(data)), values))


def test_bipolar_weights_would_not_be_exact_on_bipolar_data():
    layer = matrix("BIPOLAR")
    assert keep_bipolar_weights(layer).changes == ()
    node = layer.graph.node[0]
    getCustomOp(node).set_nodeattr("weightDataType", "BIPOLAR")
    assert getCustomOp(node).get_template_param_values()["TSrcI"] == "Recast<XnorMul>"
    values = np.random.default_rng(0).choice([-1, 1], (4, 6)).astype(np.float32)
    assert (answers(generic(layer), values) != answers(generic(matrix("BIPOLAR")), values)).any()


@pytest.mark.parametrize(
    "more",
    [
        {"data": "BINARY", "binaryXnorMode": 1},
        {"kind": "MVAU_rtl"},
        {"kind": "MVAU"},
        {"weights": "INT3"},
        {"mem_mode": "external"},
        {"mem_mode": "dynamic"},
        {"runtime_writeable_weights": 1},
    ],
    ids=str,
)
def test_where_bipolar_weights_are_not_for(more):
    assert keep_bipolar_weights(matrix(**more)).changes == ()


def test_weights_with_other_values_stay():
    model = matrix()
    values = model.get_initializer("c0").copy()
    values[0, 0] = 0
    model.set_initializer("c0", values)
    assert keep_bipolar_weights(model).changes == ()


def test_bipolar_weights_after_a_real_build(tmp_path):
    """FINN widens them, the repair takes that back, and FINN's estimate of the LUTs falls."""
    steps = f"{TO_HARDWARE} create_dataflow_partition specialize_layers minimize_bit_width"
    model = run(represent_padding(cnn()).model, steps, tmp_path)
    layers = [node for node in model.graph.node if node.op_type == "MVAU_hls"]
    assert [attributes(node)["weightDataType"] for node in layers] == ["INT2"] * 3 + ["BINARY"]
    repaired = keep_bipolar_weights(model)
    assert len(repaired.changes) == 3
    for node in repaired.model.graph.node:
        if node.op_type == "MVAU_hls" and attributes(node)["weightDataType"] == "BIPOLAR":
            old = model.get_node_from_name(node.name)
            part = "xczu9eg-ffvb1156-2-e"
            assert getCustomOp(node).lut_estimation(part) < getCustomOp(old).lut_estimation(part)
            assert helper.get_attribute_value(node.attribute[0]) is not None
