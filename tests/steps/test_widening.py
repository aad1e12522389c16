"""The repair of accumulators that are too narrow, on FINN's own steps."""

import copy
import operator

import numpy as np
import pytest
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.graph.view import View, attributes
from finnyaml.lint.matrices import overflow
from finnyaml.steps.repairs import keep_bipolar_weights
from finnyaml.steps.widening import widen_accumulators
from finnyaml.verify.executor import BatchedModel
from tests.lint.graphs import HARDWARE, Net, run

STEPS = "streamline convert_to_hw minimize_bit_width_initial create_dataflow_partition specialize_layers"
K = 16


def network(thresholds=((0.5,),)):
    """Three XNOR layers of 16 inputs; and inputs that match all, or nothing, of what an output of the first one has."""
    net = Net((1, K), "INT2")
    x = net.sign("x", layout="NC")
    x = net.sign(net.matmul(x, K, K), thresholds, "NC")
    x = net.sign(net.matmul(x, K, K), layout="NC")
    model = net.model(net.matmul(x, K, 4))
    rows = model.get_initializer(next(node.input[1] for node in model.graph.node if node.op_type == "MatMul")).T
    return model, np.concatenate([rows, -rows]).astype(np.float32)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The network after all of FINN's minimisation, and inputs that match whole columns of its weights."""
    model, rows = network()
    return run(model, f"{STEPS} minimize_bit_width", tmp_path_factory.mktemp("finn")), rows


def layers(model, kind="MVAU_hls"):
    return [node for node in model.graph.node if node.op_type == kind]


def test_sums_wrap_around_and_do_not_any_more(built):
    model, rows = built
    wrong = BatchedModel(model, taps="all")
    wanted = wrong.run(rows)
    assert {(found.datatype, found.high) for found in wrong.violations} >= {("INT5", K)}
    before = model.model.SerializeToString()
    repaired = widen_accumulators(model)
    assert model.model.SerializeToString() == before
    assert [change.split(" instead")[0] for change in repaired.changes] == [
        "MVAU_hls_0 has UINT5 for its sums from 0 to 16",
        "MVAU_hls_1 has UINT5 for its sums from 0 to 16",
        "MVAU_hls_2 has UINT5 for its sums from 0 to 16",
    ]
    right = BatchedModel(repaired.model, taps="all")
    got = right.run(rows)
    assert right.violations == []
    for tensor, values in wanted.items():
        np.testing.assert_array_equal(got[tensor], values, err_msg=tensor)
    assert widen_accumulators(repaired.model).changes == ()


def test_finn_takes_the_types(built):
    """All that follows agrees on them, the generated template has them, and FINN's own estimate does not grow."""
    model, _ = built
    repaired = widen_accumulators(model).model
    for node in repaired.graph.node:
        layer = getCustomOp(node)
        assert layer.get_input_datatype(0) == repaired.get_tensor_datatype(node.input[0])
        assert layer.get_output_datatype() == repaired.get_tensor_datatype(node.output[0])
    assert [getCustomOp(node).get_template_param_values()["TDstI"] for node in layers(repaired)] == [
        "Slice<ap_uint<5>>"
    ] * 3
    thresholds = layers(repaired, "Thresholding_rtl")
    assert [attributes(node)["inputDataType"] for node in thresholds[1:]] == ["UINT5"] * 2
    for node in thresholds:
        held = DataType[attributes(node)["weightDataType"]]
        assert held == repaired.get_tensor_datatype(node.input[1])
        assert np.vectorize(held.allowed)(repaired.get_initializer(node.input[1])).all()
    part = "xczu9eg-ffvb1156-2-e"
    for old, new in zip(layers(model), layers(repaired), strict=True):
        assert getCustomOp(new).lut_estimation(part) <= getCustomOp(old).lut_estimation(part)


def test_finn_takes_it_back_when_it_minimises_again(built, tmp_path):
    """Which is why it belongs after the last minimisation."""
    repaired = widen_accumulators(built[0]).model
    again = run(repaired, "minimize_bit_width", tmp_path)
    assert all(overflow(View(again), node) for node in layers(again)[:2])


def test_together_with_one_bit_weights(tmp_path):
    net = Net((1, K), "INT8")
    x = net.sign(net.matmul("x", K, K), layout="NC")
    model = run(net.model(net.matmul(x, K, 4)), f"{STEPS} minimize_bit_width", tmp_path)
    one = widen_accumulators(keep_bipolar_weights(model).model).model
    other = keep_bipolar_weights(widen_accumulators(model).model).model
    for made in (one, other):
        found = [(attributes(node)["weightDataType"], attributes(node)["accDataType"]) for node in layers(made)]
        assert found == [("BIPOLAR", "INT12"), ("BINARY", "UINT5")]


def test_a_threshold_that_finn_has_clipped_is_refused(tmp_path):
    """Threshold 20 of 16 matches never fires; FINN makes it 16, which the right type would reach."""
    model, _ = network([[25.0]] * K)
    made = run(model, f"{STEPS} minimize_bit_width", tmp_path)
    assert made.get_initializer(layers(made, "Thresholding_rtl")[1].input[1]).max() == 16
    with pytest.raises(StepFailed, match="at 16, where FINN clips what INT5 does not hold") as caught:
        widen_accumulators(made)
    assert "minimize_bit_width: false" in caught.value.hint
    kept = run(model, f"{STEPS} minimize_bit_width", tmp_path, minimize_bit_width=False)
    assert widen_accumulators(kept).changes == (), "the way out that the hint names"


def test_thresholds_below_all_sums_are_raised(built):
    model, rows = copy.deepcopy(built[0]), built[1]
    model.set_initializer(layers(model, "Thresholding_rtl")[1].input[1], np.full((K, 1), -3, np.float32))
    repaired = widen_accumulators(model).model
    assert (repaired.get_initializer(layers(repaired, "Thresholding_rtl")[1].input[1]) == 0).all()
    end = model.graph.output[0].name
    np.testing.assert_array_equal(BatchedModel(repaired).run(rows)[end], BatchedModel(model).run(rows)[end])


def test_arithmetic_behind_is_followed(built):
    assert attributes(layers(built[0], "ElementwiseMul_hls")[0])["lhs_dtype"] == "INT5"
    model = widen_accumulators(built[0]).model
    assert attributes(layers(model, "ElementwiseMul_hls")[0])["lhs_dtype"] == "UINT5"
    for node in layers(model, "ElementwiseMul_hls") + layers(model, "ElementwiseAdd_hls"):
        written = attributes(node)
        left, right = (DataType[written[name]] for name in ("lhs_dtype", "rhs_dtype"))
        result = DataType[written["out_dtype"]]
        combine = operator.mul if "Mul" in node.op_type else operator.add
        ends = [combine(a, b) for a in (left.min(), left.max()) for b in (right.min(), right.max())]
        assert result.min() <= min(ends) and max(ends) <= result.max()


def test_thresholds_that_layers_share(built):
    model = copy.deepcopy(built[0])
    first, second = layers(model, "Thresholding_rtl")[1:]
    spare = copy.deepcopy(first)
    spare.name, spare.input[0], spare.output[0] = "spare", model.graph.input[0].name, "spare_out"
    model.graph.node.append(spare)
    old = model.get_initializer(first.input[1]).copy()
    repaired = widen_accumulators(model).model
    names = [node.input[1] for node in layers(repaired, "Thresholding_rtl")[1:]]
    assert names[0] != names[2] == first.input[1]
    np.testing.assert_array_equal(repaired.get_initializer(names[2]), old)
    assert second.input[1] == names[1]


def test_writeable_thresholds_get_a_type_that_holds_any(built):
    model = copy.deepcopy(built[0])
    getCustomOp(layers(model, "Thresholding_rtl")[1]).set_nodeattr("runtime_writeable_weights", 1)
    repaired = widen_accumulators(model).model
    assert attributes(layers(repaired, "Thresholding_rtl")[1])["weightDataType"] == "UINT6"


def test_thresholds_inside_the_layer():
    net = Net((1, K), "BINARY")
    weights = net.constant(net.random.integers(0, 2, (K, 4)), "BINARY")
    types = {"inputDataType": "BINARY", "weightDataType": "BINARY", "outputDataType": "UINT2", "accDataType": "INT5"}
    given = {"MW": K, "MH": 4, "SIMD": 1, "PE": 1, "noActivation": 0, "binaryXnorMode": 1, "numInputVectors": [1]}
    thresholds = net.constant([[-3, 4, 9]] * 4, "INT5")
    domain = f"{HARDWARE}.hls"
    y = net.node("MVAU_hls", "x", weights, thresholds, domain=domain, backend="fpgadataflow", **types, **given)
    model = net.model(y, tidy=False)
    model.graph.node[0].name = "layer"
    model.set_tensor_shape(y, [1, 4])
    model.set_tensor_datatype(y, DataType["UINT2"])
    repaired = widen_accumulators(model)
    assert repaired.changes == ("layer has UINT5 for its sums from 0 to 16 instead of INT5",)
    written = attributes(repaired.model.graph.node[0])
    assert (written["accDataType"], written["outputDataType"]) == ("UINT5", "UINT2")
    assert repaired.model.get_initializer(thresholds).min() == 0
    assert repaired.model.get_tensor_datatype(thresholds).name == "UINT5"


def test_what_computes_with_the_sums_is_refused(built):
    model = copy.deepcopy(built[0])
    end = layers(model)[-1].output[0]
    given = {"domain": f"{HARDWARE}.hls", "name": "pool", "backend": "fpgadataflow"}
    model.graph.node.append(helper.make_node("GlobalAccPool_hls", [end], ["sum"], **given))
    with pytest.raises(StepFailed, match=r"pool \(GlobalAccPool\) computes with sums whose type") as caught:
        widen_accumulators(model)
    assert caught.value.hint


def test_what_passes_sums_on_is_followed(built):
    model = copy.deepcopy(built[0])
    layer = layers(model)[0]
    reader = next(node for node in model.graph.node if layer.output[0] in node.input)
    reader.input[0] = "queued"
    fifo = {"depth": 4, "folded_shape": [1, K, 1], "normal_shape": [1, K], "dataType": "INT5"}
    domain = f"{HARDWARE}.rtl"
    node = helper.make_node("StreamingFIFO_rtl", layer.output, ["queued"], name="fifo", domain=domain, **fifo)
    node.attribute.append(helper.make_attribute("backend", "fpgadataflow"))
    model.graph.node.insert(list(model.graph.node).index(layer) + 1, node)
    model.set_tensor_shape("queued", [1, K])
    repaired = widen_accumulators(model).model
    assert attributes(repaired.get_node_from_name("fifo"))["dataType"] == "UINT5"
    assert attributes(repaired.get_node_from_name(reader.name))["inputDataType"] == "UINT5"
